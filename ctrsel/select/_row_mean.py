"""The mean of something over the rows of a split, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["row_mean"]


def row_mean(values: np.ndarray, part: Table) -> tuple[float, float]:
    """Return the mean over rows, by weight, and its standard error, in which rows of one group count as one.

    Args:
        values: Of each row of the split, `[N]`.
        part: The split, for its weights and groups.
    """
    weight = np.ones(len(values)) if part.weight is None else np.asarray(part.weight, dtype=np.float64)
    mean = float(weight @ values / weight.sum())
    moved: np.ndarray = weight * (values - mean)
    if part.group is not None:
        moved = np.bincount(np.unique(part.group, return_inverse=True)[1], weights=moved)
    n = len(moved)
    return mean, float(np.sqrt((moved**2).sum() * n / max(n - 1, 1)) / weight.sum())
