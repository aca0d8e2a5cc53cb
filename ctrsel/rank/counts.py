"""TableCounts: rows and positive rows per code of every field, which is all that a count ranker sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import LabelCounts

__all__ = ["FieldCounts", "TableCounts"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldCounts:
    """One field's counts by split; `+` merges two chunks of rows exactly.

    Attributes:
        train: Counts `[V]` of the training rows.
        valid: Counts `[V]` of the validation rows, in the same order of codes; None without such rows.
    """

    train: LabelCounts
    valid: LabelCounts | None = None

    def __add__(self, other: FieldCounts) -> FieldCounts:
        """Counts of both chunks together."""
        if self.valid is None or other.valid is None:
            return FieldCounts(train=self.train + other.train, valid=self.valid or other.valid)
        return FieldCounts(train=self.train + other.train, valid=self.valid + other.valid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableCounts:
    """All fields' counts; `+` merges two chunks of one table exactly, in any order.

    Attributes:
        fields: By name, in the table's order.
        refused: Fields that cannot be counted, with the reason.
        notes: What a reader of any ranking made of these counts must know.
        table: Digest of the table.
    """

    fields: Mapping[str, FieldCounts]
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    table: str = ""

    def __add__(self, other: TableCounts) -> TableCounts:
        """Counts of both chunks together; the chunks must have the same fields."""
        if list(self.fields) != list(other.fields):
            raise DataError(f"counts add up for the same fields only, got {list(self.fields)} and {list(other.fields)}")
        return TableCounts(
            fields={name: mine + other.fields[name] for name, mine in self.fields.items()},
            refused={**other.refused, **self.refused},
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            table=self.table if self.table == other.table else "",
        )
