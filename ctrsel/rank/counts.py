"""TableCounts: rows and positive rows per code of every field, and a way to count fields together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.rank.rows import CodedRows
from ctrsel.stats.counts import LabelCounts, WeightedLabelCounts

Sums = TypeVar("Sums", LabelCounts, WeightedLabelCounts)

__all__ = ["FieldCounts", "TableCounts"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldCounts:
    """One field's counts by split; `+` merges two chunks of rows exactly.

    Attributes:
        train: Counts `[V]` of the training rows.
        valid: Counts `[V]` of the validation rows, in the same order of codes; None without such rows.
        weighted_train: Sums of row weights `[V]` of the training rows; None where rows have no weights.
        weighted_valid: The same of the validation rows.
    """

    train: LabelCounts
    valid: LabelCounts | None = None
    weighted_train: WeightedLabelCounts | None = None
    weighted_valid: WeightedLabelCounts | None = None

    def __add__(self, other: FieldCounts) -> FieldCounts:
        """Counts of both chunks together."""
        return FieldCounts(
            train=self.train + other.train,
            valid=_sum(self.valid, other.valid),
            weighted_train=_sum(self.weighted_train, other.weighted_train),
            weighted_valid=_sum(self.weighted_valid, other.weighted_valid),
        )


def _sum(one: Sums | None, other: Sums | None) -> Sums | None:
    return one if other is None else other if one is None else one + other


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableCounts:
    """All fields' counts; `+` merges two chunks of one table exactly, in any order, and lets go of the rows.

    Attributes:
        fields: By name, in the table's order.
        refused: Fields that cannot be counted, with the reason.
        notes: What a reader of any ranking made of these counts must know.
        table: Digest of the table.
        rows: The training rows, for rankers that count fields together; None where only counts travelled here.
        valid_rows: The validation rows, likewise.
        seed: Of whatever a ranker draws.
        threads: Fields that a ranker may work on at once; None for all processors. No result depends on it.
        value_names: Texts of some codes of a field, for people; None where only counts travelled here.
    """

    fields: Mapping[str, FieldCounts]
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    table: str = ""
    rows: CodedRows | None = None
    valid_rows: CodedRows | None = None
    seed: int = 0
    threads: int | None = None
    value_names: Callable[[str, np.ndarray], Sequence[str]] | None = None

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return any(c.weighted_train is not None for c in self.fields.values())

    def need_rows(self, ranker: str) -> CodedRows:
        """Return the training rows.

        Raises:
            DataError: If only counts are here; the message names the ranker.
        """
        if self.rows is None:
            raise DataError(
                f"{ranker}: counts fields together and needs the rows, but only counts of single fields are here"
            )
        return self.rows

    def __add__(self, other: TableCounts) -> TableCounts:
        """Counts of both chunks together; the chunks must have the same fields."""
        if list(self.fields) != list(other.fields):
            raise DataError(f"counts add up for the same fields only, got {list(self.fields)} and {list(other.fields)}")
        return TableCounts(
            fields={name: mine + other.fields[name] for name, mine in self.fields.items()},
            refused={**other.refused, **self.refused},
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            table=self.table if self.table == other.table else "",
            seed=self.seed,
            threads=self.threads,
            value_names=self.value_names,
        )
