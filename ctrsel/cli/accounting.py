"""The account of a selection on the terminal: short beside its result, and whole by a command of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.speak import Say, aligned
from ctrsel.core.errors import DataError, unknown_name

if TYPE_CHECKING:
    from ctrsel.records.selection_account import FieldAccount, SelectionAccount

__all__ = ["COMMANDS", "dropped_text"]

_FEW = 12  # dropped fields that are named beside a result


def dropped_text(name: str, account: SelectionAccount) -> str:
    """Name the dropped fields of a selection and why they went, in a few lines."""
    dropped = account.dropped
    if not dropped:
        return f"{name}: no field is dropped as a whole"
    lines = [f"{name} drops {len(dropped)} of {len(account.fields)} fields:"]
    lines += [f"  {f.name}: {f.why}" for f in dropped[:_FEW]]
    return "\n".join(lines + ([f"  ... and {len(dropped) - _FEW} more"] if len(dropped) > _FEW else []))


@expand
def explain_selection(
    *,
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A finished run's folder, or a selector's of 'ctrsel select --out'."),
    ],
    field: Annotated[
        str | None, typer.Option(help="Tell of this field's values, most frequent first.", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(help="Lines of values.")] = 40,
    say: Say,
) -> None:
    """Tell why each field was kept or dropped, how many of its values stay, and the AUC that the model loses without it.

    AUC lost: a field's values are shuffled among the validation rows, and the retrained model scores them; with its
    paired 95 % interval.
    """
    with say.session() as speaker:
        import polars as pl

        from ctrsel.core.artifact import MANIFEST
        from ctrsel.records.selection_account import SelectionAccount

        places = [
            p for p in (folder, folder / "account") if (p / MANIFEST).is_file() and (p / "values.parquet").is_file()
        ]
        if not places:
            raise DataError(
                f"{folder}: holds no account of a selection; expected a run's folder, or one of 'ctrsel select --out'"
            )
        account = SelectionAccount.load(places[0])
        names = [f.name for f in account.fields]
        if field is not None and field not in names:
            raise unknown_name("field", field, names, place="--field")
        result: dict[str, Any] = {"method": account.method, "cut": account.cut}
        if field is None:
            result["fields"] = account.field_rows()
            speaker.show(result, _fields(account.fields))
            return
        of = account.field(field)
        values = account.values.filter(pl.col("field") == field).collect()
        result |= {"fields": [r for r in account.field_rows() if r["name"] == field], "values": values.to_dicts()}
        lines = [_fields((of,)), "", _values(values.head(rows).to_dicts(), sensitive=of.sensitive)]
        lines += [f"... and {values.height - rows} more"] if values.height > rows else []
        speaker.show(result, "\n".join(lines))


def _fields(fields: tuple[FieldAccount, ...]) -> str:
    header = ["field", "kept", "values", "stay", "merged", "covered", "auc_lost", "low", "high", "why"]
    rows = []
    for f in fields:
        lost = (None, None, None) if f.auc_lost is None else (f.auc_lost.value, f.auc_lost.low, f.auc_lost.high)
        rows.append([f.name, f.kept, f.values, f.values_kept, f.values_merged, f.covered, *lost, f.why])
    return aligned(header, rows)


def _values(rows: list[dict[str, Any]], *, sensitive: bool) -> str:
    def shown(row: dict[str, Any]) -> str:
        if row["value"] is None:
            return "(rare)" if row["reason"] == "rare" else "(sensitive)" if sensitive else "(bucket)"
        return "".join(c if c.isprintable() else "\u00b7" for c in row["value"])[:60]

    header = ["value", "rows", "outcome", "score", "into", "why"]
    return aligned(header, [[shown(r), r["rows"], r["outcome"], r["score"], r["into"], r["why"]] for r in rows])


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "explain-selection",
        explain_selection,
        examples("ctrsel explain-selection runs/clicks", "ctrsel explain-selection small/gated --field site"),
        "Finished runs and models",
    ),
)
