"""Ingest: raw rows to a Table, with the Encoder fitted on the training split only.

Columns are read one vocabulary at a time, in chunks, so that memory holds the ids of a few columns and never the table:
what was read becomes ids of distinct texts, training rows are counted, counts become codes, and codes go to their place in
split order, in memory or straight into the files of a folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.artifact import atomic_folder, to_json
from ctrsel.core.config import DataConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.canonical import list_items, numeric_values
from ctrsel.data.encoder import Encoder
from ctrsel.data.faults import Faults
from ctrsel.data.fit import (
    RawVocabulary,
    float_column,
    float_moments,
    lookup,
    raw_vocabulary,
    vocabulary_fields,
)
from ctrsel.data.infer import check_columns, infer_fields
from ctrsel.data.intake import open_raw
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.roles import Moment, as_moment, duration, number_values, read_group, read_label, read_time, read_weight
from ctrsel.data.split import assign
from ctrsel.data.table import Ragged, Table
from ctrsel.data.tail import Tail
from ctrsel.data.tally import Tally
from ctrsel.data.vocabulary import Vocabulary, smallest_uint, vocabulary_of
from ctrsel.data.writer import Writer
from ctrsel.records.feature_set import OTHER
from ctrsel.records.schema import Schema

__all__ = [
    "REJECTS",
    "STORE",
    "Roles",
    "check_fields",
    "ingest",
    "memory_bytes",
    "read_roles",
    "scratch_folder",
    "file_digests",
    "store_facts",
    "window",
    "workers",
]

STORE = "ingest.json"  # what an increment needs to know of a stored table
REJECTS = "rejects.csv"


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
        label: Name of the label column; shorthand for a schema that says no more.
        schema: What the columns are; what it does not say is inferred.
        split: How rows are divided where the data does not say.
        settings: How values become codes.
        seed: Of the split.
        out: A folder to write the table into; its arrays are memory-mapped then, and `append` can add to it.
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
    if schema is None:
        if label is None:
            raise ConfigError("label: name the label column")
        schema = SchemaConfig(label=LabelConfig(name=label))
    split, settings = split or SplitConfig(), settings or IngestConfig()
    as_of = as_of or (data.as_of if isinstance(data, DataConfig) else None)
    rejects = Rejects(tolerance=settings.tolerance)
    with scratch_folder(out) as scratch:
        memory = memory_bytes(settings)
        raw = open_raw(data, rejects=rejects, scratch=scratch, memory=memory, max_cell=settings.max_cell, digests=out is not None)
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
            "files": file_digests(raw),
            "tally": tally.to_dict(),
            "increments": 0,
        }
        work = _Work(raw=raw, schema=found, settings=settings, roles=roles, rows=rows, memory=memory, scratch=scratch)
        source = _name(data)
        if out is None:
            table = work.table(Writer(folder=None), source=source)
        else:
            manifest: dict[str, Any] = {}
            with atomic_folder(Path(out), manifest=manifest) as folder:
                written = work.table(Writer(folder=folder), source=source)
                manifest |= written.write_manifest(folder)
                store_facts(folder, facts, rejects)
            table = Table.load(Path(out))
    if rejects.rows:
        event("rejected", rows=rejects.rows, of=tally.read, reason=str(rejects.frame()["reason"][0]))
    event("encoded", rows=table.n_rows, fields=len(found.fields), values=table.encoder.n_values)
    return table


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns that are no fields say of each raw row.

    Attributes:
        positive: Boolean `[N]`.
        values: The label's two values.
        time: int64 `[N]` or None.
        moment: How time counts.
        group: int64 `[N]` or None.
        weight: float64 `[N]` or None.
    """

    positive: np.ndarray
    values: tuple[str, ...]
    time: np.ndarray | None
    moment: Moment | None
    group: np.ndarray | None
    weight: np.ndarray | None


def read_roles(
    raw: RawRows, config: SchemaConfig, settings: IngestConfig, faults: Faults, *, memory: int, scratch: Path
) -> tuple[Schema, Roles]:
    """Read what decides on rows: label, time, group, weight; complete the schema; find texts in numeric fields."""
    label, values, positive = read_label(raw, config.label, faults, memory=memory, scratch=scratch)
    schema = infer_fields(raw, config, settings, label=label)
    check_fields(raw, schema, faults)
    time, moment = (None, None) if config.time is None else read_time(raw, config.time, faults)
    return schema, Roles(
        positive=positive,
        values=values,
        time=time,
        moment=moment,
        group=None if config.group is None else read_group(raw, config.group, memory=memory, scratch=scratch),
        weight=None if config.weight is None else read_weight(raw, config.weight, faults),
    )


