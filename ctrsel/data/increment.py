"""Increment: the arrays of a stored table and of new rows together, old rows first in each split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.building import build
from ctrsel.core.config import IngestConfig, SplitConfig
from ctrsel.data.fit import RawVocabulary, float_column, lookup, raw_vocabulary, vocabulary_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.row_roles import Roles
from ctrsel.data.split import assign, check_labels
from ctrsel.data.table import Ragged, Table
from ctrsel.data.tail import Tail, TailField, merged
from ctrsel.data.tally import STORE
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.data.writer import Writer, expand
from ctrsel.records.feature_set import OTHER
from ctrsel.records.schema import Field

__all__ = ["Increment"]

_PIECE = 1_000_000  # rows


@dataclass(frozen=True, kw_only=True)
class Increment:
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
                tail.joined(fixed == OTHER, fresh).save(folder, number)
            vocabularies[name] = replace(grown, counts=_recount(columns, fields, grown.size, train[order]))
        for f in base.schema.fields:
            if f.is_float:
                columns[f.name] = writer.plain(
                    f"column_{place[f.name]}",
                    base.columns[f.name],
                    float_column(raw, f.name, memory=self.memory, scratch=self.scratch),
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
            source=_span(base.source, raw),
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
        check_labels(out, positive, use=config.use, after=" after the increment")
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
        texts, total = merged(tail.texts, counts, coded.texts.keep(unknown), fresh[unknown])
        return old.grow(
            texts,
            total,
            missing=0,
            min_count=max(f.min_count for f in fields),
            limit=self.settings.growth,
        )


def _span(source: str, raw: RawRows) -> str:
    """Name the first source of a table and its newest one."""
    first, newest = source.split(" to ", 1)[0], raw.shards[-1].name
    return source if newest in (first, "frame") else f"{first} to {newest}"


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
