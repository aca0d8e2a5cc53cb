"""Append: add new rows to a stored table without reading the old ones' texts again.

Codes of known values never change; values that become frequent enough get codes after the last one, also in old rows, whose
text the tail remembers. The result is what an ingest of all rows would be, up to the numbers of the codes; bucket edges and
moments stay those of the first ingest. The folder is the old one or the new one, whenever the process ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.artifact import atomic_folder
from ctrsel.core.config import DataConfig, IngestConfig, LabelConfig, SplitConfig, build
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.faults import Faults
from ctrsel.data.fit import RawVocabulary, float_column, lookup, raw_vocabulary, vocabulary_fields
from ctrsel.data.intake import open_raw
from ctrsel.data.numbers import check_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.roles import Moment, read_group, read_label, read_time, read_weight
from ctrsel.data.row_roles import Roles, window
from ctrsel.data.split import assign
from ctrsel.data.store import STORE, file_digests, locked, memory_bytes, scratch_folder, store_facts
from ctrsel.data.table import Ragged, Table
from ctrsel.data.tail import Tail, TailField
from ctrsel.data.tally import Tally
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.data.writer import Writer, expand
from ctrsel.records.feature_set import OTHER
from ctrsel.records.schema import Field

__all__ = ["append"]

_PIECE = 1_000_000  # rows


def append(store: str | Path, data: Any, *, settings: IngestConfig | None = None, as_of: str | None = None) -> Table:
    """Add rows to a stored table.

    With a time column, rows not later than the newest stored one are left out, so that the same files may be given
    again; without one, files that were read before are left out.

    Args:
        store: The folder that `ingest(..., out=...)` or `append` wrote.
        data: As in `ingest`; its columns must be those of the store, further ones are not read.
        settings: Tolerance, memory and growth of this increment; how values become codes stays as it is. None for
            those of the store.
        as_of: Rows after this time do not exist yet.

    Raises:
        DataError: If the folder is no such store, a column is missing, or too many rows must be rejected.
        ConfigError: If another process is writing the store, or the settings would change codes.

    Examples:
        >>> import tempfile
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
    store = Path(store)
    with locked(store), scratch_folder(store) as scratch:
        table = Table.load(store)
        facts = _facts(store)
        held = build(IngestConfig, facts["settings"], place=f"{store}/{STORE}: settings")
        settings = held if settings is None else settings
        _steady(held, settings)
        rejects = Rejects(tolerance=settings.tolerance)
        memory = memory_bytes(settings)
        raw = open_raw(data, rejects=rejects, scratch=scratch, memory=memory, max_cell=settings.max_cell, digests=True)
        raw = _columns(raw, table)
        early = rejects.rows
        faults = Faults(raw=raw, rejects=rejects)
        roles = _roles(raw, table, facts, faults, memory=memory, scratch=scratch)
        as_of = as_of or (data.as_of if isinstance(data, DataConfig) else None)
        usable, young, future = window(roles, faults, delay=facts["delay"], as_of=as_of, some=False)
        known, late = _known(raw, roles, facts, usable)
        usable &= ~(known | late)
        rejects.check(raw.n_rows + early)
        tally = Tally(
            read=raw.n_rows + early,
            stored=int(usable.sum()),
            rejected=rejects.rows,
            young=young,
            future=future,
            known=int(known.sum()),
            late=int(late.sum()),
        )
        event("append", **tally.to_dict())
        if tally.late:
            event("late rows", rows=tally.late, advice="they are older than the newest stored row and were left out")
        if not tally.stored:
            return table
        increment = _Increment(
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
            "files": {**facts["files"], **file_digests(raw)},
            "tally": (Tally(**facts["tally"]) + tally).to_dict(),
            "increments": facts["increments"] + 1,
        }
        manifest: dict[str, Any] = {}
        with atomic_folder(store, manifest=manifest) as folder:
            written = increment.table(folder)
            manifest |= written.write_manifest(folder)
            store_facts(folder, after, rejects, before=store)
        return Table.load(store)


def _facts(store: Path) -> dict[str, Any]:
    file = store / STORE
    if not file.is_file():
        raise DataError(f"{store}: this table was not written by ingest, so nothing can be added to it")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
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


