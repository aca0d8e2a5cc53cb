"""Set difference: what changes from one feature set to another, field by field, with the texts of values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["FieldDifference", "SetDifference"]

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """What changes in one field.

    Attributes:
        name: The field.
        change: Whether only the new set keeps it, only the old one does, or both do with other values.
        before: Values of its own that it has in the old set.
        after: Likewise in the new one; merged values count once.
        gained: Values that only the new set knows.
        lost: Values that only the old one knows.
        merged: Values that both know and that the new set takes together with others that it was told from before.
        parted: Values that both know and that the new set tells from others that it was taken together with before.
        top: The most frequent texts of each kind: "gained", "lost", "merged", "parted"; none of a sensitive field.
        sensitive: Whether its texts must not be shown.
    """

    name: str
    change: Change
    before: int
    after: int
    gained: int
    lost: int
    merged: int
    parted: int
    top: dict[str, tuple[str, ...]]
    sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDifference:
    """What changes from one feature set to another; fields that stay as they are have no entry.

    Attributes:
        fields: In the order of the old set, then of the new one.
        same: Fields that both keep as they are.
    """

    fields: tuple[FieldDifference, ...]
    same: tuple[str, ...]

    def of(self, change: Change) -> tuple[str, ...]:
        """Return the fields with one kind of change."""
        return tuple(f.name for f in self.fields if f.change == change)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)
