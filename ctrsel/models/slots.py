"""Slots in weights: which entries along an axis of a parameter belong to which slot or pair of slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Columns", "Part", "PerPair", "PerSlot", "Rest", "picked"]


@dataclass(frozen=True, slots=True)
class PerSlot:
    """F blocks of `width` entries, in slot order."""

    width: int


@dataclass(frozen=True, slots=True)
class PerPair:
    """F (F - 1) / 2 blocks of `width` entries, one per pair of slots: (0, 1), (0, 2), ..., (F - 2, F - 1)."""

    width: int = 1


@dataclass(frozen=True, slots=True)
class Rest:
    """`width` entries that belong to no slot."""

    width: int


Part = PerSlot | PerPair | Rest
Columns = int | tuple[Part, ...]  # what stands side by side along an axis; a number n is short for (PerSlot(n),)


def picked(columns: Columns, slots: Sequence[int], *, fields: int) -> np.ndarray:
    """Return the entries of an axis that make up a net of these slots, in their order.

    Args:
        columns: What stands along the axis of the larger net.
        slots: Numbers of its slots, in the order of the smaller net (or of a net with the slots in another order).
        fields: F of the larger net.

    Returns:
        Indices along the axis, int64.

    Examples:
        >>> picked((PerSlot(2), PerPair(), Rest(1)), [2, 0], fields=3).tolist()
        [4, 5, 0, 1, 7, 9]
    """
    keep = np.asarray(slots, dtype=np.int64)
    found, start = [], 0
    for part in (PerSlot(columns),) if isinstance(columns, int) else columns:
        if isinstance(part, Rest):
            blocks, total = np.arange(1), 1
        elif isinstance(part, PerSlot):
            blocks, total = keep, fields
        else:
            i, j = np.triu_indices(len(keep), 1)
            low, high = np.minimum(keep[i], keep[j]), np.maximum(keep[i], keep[j])
            blocks, total = low * (2 * fields - low - 1) // 2 + high - low - 1, fields * (fields - 1) // 2
        found.append((start + blocks[:, None] * part.width + np.arange(part.width)).ravel())
        start += total * part.width
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