def _known(raw: RawRows, roles: Roles, facts: Mapping[str, Any], usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the usable rows that are stored already, and those that come too late to be."""
    seen = set(facts["files"].values()) - {""}
    again = np.concatenate([np.full(s.rows, s.digest in seen) for s in raw.shards] or [np.zeros(0, dtype=bool)])
    if roles.time is None or facts["until"] is None:
        return usable & again, np.zeros_like(usable)
    old = usable & (roles.time <= facts["until"])
    # A source that grew in place has new bytes and old rows: what lies before the newest stored row of a frame, or of a
    # file of a known name, was read then.
    names = set(facts["files"])
    read = np.concatenate(
        [np.full(s.rows, s.digest in seen or s.name in names or s.name == "frame") for s in raw.shards]
    )
    return old & read, old & ~read


@dataclass(frozen=True, kw_only=True)
class _Increment:
    """A stored table and the rows to be added."""

    base: Table
    store: Path
    facts: Mapping[str, Any]
    raw: RawRows
    roles: Roles
    usable: np.ndarray
    settings: IngestConfig
    memory: int
    scratch: Path

    def table(self, folder: Path) -> Table:
        """Write the arrays of both together."""
        base, raw = self.base, self.raw
        n, first = base.n_rows, int(self.facts["next_row"])
        splits = self._splits()
        order = np.concatenate(list(splits.values()))
        train = np.zeros(n + raw.n_rows, dtype=bool)
        train[splits["train"]] = True
        into = np.empty(n, dtype=np.int64)  # place of each old row
        into[order[order < n]] = np.flatnonzero(order < n)
        rows_of = _RowPlaces.of(base.row)
        writer = _Union(writer=Writer(folder=folder), base=n, order=order)
        place = {f.name: i for i, f in enumerate(base.schema.fields)}
        columns: dict[str, np.ndarray | Ragged] = {}
        vocabularies: dict[str, Vocabulary] = {}
        for name, fields in vocabulary_fields(base.schema).items():
            number = place[fields[0].name]
            scratch = self.scratch / f"vocabulary_{number}"
            scratch.mkdir()
            coded = raw_vocabulary(
                name,
                fields,
                raw,
                train=train[n:],
                memory=self.memory,
                scratch=scratch,
                edges=base.encoder.edges,
            )
            old = base.encoder.vocabularies[name]
            tail = Tail.load(self.store, number, fields) if Tail.wanted(fields) else None
            grown = old if tail is None else self._grow(old, fields, coded, tail=tail, train=train, rows_of=rows_of)
            kind = smallest_uint(grown.size)
            codes = grown.codes_for(coded.texts).astype(kind, copy=False)
            lut = lookup(coded, codes)
            for c in coded.fields:
                of = c.field.name
                columns[of] = writer.codes(f"column_{place[of]}", base.columns[of], c.ids, c.offsets, lut)
            if tail is not None:
                fixed = grown.codes_for(tail.texts).astype(kind, copy=False)
                for of, cells in tail.fields.items():
                    _mend(columns[of], cells, fixed, into[rows_of.find(cells.rows)])
                fresh = Tail.of(coded, codes, stored=self.usable, first_row=first)
                _joined(tail, fixed == OTHER, fresh).save(folder, number)
            vocabularies[name] = replace(grown, counts=_recount(columns, fields, grown.size, train[order]))
        for f in base.schema.fields:
            if f.is_float:
                columns[f.name] = writer.plain(
                    f"column_{place[f.name]}", base.columns[f.name], float_column(raw, f.name)
                )
        bounds, start = {}, 0
        for name, rows in splits.items():
            bounds[name] = (start, start + len(rows))
            start += len(rows)
        roles = self.roles
        return Table(
            encoder=base.encoder.grow(vocabularies),
            columns={f.name: columns[f.name] for f in base.schema.fields},
            labels=writer.plain("labels", base.labels, roles.positive.astype(np.float32)[:, None]),
            row=writer.plain("row", base.row, np.arange(first, first + raw.n_rows, dtype=np.int64)),
            weight=None if base.weight is None else writer.plain("weight", base.weight, roles.weight),
            group=None if base.group is None else writer.plain("group", base.group, roles.group),
            time=None if base.time is None else writer.plain("time", base.time, roles.time),
            splits=bounds,
            source=base.source,
        )

    def _splits(self) -> dict[str, np.ndarray]:
        """Return the rows of each split: old rows by their place in the base, new ones after them.

        Old rows stay on their side, unless time divides: then the last rows of all are the new test.
        """
        base, n = self.base, self.base.n_rows
        config = build(SplitConfig, self.facts["split"], place=f"{self.store}/{STORE}: split")
        given = set(self.facts["given"])
        carve = [name for name in ("test", "valid") if name not in given]
        positive = np.concatenate([np.asarray(base.label() == 1), self.roles.positive])
        spans = {name: np.arange(*base.splits[name]) for name in ("train", "valid", "test")}
        old = {name: rows[np.argsort(base.row[rows], kind="stable")] for name, rows in spans.items()}
        if config.use == "time" and carve:
            assert base.time is not None
            assert self.roles.time is not None
            movable = np.sort(np.concatenate([old["train"], *(old[c] for c in carve)]))
            movable = movable[np.argsort(base.row[movable], kind="stable")]
            fresh = {k: np.flatnonzero(self.usable[s]) + s.start + n for k, s in self.raw.parts.items()}
            rows = np.concatenate([movable, fresh["train"]])
            times = np.concatenate([np.asarray(base.time), self.roles.time])
            found = assign(
                {"train": slice(0, len(rows))},
                config,
                seed=self.facts["seed"],
                positive=positive[rows],
                time=times[rows],
                group=None,
                carve=carve,
                checked=False,
            )
            out = {k: rows[v] for k, v in found.items()}
            for k in ("valid", "test"):
                if k not in carve:
                    out[k] = np.concatenate([old[k], fresh.get(k, np.zeros(0, dtype=np.int64))])
                elif k in fresh:
                    out[k] = np.concatenate([out[k], fresh[k]])
        else:
            new = assign(
                self.raw.parts,
                config,
                seed=self.facts["seed"],
                positive=self.roles.positive,
                time=self.roles.time,
                group=self.roles.group,
                usable=self.usable,
                carve=carve,
                first_row=int(self.facts["next_row"]),
                checked=False,
            )
            out = {k: np.concatenate([old[k], new[k] + n]) for k in ("train", "valid", "test")}
        for name, rows in out.items():
            if not len(rows) or positive[rows].all() or not positive[rows].any():
                raise DataError(
                    f"split {name!r} must hold rows of both labels after the increment, got {len(rows)} rows"
                )
        return out

    def _grow(
        self,
        old: Vocabulary,
        fields: tuple[Field, ...],
        coded: RawVocabulary,
        *,
        tail: Tail,
        train: np.ndarray,
        rows_of: _RowPlaces,
    ) -> Vocabulary:
        """Give codes to the texts that are frequent enough now, of old and new training rows together."""
        n = self.base.n_rows
        counts = np.zeros(len(tail.texts), dtype=np.int64)
        for cells in tail.fields.values():
            inside = train[:n][rows_of.find(cells.rows)]
            counts += np.bincount(cells.places[inside], minlength=len(tail.texts))
        fresh, _ = coded.counts(train[n:])
        unknown = old.codes_for(coded.texts) == OTHER
        texts, total = _merged(tail.texts, counts, coded.texts.keep(unknown), fresh[unknown])
        return old.grow(
            texts,
            total,
            missing=0,
            min_count=max(f.min_count for f in fields),
            limit=self.settings.growth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowPlaces:
    """Where source row numbers stand in a table."""

    rows: np.ndarray
    places: np.ndarray

    @staticmethod
    def of(row: np.ndarray) -> _RowPlaces:
        places = np.argsort(row, kind="stable")
        return _RowPlaces(rows=np.asarray(row)[places], places=places)

    def find(self, rows: np.ndarray) -> np.ndarray:
        """Return the place of each row number, all of which are there."""
        return self.places[np.searchsorted(self.rows, rows)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Union:
    """Writes arrays whose rows come from a base and from new ones.

    Attributes:
        writer: Where they go.
        base: Rows of the base.
        order: int64 `[n]`: rows of the base, and base + i for new row i.
    """

    writer: Writer
    base: int
    order: np.ndarray

    def plain(self, name: str, old: Any, new: Any, *, lut: np.ndarray | None = None) -> np.ndarray:
        """Write one value a row; the new ones through a lookup if one is given."""
        kind = old.dtype if lut is None else lut.dtype
        out = self.writer.array(name, (len(self.order), *old.shape[1:]), kind)
        for start in range(0, len(self.order), _PIECE):
            some = self.order[start : start + _PIECE]
            fresh = some >= self.base
            piece = np.empty((len(some), *old.shape[1:]), dtype=kind)
            piece[~fresh] = old[some[~fresh]]
            added = new[some[fresh] - self.base]
            piece[fresh] = added if lut is None else np.take(lut, added, mode="clip")
            out[start : start + _PIECE] = piece
        return out

    def codes(
        self, name: str, old: np.ndarray | Ragged, ids: np.ndarray, offsets: np.ndarray | None, lut: np.ndarray
    ) -> np.ndarray | Ragged:
        """Write a column of codes or of lists of codes."""
        if not isinstance(old, Ragged):
            return self.plain(name, old, ids, lut=lut)
        assert offsets is not None
        fresh = self.order >= self.base
        lengths = np.empty(len(self.order), dtype=np.int64)
        lengths[~fresh] = np.diff(old.offsets)[self.order[~fresh]]
        lengths[fresh] = np.diff(offsets)[self.order[fresh] - self.base]
        into = self.writer.array(f"{name}.offsets", len(self.order) + 1, np.int64)
        into[0] = 0
        np.cumsum(lengths, out=into[1:])
        out = self.writer.array(f"{name}.codes", int(into[-1]), lut.dtype)
        for start in range(0, len(self.order), _PIECE):
            stop = min(start + _PIECE, len(self.order))
            for mask, values, starts, through in (
                (~fresh[start:stop], old.codes, old.offsets, None),
                (fresh[start:stop], ids, offsets, lut),
            ):
                rows = self.order[start:stop][mask] - (0 if through is None else self.base)
                at = expand(starts[rows], lengths[start:stop][mask])
                to = expand(into[start:stop][mask], lengths[start:stop][mask])
                out[to] = values[at] if through is None else np.take(through, values[at], mode="clip")
        return Ragged(offsets=into, codes=out)


def _mend(column: np.ndarray | Ragged, cells: TailField, codes: np.ndarray, places: np.ndarray) -> None:
    """Give the cells of old rows the codes that their texts have now."""
    if isinstance(column, Ragged):
        assert cells.items is not None
        column.codes[column.offsets[places] + cells.items] = codes[cells.places]
    else:
        column[places] = codes[cells.places]


def _merged(
    a: SortedTexts, counts_a: np.ndarray, b: SortedTexts, counts_b: np.ndarray
) -> tuple[SortedTexts, np.ndarray]:
    """Return the union of two sets of texts with their counts added."""
    series = [*a.chunks(_PIECE), *b.chunks(_PIECE)]
    if not series:
        return a, counts_a
    both = pl.DataFrame({"text": pl.concat(series), "count": np.concatenate([counts_a, counts_b]).astype(np.int64)})
    added = both.group_by("text").sum()
    texts = SortedTexts.of(added["text"])
    counts = np.zeros(len(texts), dtype=np.int64)
    counts[texts.find(added["text"])] = added["count"].to_numpy()
    return texts, counts


def _joined(old: Tail, stays: np.ndarray, new: Tail) -> Tail:
    """Return the tail of both, without the old texts that have a code now."""
    series = [*old.texts.keep(stays).chunks(_PIECE), *new.texts.chunks(_PIECE)]
    texts = SortedTexts.of(pl.concat(series).unique()) if series else new.texts
    fields: dict[str, TailField] = {}
    luts = [np.concatenate([texts.find(s) for s in t.texts.chunks(_PIECE)] or [np.zeros(0)]) for t in (old, new)]
    for name, cells in old.fields.items():
        kept = cells.pick(stays[cells.places])
        further = new.fields[name]
        fields[name] = TailField(
            rows=np.concatenate([kept.rows, further.rows]),
            items=None if kept.items is None else np.concatenate([kept.items, further.items]),
            places=np.concatenate([luts[0][kept.places], luts[1][further.places]]).astype(np.uint32),
        )
    return Tail(fields=fields, texts=texts).trimmed()


def _recount(
    columns: Mapping[str, np.ndarray | Ragged], fields: tuple[Field, ...], size: int, train: np.ndarray
) -> np.ndarray:
    """Count each code's occurrences in training rows."""
    counts = np.zeros(size, dtype=np.int64)
    for f in fields:
        column = columns[f.name]
        codes = column.codes if isinstance(column, Ragged) else column
        inside = np.repeat(train, np.diff(column.offsets)) if isinstance(column, Ragged) else train
        for start in range(0, len(codes), _PIECE):
            counts += np.bincount(codes[start : start + _PIECE][inside[start : start + _PIECE]], minlength=size)
    return counts
