"""The commands around saved feature sets: export to another trainer, and the difference of two."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.onnx_export import onnx_export
from ctrsel.cli.output import check_frame_path, write_frame
from ctrsel.cli.speak import Say, aligned
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.data.applied import AppliedFeatureSet
    from ctrsel.records.set_difference import SetDifference

__all__ = ["COMMANDS", "columns_document"]

_FOR = {
    "--from": "it names the table of raw rows in SQL",
    "--keep": "it passes columns on in SQL; the other forms leave the rows' other columns to you",
    "--without": "it leaves fields out of columns, SQL and polars; sklearn and onnx read what was saved, with all of its fields",
}
_ENDINGS = {"sql": ".sql", "polars": ".py", "sklearn": ".py", "onnx": ".onnx"}


class Form(StrEnum):
    """What a feature set can be exported to."""

    columns = "columns"
    sql = "sql"
    polars = "polars"
    sklearn = "sklearn"
    onnx = "onnx"


_FEATURES = "A saved feature set, or a folder that holds one: a run's, or a selector's of 'ctrsel select --out'."
Features = Annotated[Path, typer.Argument(metavar="FEATURESET", help=_FEATURES)]
Saved = Annotated[
    Path | None,
    typer.Option(help="The table's folder that the feature set decides on, if it was saved alone.", show_default=False),
]


@expand
def export(
    *,
    feature_set: Features,
    to: Annotated[
        Form,
        typer.Option(
            "--to", help="What for: the kept columns and values, SQL, polars or sklearn; onnx, of a saved model."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A file: .json, .csv, .parquet for columns, .sql, .py, .onnx. Default: print it.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="SQL: the table that holds the raw rows (raw_rows).", show_default=False),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="SQL: a further column to pass on, such as an id; repeatable.", show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A kept field to leave out; repeatable.", show_default=False)
    ] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Allow kept texts of sensitive fields, which are written as they are.")
    ] = False,
    table: Saved = None,
    say: Say,
) -> None:
    """Write what a feature set keeps for a trainer of your own: a list of columns and values, SQL, polars or sklearn.

    All of them make the same columns of raw rows: null for a missing value, the text of a kept value (of merged ones that
    of the most frequent), "(other)" for all others. With --to onnx a saved net becomes a graph from codes to log-odds.
    """
    with say.session() as speaker:
        from ctrsel.api.feature_sets import feature_set_folder, load_feature_set
        from ctrsel.data.sql_form import without_fields

        speaker.place = str(out or "")
        _check_out(out, to)
        for option, given, form in (
            ("--from", source is not None, (Form.sql,)),
            ("--keep", bool(keep), (Form.sql,)),
            ("--without", bool(without), (Form.columns, Form.sql, Form.polars)),
        ):
            if given and to not in form:
                raise ConfigError(f"{option}: the form {to} has no use for it; {_FOR[option]}")
        if to == Form.onnx:
            facts: dict[str, Any]
            facts, told = onnx_export(feature_set, out)
            speaker.show(facts, told)
            return
        applied = load_feature_set(feature_set, table=table)
        if to == Form.sklearn:
            folder = feature_set_folder(feature_set)
            if table is not None:
                raise ConfigError("--table: the sklearn form reads the saved feature set, so it must hold its texts")
            text: str | None = _sklearn(folder)
        else:
            applied = without_fields(applied, without) if without else applied
            secret = [f.name for f in applied.encoder.fields if f.sensitive]
            if secret and not sensitive:
                raise ConfigError(
                    f"field {secret[0]!r} is sensitive, and its kept texts would stand in the export as they are; leave it "
                    f"out (--without {secret[0]}), or allow it (--sensitive)"
                )
            text = _text(applied, to, source="raw_rows" if source is None else source, keep=keep or [], out=out)
        if out is not None and text is not None:
            from ctrsel.core.artifact import atomic_text

            atomic_text(out, text)
        facts = {
            "to": str(to),
            "out": out,
            "fields": applied.encoder.schema.names,
            "values": applied.encoder.n_values,
            "other": applied.other_text,
        }
        told = f"{len(facts['fields'])} fields and {facts['values']:,} values: {out}"
        speaker.show(
            facts if out is not None else {**facts, "content": text}, (text or "").rstrip() if out is None else told
        )


def _check_out(out: Path | None, to: Form) -> None:
    if out is None:
        return
    if to == Form.columns:
        check_frame_path(out)
    elif out.suffix.lower() != _ENDINGS[to]:
        raise ConfigError(f"--out {out}: the name must end in {_ENDINGS[to]}, got {out.suffix or 'no ending'}")


def _text(applied: AppliedFeatureSet, to: Form, *, source: str, keep: list[str], out: Path | None) -> str | None:
    """Return the export as text; None where it was written as a frame."""
    if to == Form.sql:
        from ctrsel.data.sql_form import to_sql

        return to_sql(applied, table=source, keep=keep)
    if to == Form.polars:
        from ctrsel.data.polars_form import to_polars

        return to_polars(applied)
    if out is not None and out.suffix.lower() != ".json":
        write_frame(applied.columns(), out, exact=True)
        return None
    from ctrsel.core.artifact import to_json

    return to_json(columns_document(applied), indent=1) + "\n"


def columns_document(applied: AppliedFeatureSet) -> dict[str, Any]:
    """Return the kept columns and values as plain values for JSON.

    Returns:
        `other`, the text for all that is not kept, and `fields`: for each `name`, `kind`, `columns` (those that it is
        read from), `values` (the names that rows get) and, where there are any, `merged` (by name all values that get it)
        and `ranges` (by name first and last number of each bucket; None without an end).
    """
    told = applied.columns()
    fields = []
    for f in applied.encoder.fields:
        rows = told.filter(told["field"] == f.name).rows(named=True)
        found: dict[str, Any] = {
            "name": f.name,
            "kind": f.kind,
            "columns": list(f.parts) or [f.name],
            "values": list(dict.fromkeys(r["kept_as"] for r in rows if r["kept_as"] is not None)),
        }
        merged: dict[str, list[str]] = {}
        for r in rows:
            if r["value"] is not None:
                merged.setdefault(r["kept_as"], []).append(r["value"])
        if several := {k: v for k, v in merged.items() if len(v) > 1}:
            found["merged"] = several
        ranges = [
            [r["value"], *(e if math.isfinite(e) else None for e in (r["low"], r["high"]))]
            for r in rows
            if r["low"] is not None
        ]
        if ranges:
            found["ranges"] = {value: [low, high] for value, low, high in ranges}
        if f.max_length is not None:
            found["last"] = f.max_length
        fields.append(found)
    return {"other": applied.other_text, "fields": fields}


def _sklearn(folder: Path) -> str:
    return (
        '"""Kept columns of a ctrsel feature set as a step of a scikit-learn pipeline; nothing is fitted."""\n\n'
        "from ctrsel import FeatureSetTransformer\n\n"
        f"kept = FeatureSetTransformer({str(folder.resolve())!r})\n\n"
        "# For learners of texts and one-hot columns:\n"
        '#   make_pipeline(kept, OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500))\n'
        "# For learners that take categories as integers:\n"
        '#   make_pipeline(kept.set_params(output="codes"), HistGradientBoostingClassifier())\n'
    )


@expand
def diff(
    *,
    before: Annotated[Path, typer.Argument(metavar="OLD", help=_FEATURES)],
    after: Annotated[Path, typer.Argument(metavar="NEW", help="Likewise.")],
    top: Annotated[int, typer.Option(help="Texts told of each kind and field, the most frequent ones.")] = 3,
    say: Say,
) -> None:
    """Tell what changes from one feature set to another: fields gained and lost, values gained, lost, merged, parted.

    Values are compared by their texts, so that the sets may come from different tables. Values of sensitive fields are
    counted, not shown.
    """
    with say.session() as speaker:
        from ctrsel.api.feature_sets import load_feature_set

        if top < 0:
            raise ConfigError(f"--top: must not be negative, got {top}")
        old, new = load_feature_set(before), load_feature_set(after)
        found = old.diff(new, top=top)
        facts = [
            {"fields": len(s.features.fields), "values": s.features.n_values, "method": s.features.method}
            for s in (old, new)
        ]
        result = {"before": facts[0], "after": facts[1], **found.to_dict()}
        speaker.show(result, _diff_text(found, facts))


def _diff_text(found: SetDifference, facts: list[dict[str, Any]]) -> str:
    old, new = (f"{f['fields']} fields and {f['values']:,} values ({f['method']})" for f in facts)
    lines = [f"{old} -> {new}"]
    for change, word in (("added", "gained"), ("removed", "lost")):
        if names := [f.name for f in found.fields if f.change == change]:
            lines.append(f"fields {word}: {', '.join(names)}")
    if found.fields:
        header = ["field", "change", "before", "after", "gained", "lost", "merged", "parted", "most frequent"]
        rows = [
            [f.name, f.change, f.before, f.after, f.gained, f.lost, f.merged, f.parted, _shown(f.top, f.sensitive)]
            for f in found.fields
        ]
        lines += ["", aligned(header, rows)]
    lines.append(f"\n{len(found.same)} fields are the same" if found.fields else "both keep the same")
    return "\n".join(lines)


def _shown(top: dict[str, tuple[str, ...]], sensitive: bool) -> str:
    if sensitive:
        return "(sensitive)"
    return "; ".join(f"{kind} {', '.join(_short(t) for t in texts)}" for kind, texts in top.items())


def _short(text: str) -> str:
    """Return a text in one line that no terminal takes for a command."""
    plain = "".join(c if c.isprintable() else "\u00b7" for c in text)
    return plain if len(plain) <= 24 else plain[:12] + "..." + plain[-8:]


_AROUND = "Finished runs and models"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "export",
        export,
        examples(
            "ctrsel export runs/clicks --to sql --from clicks --keep id --out kept.sql",
            "ctrsel export small/gated --to polars --out kept.py",
            "ctrsel export small/gated --to columns --out kept.json",
            "ctrsel export runs/clicks/model --to onnx --out clicks.onnx",
        ),
        _AROUND,
    ),
    ("diff", diff, examples("ctrsel diff runs/monday runs/tuesday", "ctrsel diff small/gated small/frequent"), _AROUND),
)