def check_fields(raw: RawRows, schema: Schema, faults: Faults) -> None:
    """Find the rows with a text in a numeric field, before anything is decided by rows; refuse what has no text form."""
    for field in schema.fields:
        if field.kind != "numeric":
            if field.is_list:
                for kind in raw.types(field.name):
                    list_items(pl.Series(field.name, [], dtype=kind))
            continue
        if all(t.is_numeric() or t.is_temporal() or t in (pl.Boolean, pl.Null) for t in raw.types(field.name)):
            continue
        start = 0
        for chunk in raw.chunks(field.name):
            if chunk.dtype not in (pl.String, pl.Categorical, pl.Enum):
                numeric_values(chunk)  # refuses what is neither a number nor a text
                start += len(chunk)
                continue
            texts = chunk.cast(pl.String)
            wrong = number_values(chunk).is_null() & (texts.str.strip_chars() != "") & ~_nan(texts)
            bad = np.flatnonzero(wrong.fill_null(value=False).to_numpy()) + start
            shown = "a text" if field.sensitive else None

            def sentence(bad: np.ndarray = bad, chunk: pl.Series = texts, start: int = start) -> str:
                at = int(bad[0])
                part = next(k for k, s in raw.parts.items() if s.start <= at < s.stop)
                return (
                    f"data.{part}: column {field.name!r}: row {at - raw.parts[part].start + 1} must be a number, "
                    f"got {shown or repr(chunk[at - start])} ({len(bad)} such rows); make it categorical in the schema, "
                    "or mend the file"
                )

            def reasons(bad: np.ndarray = bad, chunk: pl.Series = texts, start: int = start) -> pl.Series:
                rule = f"column {field.name!r} must be a number, got "
                if shown is not None:
                    return pl.Series([rule + shown]).new_from_index(0, len(bad))
                return pl.select(pl.lit(rule) + chunk.gather(bad - start).str.slice(0, 200)).to_series()

            faults.add(bad, reasons, refuse=sentence)
            start += len(chunk)


def _nan(texts: Any) -> Any:
    return texts.str.strip_chars().str.to_lowercase().is_in(["nan", "-nan", "+nan"])


