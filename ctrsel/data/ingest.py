"""Ingest: raw rows to a Table, with the Encoder fitted on the training split only.

Columns are read one vocabulary at a time, in chunks, so that memory holds the ids of a few columns and never the table:
what was read becomes ids of distinct texts, training rows are counted, counts become codes, and codes go to their place in
split order, in memory or straight into the files of a folder.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import atomic_folder
from ctrsel.core.config import DataConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.faults import Faults
from ctrsel.data.infer import check_columns
from ctrsel.data.intake import open_raw
from ctrsel.data.layouts import CATALOG, layout_schema
from ctrsel.data.rejects import Rejects
from ctrsel.data.row_encoder import RowEncoder, one_after_another
from ctrsel.data.row_roles import read_roles, window
from ctrsel.data.split import assign
from ctrsel.data.store import (
    check_settings,
    file_digests,
    limited,
    locked,
    memory_bytes,
    read_facts,
    scratch_folder,
    store_facts,
    table_place,
)
from ctrsel.data.table import Table
from ctrsel.data.tally import Tally
from ctrsel.data.writer import Writer

__all__ = ["ingest"]


def ingest(
    data: Any,
    *,
    label: str | None = None,
    schema: SchemaConfig | None = None,
    split: SplitConfig | None = None,
    settings: IngestConfig | None = None,
    seed: int = 1,
    out: str | Path | None = None,
    as_of: str | None = None,
) -> Table:
    """Turn raw rows into a Table with train, valid and test splits.

    Args:
        data: A `DataConfig`, a path, glob or URI, a polars or pandas frame, or a mapping of split name to any of these.
        label: Name of the label column; shorthand for a schema that says no more. An original layout knows its own.
        schema: What the columns are; what it does not say is inferred.
        split: How rows are divided where the data does not say.
        settings: How values become codes.
        seed: Of the split.
        out: A folder to write the table into, or that holds a table to be replaced; its arrays are memory-mapped then,
            and `append` can add to it.
        as_of: Rows after this time do not exist yet; a `DataConfig` may say it as well.

    Raises:
        ConfigError, DataError: In one sentence with the place, the rule and the value.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"ad": ["a", "b"] * 50, "click": [0, 1, 1, 0] * 25})
        >>> table = ingest(frame, label="click")
        >>> table.n_rows, list(table.splits), table.encoder.size("ad")
        (100, ['train', 'valid', 'test'], 5)
    """
    if schema is None and label is not None:
        schema = SchemaConfig(label=LabelConfig(name=label))
    layout = data.format if isinstance(data, DataConfig) and data.format in CATALOG.names() else None
    if schema is None and layout is None:
        raise ConfigError("label: name the label column")
    place = None if out is None else table_place(out)
    _keep_increments(place)
    split, settings = split or SplitConfig(), settings or IngestConfig()
    check_settings(settings)
    as_of = as_of or (data.as_of if isinstance(data, DataConfig) else None)
    discreet = schema is not None and any(f.sensitive for f in schema.fields.values())
    rejects = Rejects(tolerance=settings.tolerance, quotes=not discreet)
    with scratch_folder(place) as scratch:
        memory = memory_bytes(settings)
        raw = open_raw(
            data, rejects=rejects, scratch=scratch, memory=memory, max_cell=settings.max_cell, digests=place is not None
        )
        schema = schema if layout is None else layout_schema(layout, raw.columns, schema)
        assert schema is not None
        check_columns(raw.columns, schema)
        early = rejects.rows
        faults = Faults(raw=raw, rejects=rejects)
        found, roles = read_roles(raw, schema, settings, faults, memory=memory, scratch=scratch)
        event("read", rows=raw.n_rows + early, columns=len(raw.columns), fields=len(found.fields))
        usable, young, future = window(roles, faults, delay=schema.label.delay, as_of=as_of)
        rejects.check(raw.n_rows + early)
        rows = assign(
            raw.parts,
            split,
            seed=seed,
            positive=roles.positive,
            time=roles.time,
            group=roles.group,
            usable=usable,
        )
        tally = Tally(
            read=raw.n_rows + early,
            stored=sum(map(len, rows.values())),
            rejected=rejects.rows,
            young=young,
            future=future,
        )
        order, splits = one_after_another(rows)
        facts = {
            "schema": found.to_dict(),
            "label_values": sorted(roles.values),
            "given": list(raw.parts),
            "delay": schema.label.delay,
            "split": asdict(split),
            "settings": asdict(settings),
            "seed": seed,
            "next_row": raw.n_rows,
            "until": None if roles.time is None or not usable.any() else int(roles.time[usable].max()),
            "temporal": None if roles.moment is None else roles.moment.temporal,
            "files": file_digests(raw, whole=not limited(data)),
            "tally": tally.to_dict(),
            "increments": 0,
        }

        def encoded(folder: Path | None) -> Table:
            return RowEncoder(
                raw=raw,
                schema=found,
                roles=roles,
                order=order,
                splits=splits,
                memory=memory,
                scratch=scratch,
                writer=Writer(folder=folder),
            ).table(source=_name(data))

        if place is None:
            table = replace(encoded(None), tally=tally)
        else:
            manifest: dict[str, Any] = {}
            with locked(place), atomic_folder(place, manifest=manifest) as folder:
                manifest |= encoded(folder).write_manifest(folder)
                store_facts(folder, facts, rejects)
            table = Table.load(place)
    if rejects.rows:
        event("rejected", rows=rejects.rows, of=tally.read)  # reasons hold values, which no log does
    event("encoded", rows=table.n_rows, fields=len(found.fields), values=table.encoder.n_values)
    return table


def _keep_increments(place: Path | None) -> None:
    """Refuse to replace a table that increments were added to: a forgotten --append would lose them.

    Raises:
        ConfigError: If there is such a table.
    """
    try:
        facts = None if place is None else read_facts(place)
    except DataError:  # a damaged table may be replaced
        return
    if facts is not None and facts.get("increments"):
        raise ConfigError(
            f"{place}: holds a table with {facts['increments']} increments, which would be lost; add to it with --append "
            "(ctrsel.append), name another folder, or remove it first"
        )


def _name(data: Any) -> str:
    if isinstance(data, DataConfig):
        return data.dataset or str(data.train)
    return str(data) if isinstance(data, str) or hasattr(data, "__fspath__") else "frame"
