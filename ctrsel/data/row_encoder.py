"""Row encoder: raw rows whose places are decided become a Table, a vocabulary at a time, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from ctrsel.data.encoder import Encoder
from ctrsel.data.encoder_fit import fitted_vocabulary
from ctrsel.data.fit import float_column, float_moments, lookup, raw_vocabulary, vocabulary_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.row_roles import Roles
from ctrsel.data.table import Ragged, Table
from ctrsel.data.tail import Tail
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.data.writer import Writer
from ctrsel.records.schema import Field, Schema

__all__ = ["RowEncoder", "one_after_another"]

T = TypeVar("T")
_MOST = 8  # vocabularies encoded at once


@dataclass(frozen=True, kw_only=True)
class RowEncoder:
    """Everything that is decided about rows, and the columns still to be encoded.

    Attributes:
        raw: The rows.
        schema: What their columns are.
        roles: Labels, times, groups, weights.
        order: Raw row of each row of the table, int64 `[n]`: the splits one after another.
        splits: Which rows of the table are each split's.
        memory: Bytes that dictionaries may hold.
        scratch: A folder for what does not fit.
        writer: Where the arrays go.
    """

    raw: RawRows
    schema: Schema
    roles: Roles
    order: np.ndarray
    splits: Mapping[str, tuple[int, int]]
    memory: int
    scratch: Path
    writer: Writer

    def table(self, *, source: str) -> Table:
        """Encode every column, a vocabulary at a time, several at once."""
        order, roles, writer = self.order, self.roles, self.writer
        columns: dict[str, np.ndarray | Ragged] = {}
        vocabularies: dict[str, Vocabulary] = {}
        edges: dict[str, np.ndarray] = {}
        moments: dict[str, tuple[float, float]] = {}
        groups = vocabulary_fields(self.schema)
        many = max(min(pl.thread_pool_size(), _MOST, len(groups)), 1)
        for vocabulary, found, made in _in_threads(many, partial(self._vocabulary, memory=self.memory // many), groups):
            vocabularies[vocabulary.name] = vocabulary
            edges |= found
            columns |= made
        for i, f in enumerate(self.schema.fields):
            if f.is_float:
                moments[f.name] = float_moments(
                    self.raw, f.name, train=self.train, memory=self.memory, scratch=self.scratch
                )
                values = float_column(self.raw, f.name, memory=self.memory, scratch=self.scratch)
                columns[f.name] = writer.plain(f"column_{i}", values, order)
        names = [f.name for f in self.schema.fields]
        return Table(
            encoder=Encoder(
                schema=self.schema,
                vocabularies={k: vocabularies[k] for k in groups},
                edges={k: edges[k] for k in names if k in edges},
                moments={k: moments[k] for k in names if k in moments},
            ),
            columns={k: columns[k] for k in names},
            labels=writer.plain(
                "labels", roles.positive[:, None].view(np.uint8), order, lut=np.array([0, 1], dtype=np.float32)
            ),
            row=writer.keep("row", order),
            weight=None if roles.weight is None else writer.plain("weight", roles.weight, order),
            group=None if roles.group is None else writer.plain("group", roles.group, order),
            time=None if roles.time is None else writer.plain("time", roles.time, order),
            splits=self.splits,
            source=source,
        )

    @cached_property
    def train(self) -> np.ndarray:
        """Whether a raw row is a training row, boolean `[N]`."""
        return _mask(self.order[slice(*self.splits["train"])], self.raw.n_rows)

    @cached_property
    def stored(self) -> np.ndarray:
        """Whether a raw row is in any split, boolean `[N]`."""
        return _mask(self.order, self.raw.n_rows)

    def _vocabulary(
        self, fields: tuple[Field, ...], *, memory: int
    ) -> tuple[Vocabulary, Mapping[str, np.ndarray], dict[str, np.ndarray | Ragged]]:
        """Fit a vocabulary on the training rows and encode its fields; the ids are forgotten."""
        place = {f.name: i for i, f in enumerate(self.schema.fields)}
        name, number = fields[0].vocabulary, place[fields[0].name]
        scratch = self.scratch / f"vocabulary_{number}"
        scratch.mkdir()
        raw = raw_vocabulary(name, fields, self.raw, train=self.train, memory=memory, scratch=scratch)
        vocabulary, codes = fitted_vocabulary(raw, train=self.train, scratch=scratch)
        lut = lookup(raw, codes)
        made: dict[str, np.ndarray | Ragged] = {}
        for f in raw.fields:
            at = f"column_{place[f.field.name]}"
            made[f.field.name] = (
                self.writer.plain(at, f.ids, self.order, lut=lut)
                if f.offsets is None
                else self.writer.ragged(at, f.offsets, f.ids, self.order, lut=lut)
            )
        if self.writer.folder is not None and Tail.wanted(fields):
            tail = Tail.of(raw, codes, stored=self.stored, first_row=0, scratch=scratch)
            tail.trimmed().save(self.writer.folder, number)
        return vocabulary, raw.edges, made


def one_after_another(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, tuple[int, int]]]:
    """Join the rows of splits and forget them; return the whole, and where each split lies in it.

    Examples:
        >>> one_after_another({"train": np.array([0, 2, 3]), "test": np.array([1])})
        (array([0, 2, 3, 1]), {'train': (0, 3), 'test': (3, 4)})
    """
    order = np.empty(sum(map(len, rows.values())), dtype=np.int64)
    splits, start = {}, 0
    for name in list(rows):
        of = rows.pop(name)
        splits[name] = (start, start + len(of))
        start += len(of)
        order[slice(*splits[name])] = of
    return order, splits


def _mask(rows: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _in_threads(
    many: int, work: Callable[[tuple[Field, ...]], T], groups: Mapping[str, tuple[Field, ...]]
) -> Iterator[T]:
    if many == 1:
        yield from map(work, groups.values())
        return
    with ThreadPoolExecutor(max_workers=many) as pool:
        yield from pool.map(work, groups.values())
