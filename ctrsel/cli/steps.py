"""The commands of steps that train nothing of their own: ingest, audit, rank; each takes a config or bare data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.comparing import PAGE, Compare, With, check_enough, check_out, compared, read_saved, write_comparison
from ctrsel.cli.failure import EXIT_CODES
from ctrsel.cli.groups import expand
from ctrsel.cli.output import write_frame
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, Speaker, aligned

if TYPE_CHECKING:
    from ctrsel.core.config import RunConfig
    from ctrsel.data.table import Table
    from ctrsel.records.audit import Finding
    from ctrsel.records.ranking import Ranking

__all__ = ["COMMANDS", "EXITS", "MINIMAL", "SHOWN", "START", "STEP", "Out", "examples", "ranking_text"]

SHOWN = 40  # lines of a ranking on the terminal
PAIRS = "interactions"  # the ranker of --pairs
MINIMAL = [{"use": "mutual_information"}]  # what bare data are ranked by unless something else is asked for

EXITS = "Exit codes: " + " · ".join(f"[bold]{code}[/bold] {what}" for code, what in EXIT_CODES.items())


START = "A model that nets go on from: a saved model's or a run's folder, or models:/NAME@champion."


def examples(*lines: str) -> str:
    """Return the epilog of a command: its examples, one a line."""
    return "Examples:\n\n" + "\n\n".join(f"[bold]{line}[/bold]" for line in lines)


Out = Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the result.", show_default=False)]


@expand
def ingest(
    *,
    source: Source,
    append: Annotated[
        bool, typer.Option("--append", help="Add the rows to the table that --out holds; its codes stay as they are.")
    ] = False,
    out: Out = None,
    say: Say,
) -> None:
    """Turn raw rows into a table of codes: splits, vocabularies, buckets; the training rows alone decide on codes.

    With --append new days are added to a table that an earlier ingest wrote. The same files may be given again: rows
    that are not later than the newest stored one are left out, and files that were read before where there is no time.
    """
    if append:
        _append(source, out, say)
        return
    with say.session() as speaker:
        if out is None:
            with source.open() as work:
                speaker.place = str(work.plan.out)
                table = work.plain
        else:
            from ctrsel.data.ingest import ingest as write

            speaker.place = str(out)
            config = source.load()
            table = write(
                config.data,
                schema=config.schema,
                split=config.split,
                settings=config.ingest,
                seed=config.seed,
                out=out,
            )
        kept = f"saved in {out}" if out is not None else "" if source.configured else "nothing is saved without --out"
        speaker.show(*_told(table, out=out, end=kept))


def _append(source: Source, out: Path | None, say: Say) -> None:
    from ctrsel.core.errors import ConfigError

    with say.session() as speaker:
        if out is None:
            raise ConfigError("--append: name the folder of the table with --out")
        from ctrsel.core.building import build
        from ctrsel.core.config import IngestConfig
        from ctrsel.data.append import append, check_told, held_settings
        from ctrsel.data.table import Table

        speaker.place = str(out)
        before = Table.load(out)
        config = source.load(bare={"schema.label.name": before.schema.labels[0].name})
        flags = source.overrides()
        if source.configured:
            given = config.ingest
            check_told(out, _told_by(config))
        else:  # what is not said stays as it is in the store
            said = {k.removeprefix("ingest."): v for k, v in flags.items() if k.startswith("ingest.")}
            given = build(IngestConfig, {**asdict(held_settings(out)), **said}, place="ingest")
            check_told(out, flags)
        table = append(out, config.data, settings=given)
        added = table.n_rows - before.n_rows
        grown = table.encoder.n_values - before.encoder.n_values
        end = f"{added:,} rows and {grown:,} values added to {out}" if added else f"nothing new for {out}"
        speaker.show(*_told(table, out=out, end=end, added={"rows": added, "values": grown}))


def _told_by(config: RunConfig) -> dict[str, Any]:
    """Return what a config says of columns and splits, as dotted keys."""
    schema, label = config.schema, config.schema.label
    told = {f"schema.label.{k}": v for k, v in asdict(label).items() if k != "positive" or v is not None}
    told |= {f"schema.{role}": getattr(schema, role) for role in ("time", "group", "weight", "sampling_rate", "ignore")}
    told |= {f"split.{k}": v for k, v in asdict(config.split).items()}
    for name, field in schema.fields.items():
        told |= {f"schema.fields.{name}.{k}": v for k, v in asdict(field).items() if v is not None}
    return {**told, "seed": config.seed}


def _told(
    table: Table, *, out: Path | None, end: str, added: dict[str, int] | None = None
) -> tuple[dict[str, Any], str]:
    """Return what is said of a table, as values and as text."""
    fields = [
        {"field": f.name, "kind": f.kind, "bucket": f.bucket, "codes": table.encoder.size(f.name)}
        for f in table.schema.fields
    ]
    splits = {
        name: {"rows": stop - start, "base_rate": float(table.part(name).label().mean())}
        for name, (start, stop) in sorted(table.splits.items(), key=lambda item: item[1])
    }
    tally, hashed = table.tally, _collisions(table)
    result: dict[str, Any] = {
        "out": out,
        "digest": table.digest,
        "rows": table.n_rows,
        "values": table.encoder.n_values,
        "splits": splits,
        "fields": fields,
    }
    if hashed:
        result["hashed"] = hashed
    if tally is not None:
        result["tally"] = tally.to_dict()
    if added is not None:
        result["added"] = added
    text = [
        aligned(["split", "rows", "base_rate"], [[k, v["rows"], v["base_rate"]] for k, v in splits.items()]),
        "",
        aligned(["field", "kind", "bucket", "codes"], [[f[k] for k in f] for f in fields]),
        "",
        f"{table.n_rows:,} rows, {len(fields)} fields, {table.encoder.n_values:,} values" + (f"; {end}" if end else ""),
    ]
    for name, h in hashed.items():
        shared = ", ".join(" and ".join(map(repr, pair)) for pair in h["heaviest"])
        text.append(
            f"{name}: {h['colliding']:,} of {h['values']:,} values share one of {h['buckets']:,} hash buckets with another"
            + (f"; the heaviest that do: {shared}" if shared else "")
        )
    if tally is not None and tally.read != tally.stored:
        text.append(tally.sentence() + (f"; see {out}/rejects.csv" if tally.rejected and out is not None else ""))
    return result, "\n".join(text)


def _collisions(table: Table) -> dict[str, dict[str, Any]]:
    """Return what is known of each hashed vocabulary: its values, how many share a bucket, and the heaviest by name."""
    return {
        name: {
            "buckets": v.hashed.buckets,
            "values": int(v.hashed.distinct.sum()),
            "colliding": v.hashed.colliding,
            "heaviest": [list(c.texts[:3]) for c in v.hashed.heaviest[:3]],
        }
        for name, v in table.encoder.vocabularies.items()
        if v.hashed is not None
    }


@expand
def audit(*, source: Source, out: Out = None, say: Say) -> None:
    """Look for leaks, constant, duplicated and per-row fields, unseen values and drift; nothing is selected by it.

    A suspected leak ends with exit code 3 until it is accepted by name (--accept, or audit.accept in the config).
    """
    with say.session() as speaker, source.open() as work:
        from ctrsel.data.audit import audit as look

        speaker.place = str(out or work.plan.out)
        found = look(work.plain, accept=work.plan.config.audit.accept)
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
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Rank pairs of fields too, by 'interactions': auto (screened on a sample of rows where all rows would "
            "take long), or all (says first what it takes).",
            metavar="auto|all",
            show_default=False,
        ),
    ] = None,
    compare: Compare = False,
    saved: With = None,
    say: Say,
) -> None:
    """Rank the fields; training rows score, validation rows check, test rows are not read.

    The result has the columns field, score and rank, and the evidence of its method. Several rankers are stacked, with
    a column that names the method. --pairs ranks pairs of fields beside the rankers of --by. With --compare it also
    says how much the rankings agree.
    """
    with say.session() as speaker:
        compare = compare or bool(saved)
        data = not saved or source.data is not None or source.config is not None
        check_out(out, compare=compare, data=data)
        others = read_saved(saved or ())
        if not data:
            _compare_saved(others, out, speaker)
            return
        wanted: list[dict[str, Any]] = [{"use": name} for name in by or () if pairs is None or name != PAIRS]
        if pairs is not None:
            wanted.append({"use": PAIRS, "pairs": pairs})
        # Nothing is selected here, so that a selector by a ranking that was not asked for is no mistake.
        extra: dict[str, Any] = {"rank": wanted, "select.selectors": [{"use": "gated"}]} if wanted else {}
        with source.open(extra, bare={"rank": MINIMAL}) as work:
            import polars as pl

            speaker.place = str(out or work.plan.out)
            if pairs == "all":
                typer.echo(_pair_cost(work.table), err=True)
            if compare:
                check_enough(len(work.plan.rankers) + len(others))
            rankings = work.rank()
            found, told, agreed = compared(rankings, others) if compare else (None, None, "")
            if found is not None and out is not None:
                write_comparison(found, out)
            if out is not None and out.suffix.lower() == PAGE:
                pass  # the page is about the agreement; the rankings themselves are on standard output
            elif out is not None and out.suffix:
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
                text += [f"{ranking.method} ({ranking.unit})", ranking_text(frame.head(SHOWN))]
                if frame.height > SHOWN:
                    text.append(f"... and {frame.height - SHOWN} more")
                text += [f"refused {name}: {why}" for name, why in ranking.refused.items()]
                text += [f"note: {note}" for note in ranking.notes]
                text.append("")
            if told is not None:
                result["comparison"] = told
                text += [agreed, ""]
            text.append(f"written to {out}" if out is not None else "")
            speaker.show(result, "\n".join(text).rstrip())


def _pair_cost(table: Table) -> str:
    from ctrsel.data.table import Ragged
    from ctrsel.rank.driver import FLOAT_BUCKETS
    from ctrsel.rank.pair_cost import estimate, workers

    span = table.span("train")
    names = [n for n, column in table.columns.items() if not isinstance(column, Ragged)]
    sizes = [table.encoder.size(n) for n in names if not table.schema.field(n).is_float]
    sizes += [FLOAT_BUCKETS] * (len(names) - len(sizes))
    return f"estimate: {estimate(rows=span.stop - span.start, sizes=sizes, threads=workers(None))}"


def _compare_saved(saved: Mapping[str, Ranking], out: Path | None, speaker: Speaker) -> None:
    speaker.place = str(out or "")
    found, told, text = compared((), saved)
    if out is not None:
        write_comparison(found, out)
    end = f"\n\nwritten to {out}" if out is not None else ""
    speaker.show({"out": out, "rankings": [], "comparison": told}, text + end)


def ranking_text(frame: Any) -> str:
    """Lay out a ranking's frame: rank, field and score first, then the evidence."""
    first = [c for c in ("rank", "field", "score") if c in frame.columns]
    told = {*first, "fields"}  # a cross is named by its fields
    names = [*first, *(c for c in frame.columns if c not in told)]
    return aligned(names, frame.select(names).rows())


STEP = "Single steps (a config, or bare data and --label)"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "ingest",
        ingest,
        examples("ctrsel ingest clicks.parquet --label click --out table", "ctrsel ingest clicks.yaml --json"),
        STEP,
    ),
    (
        "audit",
        audit,
        examples("ctrsel audit clicks.csv --label click", "ctrsel audit clicks.yaml --accept item_id") + "\n\n" + EXITS,
        STEP,
    ),
    (
        "rank",
        rank,
        examples(
            "ctrsel rank clicks.parquet --label click --out ranking.parquet",
            "ctrsel rank clicks.yaml --by mutual_information --by boosted_shap --compare --out agreement.html",
            "ctrsel rank --with monday.parquet --with tuesday.parquet",
        ),
        STEP,
    ),
)
