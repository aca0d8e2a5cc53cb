"""The commands of single steps: ingest, audit, rank, train, select, explain; each takes a config or bare data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.failure import EXIT_CODES
from ctrsel.cli.groups import expand
from ctrsel.cli.output import check_frame_path, write_frame
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, aligned, plain
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.records.audit import Finding
    from ctrsel.train import Fit

__all__ = ["COMMANDS", "EXITS", "examples"]

_SHOWN = 40  # lines of a ranking on the terminal
_MINIMAL = [{"use": "mutual_information"}]  # what bare data are ranked by unless something else is asked for

EXITS = "Exit codes: " + " · ".join(f"[bold]{code}[/bold] {what}" for code, what in EXIT_CODES.items())


def examples(*lines: str) -> str:
    """Return the epilog of a command: its examples, one a line."""
    return "Examples:\n\n" + "\n\n".join(f"[bold]{line}[/bold]" for line in lines)


_Out = Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the result.", show_default=False)]


@expand
def ingest(*, source: Source, out: _Out = None, say: Say) -> None:
    """Turn raw rows into a table of codes: splits, vocabularies, buckets; the training rows alone decide on codes."""
    with say.session() as speaker, source.open() as work:
        speaker.place = str(out or work.plan.out)
        table = work.table
        if out is not None:
            table.save(out)
        fields = [
            {"field": f.name, "kind": f.kind, "bucket": f.bucket, "codes": table.encoder.size(f.name)}
            for f in table.schema.fields
        ]
        splits = {
            name: {"rows": stop - start, "base_rate": float(table.part(name).label().mean())}
            for name, (start, stop) in sorted(table.splits.items(), key=lambda item: item[1])
        }
        result = {
            "out": out,
            "digest": table.digest,
            "rows": table.n_rows,
            "values": table.encoder.n_values,
            "splits": splits,
            "fields": fields,
        }
        text = [
            aligned(["split", "rows", "base_rate"], [[k, v["rows"], v["base_rate"]] for k, v in splits.items()]),
            "",
            aligned(["field", "kind", "bucket", "codes"], [[f[k] for k in f] for f in fields]),
            "",
            f"{table.n_rows:,} rows, {len(fields)} fields, {table.encoder.n_values:,} values"
            + (
                f"; saved in {out}"
                if out is not None
                else "; nothing is saved without --out"
                if not source.configured
                else ""
            ),
        ]
        speaker.show(result, "\n".join(text))


@expand
def audit(*, source: Source, out: _Out = None, say: Say) -> None:
    """Look for leaks, constant, duplicated and per-row fields, unseen values and drift; nothing is selected by it.

    A suspected leak ends with exit code 3 until it is accepted by name (--accept, or audit.accept in the config).
    """
    with say.session() as speaker, source.open() as work:
        from ctrsel.data.audit import audit as look

        speaker.place = str(out or work.plan.out)
        found = look(work.table, accept=work.plan.config.audit.accept)
        if out is not None:
            found.save(out)
        rows = [
            [f.severity, f.rule, f.field or "(table)", f.number, f.evidence + " " + f.advice] for f in found.findings
        ]
        result = {**found.to_dict(), "stops": len(found.stops), "out": out, "exit_code": 3 if found.stops else 0}
        text = (
            aligned(["severity", "rule", "field", "number", "evidence and advice"], rows) if rows else "nothing found"
        )
        speaker.show(result, text)
        _stop_on(found.stops)


def _stop_on(stops: tuple[Finding, ...]) -> None:
    if stops:
        from ctrsel.core.errors import LeakError

        stop = stops[0]
        raise LeakError(f"field {stop.field!r}: {stop.evidence} {stop.advice}")


@expand
def rank(
    *,
    source: Source,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A ranker (see 'ctrsel list'); repeatable. Default: the config's, else mutual_information."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="ranking.parquet, .csv, .tsv, .arrow, .json, or a folder.", show_default=False
        ),
    ] = None,
    say: Say,
) -> None:
    """Rank the fields; training rows score, validation rows check, test rows are not read.

    The result has the columns field, score and rank, and the evidence of its method. Several rankers are stacked, with
    a column that names the method.
    """
    with say.session() as speaker:
        if out is not None and out.suffix:
            check_frame_path(out)
        extra = {"rank": [{"use": name} for name in by]} if by else {}
        with source.open(extra, bare={"rank": _MINIMAL}) as work:
            import polars as pl

            speaker.place = str(out or work.plan.out)
            rankings = work.rank()
            if out is not None and out.suffix:
                stacked = [r.frame.select(pl.lit(r.method).alias("method"), pl.all()) for r in rankings]
                write_frame(pl.concat(stacked, how="diagonal_relaxed") if len(stacked) > 1 else rankings[0].frame, out)
            elif out is not None:
                for ranking in rankings:
                    ranking.save(out / ranking.method)
            result: dict[str, Any] = {"out": out, "rankings": []}
            text = []
            for ranking in rankings:
                frame = ranking.frame.sort("rank")
                result["rankings"].append(
                    {
                        "method": ranking.method,
                        "unit": ranking.unit,
                        "null": ranking.null,
                        "items": frame.to_dicts(),
                        "refused": ranking.refused,
                        "notes": ranking.notes,
                    }
                )
                text += [f"{ranking.method} ({ranking.unit})", _table(frame.head(_SHOWN))]
                if frame.height > _SHOWN:
                    text.append(f"... and {frame.height - _SHOWN} more")
                text += [f"refused {name}: {why}" for name, why in ranking.refused.items()]
                text += [f"note: {note}" for note in ranking.notes]
                text.append("")
            text.append(f"written to {out}" if out is not None else "")
            speaker.show(result, "\n".join(text).rstrip())


def _table(frame: Any) -> str:
    first = [c for c in ("rank", "field", "score") if c in frame.columns]
    names = [*first, *(c for c in frame.columns if c not in first)]
    return aligned(names, frame.select(names).rows())


@expand
def train(
    *,
    source: Source,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="A learner: of the config, or net or boosted; repeatable. Default: the config's, else net."),
    ] = None,
    out: _Out = None,
    say: Say,
) -> None:
    """Train on all values, with early stopping on the validation rows; test rows are not read.

    The table is audited first: a suspected leak ends with exit code 3. OUT holds the model ('ctrsel predict' reads it),
    or one folder per learner.
    """
    with say.session() as speaker:
        extra = {} if source.configured or not learner else _learners(learner)
        with source.open(extra, bare=_learners(["net"])) as work:
            speaker.place = str(out or work.plan.out)
            work.audit()
            fits = work.train(learner)
            folders = {name: _place(out, name, fits) for name in fits}
            for name, fit in fits.items():
                folder = folders[name]
                if folder is not None:
                    fit.model.save(folder)
            result = {
                "models": [
                    {"learner": name, "out": folders[name], "digest": fit.model.digest, **_facts(fit)}
                    for name, fit in fits.items()
                ]
            }
            header = ["learner", "valid_auc", "valid_log_loss", "epochs", "parameters", "bytes", "seconds"]
            rows = [[name, *_facts(fit).values()] for name, fit in fits.items()]
            text = aligned(header, rows) + (f"\n\nsaved in {out}" if out is not None else "")
            speaker.show(result, text)


def _learners(names: list[str]) -> dict[str, Any]:
    return {"learners": {name: {"use": name} for name in names}, "select.learner": names[0]}


def _place(out: Path | None, name: str, fits: dict[str, Fit]) -> Path | None:
    if out is None:
        return None
    return out if len(fits) == 1 else out / name


def _facts(fit: Fit) -> dict[str, Any]:
    return {
        "valid_auc": float(fit.valid["auc"]),
        "valid_log_loss": float(fit.valid["log_loss"]),
        "epochs": fit.epochs,
        "parameters": fit.model.n_parameters,
        "bytes": fit.model.bytes_on_disk,
        "seconds": round(fit.seconds, 2),
    }


@expand
def select(
    *,
    source: Source,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A selector (see 'ctrsel list'); repeatable. Default: the config's, else gated and ranking."),
    ] = None,
    size: Annotated[
        float | None, typer.Option(help="At most this share of the values is kept (0.5).", show_default=False)
    ] = None,
    always_keep: Annotated[
        list[str] | None, typer.Option(help="A field of which all values are kept; repeatable.", show_default=False)
    ] = None,
    never_use: Annotated[
        list[str] | None, typer.Option(help="A field that must not be used; repeatable.", show_default=False)
    ] = None,
    out: _Out = None,
    say: Say,
) -> None:
    """Choose fields and values, and retrain on the smaller table, beside the controls at the same size.

    The controls (random values, most frequent values) always run too. OUT holds, per selector, the feature set and the
    retrained model. Test rows are not read.
    """
    with say.session() as speaker:
        wishes = {
            "select.selectors": [{"use": name} for name in by] if by else None,
            "select.size": size,
            "select.always_keep": always_keep or None,
            "select.never_use": never_use or None,
        }
        extra = {k: v for k, v in wishes.items() if v is not None}
        with source.open(extra, bare={"rank": _MINIMAL}) as work:
            from ctrsel.api.plan import component_key

            speaker.place = str(out or work.plan.out)
            work.audit()
            outcomes = work.select()
            found, rows = [], []
            for name, (selector, outcome) in outcomes.items():
                features, folder = outcome.selection.features, None
                if out is not None:
                    folder = out / component_key(selector)
                    features.save(folder / "feature_set")
                    outcome.fit.model.save(folder / "model")
                facts = {
                    "fields": len(features.fields),
                    "values": features.n_values,
                    "valid_auc": float(outcome.fit.valid["auc"]),
                    "valid_log_loss": float(outcome.fit.valid["log_loss"]),
                    "bytes": outcome.fit.model.bytes_on_disk,
                    "seconds": round(outcome.fit.seconds + outcome.selection.seconds, 2),
                }
                rows.append([name, *facts.values()])
                found.append({"name": name, "out": folder, "kept_fields": features.fields, **facts})
            everything = {"fields": len(work.known.schema.names), "values": work.known.encoder.n_values}
            header = ["selection", "fields", "values", "valid_auc", "valid_log_loss", "bytes", "seconds"]
            text = [
                aligned(header, rows),
                "",
                f"of {everything['fields']} fields and {everything['values']:,} values",
                *([f"saved in {out}"] if out is not None else []),
            ]
            speaker.show({"selections": found, "of": everything}, "\n".join(text))


@expand
def explain(
    *,
    source: Source,
    model: Annotated[
        Path | None,
        typer.Option(help="Explain a saved model on DATA, which then needs no label.", show_default=False),
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="Train and explain this learner; repeatable. Default: the config's, else boosted."),
    ] = None,
    max_rows: Annotated[int | None, typer.Option(help="Rows to explain.", show_default=False)] = None,
    out: _Out = None,
    say: Say,
) -> None:
    """Attribute the log-odds of a sample of validation rows to the fields; the attributions add up, or it is an error."""
    with say.session() as speaker:
        from ctrsel.cli.explaining import explain_learners, explain_saved

        if model is not None:
            if source.configured:
                raise ConfigError("--model: explains a saved model on bare DATA, not on a config")
            speaker.place = str(out or "")
            found = {"model": explain_saved(model, source, rows=max_rows)}
        else:
            extra = {} if source.configured or not learner else _learners(learner)
            if max_rows is not None:
                extra |= {"explain.max_rows": max_rows, "explain.net_rows": max_rows}
            with source.open(extra, bare=_learners(["boosted"])) as work:
                speaker.place = str(out or work.plan.out)
                found = explain_learners(work, learner)
        text, result = [], []
        for name, explanation in found.items():
            ranking = explanation.to_ranking()
            folder = None if out is None else out if len(found) == 1 else out / name
            if folder is not None:
                explanation.save(folder)
            result.append(
                {
                    "model": name,
                    "method": explanation.method,
                    "rows": len(explanation.rows),
                    "checks": explanation.checks,
                    "unit": ranking.unit,
                    "fields": ranking.frame.sort("rank").to_dicts(),
                    "notes": explanation.notes,
                    "out": folder,
                }
            )
            checks = ", ".join(f"{k} {v:.2g}" for k, v in explanation.checks.items())
            text += [f"{name}: {explanation.method}, {len(explanation.rows)} rows ({ranking.unit}); checks: {checks}"]
            text += [_table(ranking.frame.sort("rank").head(_SHOWN)), ""]
        speaker.show(plain({"explanations": result}), "\n".join(text).rstrip())


_STEP = "Single steps (a config, or bare data and --label)"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "ingest",
        ingest,
        examples("ctrsel ingest clicks.parquet --label click --out table", "ctrsel ingest clicks.yaml --json"),
        _STEP,
    ),
    (
        "audit",
        audit,
        examples("ctrsel audit clicks.csv --label click", "ctrsel audit clicks.yaml --accept item_id") + "\n\n" + EXITS,
        _STEP,
    ),
    (
        "rank",
        rank,
        examples(
            "ctrsel rank clicks.parquet --label click --out ranking.parquet",
            "ctrsel rank clicks.yaml --by mutual_information --by boosted_shap --out ranking.csv",
        ),
        _STEP,
    ),
    (
        "train",
        train,
        examples("ctrsel train clicks.parquet --label click --learner boosted --out model", "ctrsel train clicks.yaml"),
        _STEP,
    ),
    (
        "select",
        select,
        examples("ctrsel select clicks.parquet --label click --size 0.3 --out small", "ctrsel select clicks.yaml"),
        _STEP,
    ),
    (
        "explain",
        explain,
        examples("ctrsel explain clicks.parquet --label click --out why", "ctrsel explain clicks.csv --model model"),
        _STEP,
    ),
)
