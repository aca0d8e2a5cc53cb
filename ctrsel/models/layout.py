"""Layout: which field stands in which slot of the embedded batch, and which embedding rows have a fixed role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.models.embedded import InputShape
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where an Encoder's fields go.

    Attributes:
        total_codes: Rows of the one embedding table.
        code_fields: Fields with one code a row: the first slots.
        pooled: Per list field that is averaged into one slot the row of its `MISSING` code; the next slots.
        floats: Fields that stay floats: the last slots.
        histories: Per list field that is given as it is the row of its `HIDDEN` code, for padding.
        targets: Per history the slot of the field whose vocabulary it shares, None without one.
        starts: First row of each vocabulary.
        others: Per field with one code, then per pooled list, then per history the row of its `OTHER` code.
    """

    total_codes: int
    code_fields: tuple[str, ...]
    pooled: tuple[tuple[str, int], ...]
    floats: tuple[str, ...]
    histories: tuple[tuple[str, int], ...]
    targets: tuple[tuple[str, int | None], ...]
    starts: tuple[int, ...]
    others: tuple[int, ...] = ()

    @staticmethod
    def of(encoder: Encoder, *, history: bool) -> Layout:
        """Lay out an Encoder's fields; with `history`, sequences are given as they are instead of being averaged."""
        codes = tuple(f.name for f in encoder.fields if not f.is_float and not f.is_list)
        lists = [f for f in encoder.fields if f.is_list]
        given = [f for f in lists if history and f.kind == "sequence"]
        slots = {encoder.schema.field(name).vocabulary: i for i, name in reversed(list(enumerate(codes)))}
        return Layout(
            total_codes=encoder.total_codes,
            code_fields=codes,
            pooled=tuple((f.name, encoder.offset(f.name) + MISSING) for f in lists if f not in given),
            floats=tuple(f.name for f in encoder.fields if f.is_float),
            histories=tuple((f.name, encoder.offset(f.name) + HIDDEN) for f in given),
            targets=tuple((f.name, slots.get(f.vocabulary)) for f in given),
            starts=tuple(encoder.offsets.values()),
            others=tuple(
                encoder.offset(name) + OTHER
                for name in (*codes, *(f.name for f in lists if f not in given), *(f.name for f in given))
            ),
        )

    @property
    def slots(self) -> tuple[str, ...]:
        """Field names by slot."""
        return (*self.code_fields, *(name for name, _ in self.pooled), *self.floats)

    def shape(self, *, width: int, labels: int) -> InputShape:
        """Return what a backbone is built for."""
        return InputShape(
            fields=self.slots, width=width, histories=dict(self.targets), floats=self.floats, labels=labels
        )

    def rows(self, code: int) -> np.ndarray:
        """Return the row of one reserved code in every vocabulary, int64."""
        return np.asarray(self.starts, dtype=np.int64) + code

    @property
    def reserved(self) -> np.ndarray:
        """Rows of all reserved codes, int64."""
        return np.concatenate([self.rows(code) for code in range(RESERVED)])

    def shared(self, encoder: Encoder) -> np.ndarray | None:
        """Return how many values share each row, float32 `[V]`; None where every value has one of its own.

        Reserved rows count once, and so do those of hash buckets, whose values are not known.
        """
        counted = []
        for v in encoder.vocabularies.values():
            own = np.ones(v.size, dtype=np.float32)
            if v.hashed is None:
                own = np.maximum(np.bincount(v.codes, minlength=v.size), 1).astype(np.float32)
            counted.append(own)
        values = np.concatenate(counted or [np.zeros(0, dtype=np.float32)])
        return values if (values > 1).any() else None

    def untrained(self, encoder: Encoder, *, other_share: float) -> np.ndarray:
        """Return the rows that no training row reaches, int64; `OTHER` is reached where a share is sent to it."""
        counts = np.concatenate([v.counts for v in encoder.vocabularies.values()] or [np.zeros(0, np.int64)])
        reached = counts > 0
        if other_share:
            reached[self.rows(OTHER)] = True
        reached[self.rows(HIDDEN)] = False
        return np.flatnonzero(~reached)
