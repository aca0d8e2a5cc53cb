"""The command that makes a table of codes from raw rows, and adds new days to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import STEP, Out, examples
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, aligned

if TYPE_CHECKING:
    from ctrsel.core.config import RunConfig
    from ctrsel.data.table import Table

__all__ = ["COMMANDS"]


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


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "ingest",
        ingest,
        examples("ctrsel ingest clicks.parquet --label click --out table", "ctrsel ingest clicks.yaml --json"),
        STEP,
    ),
)
