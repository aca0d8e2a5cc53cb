"""Append: add new rows to a stored table without reading the old ones' texts again.

Codes of known values never change; values that become frequent enough get codes after the last one, also in old rows, whose
text the tail remembers. The result is what an ingest of all rows would be, up to the numbers of the codes; bucket edges and
moments stay those of the first ingest. The folder is the old one or the new one, whenever the process ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.core.building import build
from ctrsel.core.config import DataConfig, IngestConfig, LabelConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.faults import Faults
from ctrsel.data.increment import Increment
from ctrsel.data.intake import open_raw
from ctrsel.data.numbers import check_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.roles import read_group, read_label, read_weight
from ctrsel.data.row_roles import Roles, window
from ctrsel.data.store import (
    REJECTS,
    check_settings,
    file_digests,
    limited,
    locked,
    memory_bytes,
    note_rejects,
    read_facts,
    scratch_folder,
    store_facts,
    table_place,
)
from ctrsel.data.table import Table
from ctrsel.data.tally import STORE, Tally
from ctrsel.data.time_column import Moment, read_time

__all__ = ["append", "check_told", "held_settings"]


def append(
    store: str | Path,
    data: Any,
    *,
    settings: IngestConfig | None = None,
    as_of: str | None = None,
    late: bool = False,
) -> Table:
    """Add rows to a stored table.

    With a time column, rows not later than the newest stored one are left out, so that the same files may be given
    again; without one, files that were read before are left out, and one that has changed since is refused.

    Args:
        store: The folder that `ingest(..., out=...)` or `append` wrote.
        data: As in `ingest`; its columns must be those of the store, further ones are not read.
        settings: Tolerance, memory and growth of this increment; how values become codes stays as it is. None for
            those of the store.
        as_of: Rows after this time do not exist yet.
        late: Take rows that are older than the newest stored one where they come from a file that was never read, such
            as a day's that was mended afterwards. Of a frame nobody knows whether it was read.

    Raises:
        DataError: If the folder is no such store, a column is missing, or too many rows must be rejected.
        ConfigError: If another process is writing the store, or the settings would change codes.

    Examples:
        >>> import tempfile
        >>> import polars as pl
        >>> from ctrsel.data.ingest import ingest
        >>> days = pl.DataFrame({"ad": ["a", "b"] * 50, "day": [i // 10 for i in range(100)], "click": [0, 1, 1, 0] * 25})
        >>> from ctrsel.core.config import LabelConfig, SchemaConfig
        >>> schema = SchemaConfig(label=LabelConfig(name="click"), time="day", ignore=())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = ingest(days.head(60), schema=schema, out=f"{folder}/store")
        ...     both = append(f"{folder}/store", days)
        >>> first.n_rows, both.n_rows
        (60, 100)
    """
    store = table_place(store)
    read_manifest(store, format="ctrsel.table", version=2)
    with locked(store), scratch_folder(store) as scratch:
        table = Table.load(store)
        if crosses := table.schema.crosses:
            raise DataError(
                f"{store}: this table holds the cross {crosses[0].name!r}; append to the table that it was made from, and "
                "cross the result"
            )
        facts = _facts(store)
        held = build(IngestConfig, facts["settings"], place=f"{store}/{STORE}: settings")
        settings = held if settings is None else settings
        check_settings(settings)
        _steady(held, settings)
        quotes = not any(f.sensitive for f in table.schema.fields)
        rejects = Rejects(tolerance=settings.tolerance, quotes=quotes)
        memory = memory_bytes(settings)
        raw = open_raw(data, rejects=rejects, scratch=scratch, memory=memory, max_cell=settings.max_cell, digests=True)
        raw = _columns(raw, table)
        early = rejects.rows
        faults = Faults(raw=raw, rejects=rejects)
        roles = _roles(raw, table, facts, faults, memory=memory, scratch=scratch)
        as_of = as_of or (data.as_of if isinstance(data, DataConfig) else None)
        usable, young, future = window(roles, faults, delay=facts["delay"], as_of=as_of, some=False)
        known, passed = _known(raw, roles, facts, usable)
        if late:
            passed[:] = False
        usable &= ~(known | passed)
        rejects.check(raw.n_rows + early)
        again = {s.name for s in raw.shards if s.digest in _digests(facts)}
        fresh = rejects.untold(store / REJECTS, files=again)
        tally = Tally(
            read=raw.n_rows + early,
            stored=int(usable.sum()),
            rejected=fresh.rows,
            young=young,
            future=future,
            known=int(known.sum()) + rejects.rows - fresh.rows,
            late=int(passed.sum()),
        )
        event("append", **tally.to_dict())
        if tally.late:
            event("late rows", rows=tally.late, advice="they are older than the newest stored row and were left out")
        total = (Tally(**facts["tally"]) + tally).to_dict()
        if not tally.stored:
            if fresh.rows:
                note_rejects(store, {**facts, "tally": total}, fresh)
                return Table.load(store)
            return replace(table, tally=Tally(**total))
        increment = Increment(
            base=table,
            store=store,
            facts=facts,
            raw=raw,
            roles=roles,
            usable=usable,
            settings=settings,
            memory=memory,
            scratch=scratch,
        )
        after = {
            **facts,
            "next_row": facts["next_row"] + raw.n_rows,
            "until": facts["until"] if roles.time is None else int(max(facts["until"], roles.time[usable].max())),
            "files": {**facts["files"], **file_digests(raw, whole=not limited(data))},
            "tally": total,
            "increments": facts["increments"] + 1,
        }
        manifest: dict[str, Any] = {}
        with atomic_folder(store, manifest=manifest) as folder:
            written = increment.table(folder)
            manifest |= written.write_manifest(folder)
            store_facts(folder, after, fresh, before=store)
        return Table.load(store)


def held_settings(store: str | Path) -> IngestConfig:
    """Return the settings that a store was made with.

    Raises:
        DataError: If the folder is no such store.
    """
    return build(IngestConfig, _facts(Path(store))["settings"], place=f"{store}/{STORE}: settings")


def check_told(store: str | Path, told: Mapping[str, Any]) -> None:
    """Refuse what a user says of columns and splits where the store says otherwise: an increment changes neither.

    Args:
        store: The folder of the table.
        told: Dotted keys of a config (`schema.time`, `split.use`, `schema.fields.ad.kind`) and their values.

    Raises:
        ConfigError: Naming the key and both values.
        DataError: If the folder is no such store.
    """
    facts, schema = _facts(Path(store)), Table.load(Path(store)).schema
    held: dict[str, Any] = {
        "seed": facts["seed"],
        "schema.label.name": schema.labels[0].name,
        "schema.label.positive": schema.labels[0].positive,
        "schema.label.delay": facts["delay"],
        **{f"schema.{role}": getattr(schema, role) for role in ("time", "group", "weight", "sampling_rate")},
        **{f"split.{key}": value for key, value in facts["split"].items()},
        **{f"schema.fields.{f.name}.{key}": value for f in schema.fields for key, value in asdict(f).items()},
    }
    for key, value in told.items():
        if key in held and str(value) != str(held[key]):
            raise ConfigError(f"{key}: the store was made with {held[key]!r} and keeps it, got {value!r}")
        if key == "schema.ignore" and (fields := [n for n in value if n in schema.names and n != schema.group]):
            raise ConfigError(f"schema.ignore: the store was made with the field {fields[0]!r} and keeps it")


def _facts(store: Path) -> dict[str, Any]:
    found = read_facts(store)
    if found is None:
        raise DataError(f"{store}: this table was not written by ingest, so nothing can be added to it")
    return found


def _steady(held: IngestConfig, given: IngestConfig) -> None:
    """Refuse settings of codes that are not those of the store."""
    for name in ("min_count", "numeric_bucket", "bins", "max_length"):
        if getattr(held, name) != getattr(given, name):
            raise ConfigError(
                f"ingest.{name}: the store was made with {getattr(held, name)!r} and keeps it, got {getattr(given, name)!r}"
            )


def _columns(raw: RawRows, table: Table) -> RawRows:
    schema = table.schema
    roles = (schema.labels[0].name, schema.time, schema.group, schema.weight)
    needed = list(dict.fromkeys([*(r for r in roles if r is not None), *schema.names]))
    for name in needed:
        if name not in raw.columns:
            raise DataError(f"data.train: the store has a column {name!r}, which is missing here")
    further = [c for c in raw.columns if c not in needed]
    if further:
        event("columns not read", columns=", ".join(further[:10]), count=len(further))
    return replace(raw, columns=tuple(needed))


def _roles(
    raw: RawRows, table: Table, facts: Mapping[str, Any], faults: Faults, *, memory: int, scratch: Path
) -> Roles:
    schema, label = table.schema, table.schema.labels[0]
    _, values, positive = read_label(
        raw,
        LabelConfig(name=label.name, positive=label.positive),
        faults,
        memory=memory,
        scratch=scratch,
        values=tuple(facts["label_values"]),
    )
    check_fields(raw, schema, faults)
    time, moment = None, None
    if schema.time is not None:
        time, moment = read_time(raw, schema.time, faults)
        if moment != Moment(temporal=facts["temporal"]):
            raise DataError(
                f"schema.time: column {schema.time!r} holds {'times' if facts['temporal'] else 'whole numbers'} in the store, "
                f"and {'times' if moment.temporal else 'whole numbers'} here"
            )
    return Roles(
        positive=positive,
        values=values,
        time=time,
        moment=moment,
        group=None if schema.group is None else read_group(raw, schema.group, memory=memory, scratch=scratch),
        weight=None if schema.weight is None else read_weight(raw, schema.weight, faults),
    )


def _digests(facts: Mapping[str, Any]) -> set[str]:
    """Return the digests of the files that were read before."""
    return set(facts["files"].values()) - {""}


def _known(raw: RawRows, roles: Roles, facts: Mapping[str, Any], usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the usable rows that are stored already, and those that come too late to be."""
    seen = _digests(facts)
    again = np.concatenate([np.full(s.rows, s.digest in seen) for s in raw.shards] or [np.zeros(0, dtype=bool)])
    names = {_source(name) for name in facts["files"]}
    if roles.time is None or facts["until"] is None:
        for shard in raw.shards:
            if _source(shard.name) in names and shard.digest not in seen and not shard.name.startswith("the query of "):
                raise DataError(
                    f"{shard.name}: has changed since it was read, and without schema.time its old rows cannot be told "
                    "from new ones; give new rows in a file of another name"
                )
        return usable & again, np.zeros_like(usable)
    old = usable & (roles.time <= facts["until"])
    # A source that grew in place has new bytes and old rows: what lies before the newest stored row of a frame, or of a
    # file of a known name, was read then.
    read = np.concatenate(
        [np.full(s.rows, s.digest in seen or _source(s.name) in names or s.name == "frame") for s in raw.shards]
    )
    return old & read, old & ~read


def _source(name: str) -> str:
    """Return what a shard's name says without the version of a Delta table.

    Examples:
        >>> _source("clicks (version 3)"), _source("clicks.csv")
        ('clicks', 'clicks.csv')
    """
    return re.sub(r" \(version \d+\)$", "", name)