def window(
    roles: Roles, faults: Faults, *, delay: str | None, as_of: str | None, some: bool = True
) -> tuple[np.ndarray, int, int]:
    """Decide which rows may be used: not rejected, not later than `as_of`, and old enough for their outcome to be known.

    Args:
        roles: Of the rows.
        faults: Which of them are out.
        delay: How long an outcome may take.
        as_of: Rows after this time do not exist yet; None for the newest row's time.
        some: Whether at least one row must be left.

    Returns:
        Boolean `[N]`, how many rows are too young, and how many lie in the future.

    Raises:
        ConfigError: If a delay or a time is given without a time column.
    """
    usable = ~faults.bad
    if delay is None and as_of is None:
        return usable, 0, 0
    if roles.time is None or roles.moment is None:
        place = "schema.label.delay" if delay is not None else "data.as_of"
        raise ConfigError(f"{place}: needs schema.time, the column that says when a row happened")
    if not usable.any():
        return usable, 0, 0
    now = int(roles.time[usable].max()) if as_of is None else as_moment(as_of, roles.moment, place="data.as_of")
    future = usable & (roles.time > now)
    usable &= ~future
    young = np.zeros(len(usable), dtype=bool)
    if delay is not None:
        young = usable & (roles.time > now - duration(delay, roles.moment, place="schema.label.delay"))
        usable &= ~young
    if some and not usable.any():
        raise DataError(
            f"no row is old enough: {int(future.sum())} rows are later than the time as of which the table is made, and "
            f"{int(young.sum())} are younger than schema.label.delay"
        )
    return usable, int(young.sum()), int(future.sum())


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Everything that is decided about rows, and the columns still to be encoded."""

    raw: RawRows
    schema: Schema
    settings: IngestConfig
    roles: Roles
    rows: dict[str, np.ndarray]
    memory: int
    scratch: Path

    def table(self, writer: Writer, *, source: str) -> Table:
        """Encode every column, a vocabulary at a time, several at once."""
        order = np.concatenate(list(self.rows.values()))
        train, stored = np.zeros(self.raw.n_rows, dtype=bool), np.zeros(self.raw.n_rows, dtype=bool)
        train[self.rows["train"]], stored[order] = True, True
        groups = vocabulary_fields(self.schema)
        place = {f.name: i for i, f in enumerate(self.schema.fields)}
        columns: dict[str, np.ndarray | Ragged] = {}
        vocabularies: dict[str, Vocabulary] = {}
        edges: dict[str, np.ndarray] = {}
        moments: dict[str, tuple[float, float]] = {}
        many = workers(len(groups))

        def encode(name: str) -> tuple[Vocabulary, RawVocabulary, dict[str, np.ndarray | Ragged]]:
            raw = raw_vocabulary(
                name,
                groups[name],
                self.raw,
                train=train,
                memory=self.memory // many,
                scratch=_sub(self.scratch, place[groups[name][0].name]),
            )
            counts, missing = raw.counts(train)
            minimum = max(f.min_count for f in groups[name])
            vocabulary = vocabulary_of(
                name,
                raw.texts,
                counts,
                missing=missing,
                min_count=minimum,
                order=raw.order,
                hash_buckets=groups[name][0].hash_buckets,
                scratch=_sub(self.scratch, place[groups[name][0].name]),
            )
            if vocabulary.hashed is not None:
                codes = vocabulary.codes_for(raw.texts)
            else:  # its values are the frequent texts, in their order
                codes = np.full(len(raw.texts), OTHER, dtype=smallest_uint(vocabulary.size))
                codes[counts >= minimum] = vocabulary.codes
            lut = lookup(raw, codes)
            made: dict[str, np.ndarray | Ragged] = {}
            for f in raw.fields:
                at = f"column_{place[f.field.name]}"
                made[f.field.name] = (
                    writer.plain(at, f.ids, order, lut=lut)
                    if f.offsets is None
                    else writer.ragged(at, f.offsets, f.ids, order, lut=lut)
                )
            if writer.folder is not None and Tail.wanted(groups[name]):
                tail = Tail.of(raw, codes, stored=stored, first_row=0)
                tail.trimmed().save(writer.folder, place[groups[name][0].name])
            return vocabulary, raw, made

        for (vocabulary, raw, made) in _in_threads(many, encode, list(groups)):
            vocabularies[vocabulary.name] = vocabulary
            edges |= raw.edges
            columns |= made
        for f in self.schema.fields:
            if f.is_float:
                moments[f.name] = float_moments(self.raw, f.name, train=train)
                columns[f.name] = writer.plain(f"column_{place[f.name]}", float_column(self.raw, f.name), order)
        names = [f.name for f in self.schema.fields]
        encoder = Encoder(
            schema=self.schema,
            vocabularies={k: vocabularies[k] for k in groups},
            edges={k: edges[k] for k in names if k in edges},
            moments={k: moments[k] for k in names if k in moments},
        )
        roles = self.roles
        splits, start = {}, 0
        for name, of in self.rows.items():
            splits[name] = (start, start + len(of))
            start += len(of)
        return Table(
            encoder=encoder,
            columns={k: columns[k] for k in names},
            labels=writer.keep("labels", roles.positive[order].astype(np.float32)[:, None]),
            row=writer.keep("row", order.astype(np.int64)),
            weight=None if roles.weight is None else writer.keep("weight", roles.weight[order]),
            group=None if roles.group is None else writer.keep("group", roles.group[order]),
            time=None if roles.time is None else writer.keep("time", roles.time[order]),
            splits=splits,
            source=source,
        )


def _in_threads(many: int, work: Any, items: list[str]) -> Iterator[Any]:
    if many == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(max_workers=many) as pool:
        yield from pool.map(work, items)


def workers(tasks: int) -> int:
    """Return how many vocabularies are encoded at once: the threads that polars was given, at most 8."""
    return max(min(pl.thread_pool_size(), 8, tasks), 1)


def memory_bytes(settings: IngestConfig) -> int:
    """Return the bytes that the dictionaries may hold: the setting, else a quarter of the memory that is free."""
    if settings.memory_gb is not None:
        if settings.memory_gb <= 0:
            raise ConfigError(f"ingest.memory_gb: must be above 0, got {settings.memory_gb}")
        return int(settings.memory_gb * 2**30)
    import psutil

    return int(psutil.virtual_memory().available) // 4


@contextmanager
def scratch_folder(out: str | Path | None) -> Iterator[Path]:
    """Hold a folder for what does not fit in memory: beside the result, else where temporary files go."""
    beside = None
    if out is not None:
        target = Path(out).absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob(f".{target.name}.scratch-*"):
            _sweep(stale)
        beside = target.parent
        prefix = f".{target.name}.scratch-{os.getpid()}-"
    else:
        prefix = "ctrsel-ingest-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=beside, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sweep(stale: Path) -> None:
    """Remove the scratch folder of a process that is gone."""
    owner = stale.name.split(".scratch-")[1].split("-")[0]
    if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
        shutil.rmtree(stale, ignore_errors=True)


def _sub(scratch: Path, number: int) -> Path:
    folder = scratch / f"vocabulary_{number}"
    folder.mkdir(exist_ok=True)
    return folder


def store_facts(folder: Path, facts: dict[str, Any], rejects: Rejects, *, before: Path | None = None) -> None:
    """Write beside a table what an increment needs, and the rejected rows, after those of the store as it was before."""
    (folder / STORE).write_text(to_json(facts, indent=1) + "\n", encoding="utf-8")
    earlier = None if before is None else before / REJECTS
    if earlier is not None and earlier.is_file():
        shutil.copyfile(earlier, folder / REJECTS)
    if rejects.rows:
        rejects.save(folder / REJECTS)


def file_digests(raw: RawRows) -> dict[str, str]:
    """Return the digests of the files that rows came from, by name."""
    return {s.name: s.digest for s in raw.shards if s.name != "frame"}


def _name(data: Any) -> str:
    if isinstance(data, DataConfig):
        return data.dataset or str(data.train)
    return str(data) if isinstance(data, str) or hasattr(data, "__fspath__") else "frame"


