"""Folds of rows for cross-fitting: every class, or every group, is spread over them by a seeded hash.

Reference: Stone (1974), "Cross-validatory choice and assessment of statistical predictions".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import uniform_hash
from ctrsel.stats._checks import Array, Bools, Floats, Ints, binary

__all__ = ["cross_fitted", "folds_of"]


def folds_of(labels: Array, keys: Array, *, folds: int, seed: int, groups: Array | None = None) -> Ints:
    """Fold of each row, each class in proportion; rows of one group stay together.

    Shape:
        All ``[N]``.

    Args:
        labels: 0 or 1.
        keys: A whole number per row that is the row's own, so that the order of rows decides nothing.
        folds: How many, at least 2; fewer are made where a class has fewer rows (or there are fewer groups).
        seed: Of the hash.
        groups: Group of each row; whole groups are spread then, whatever their classes.

    Returns:
        Whole numbers from 0, int64.

    Raises:
        DataError: a class has fewer than two rows, or the rows outside of a fold are of one class.
        ValueError: fewer than two folds.

    Examples:
        >>> found = folds_of(np.array([1, 0, 0, 1, 0, 0]), np.arange(6), folds=2, seed=0)
        >>> np.bincount(found).tolist(), np.bincount(found[[0, 3]]).tolist()
        ([3, 3], [1, 1])
    """
    if folds < 2:
        raise ValueError(f"cross-fitting needs at least 2 folds, got {folds}")
    positive = binary(labels)
    fewest = min(int(positive.sum()), int((~positive).sum()))
    if fewest < 2:
        raise DataError(f"cross-fitting needs at least two rows of each class, got {fewest} of one")
    if groups is None:
        number = min(folds, fewest)
        found: Ints = np.empty(positive.size, dtype=np.int64)
        for of_class in (positive, ~positive):
            rows = np.flatnonzero(of_class)
            found[rows[_order(keys[rows], seed)]] = np.arange(rows.size) % number
        return found
    names, owner = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"cross-fitting needs at least two groups, got {len(names)}")
    number = min(folds, len(names))
    of_group = np.empty(len(names), dtype=np.int64)
    of_group[_order(np.arange(len(names)), seed)] = np.arange(len(names)) % number
    found = of_group[owner]
    for fold in range(number):
        rest = positive[found != fold]
        if rest.all() or not rest.any():
            raise DataError(f"cross-fitting in {number} folds of whole groups leaves one class without rows; use fewer")
    return found


def cross_fitted(fit: Callable[[Bools], Callable[[Array], Floats]], data: Array, folds: Ints) -> Floats:
    """Values of all rows, each by what was fitted on the other folds.

    Shape:
        ``data`` ``[N, ...]``, ``folds`` ``[N]``, out ``[N]``.

    Args:
        fit: Takes which rows to fit on ``[N]`` and returns a function of some rows' data.
        data: What that function is given.
        folds: As of `folds_of`.

    Examples:
        >>> y = np.array([1.0, 2.0, 3.0, 6.0])
        >>> cross_fitted(lambda rows: lambda part: np.full(len(part), y[rows].mean()), y, np.array([0, 0, 1, 1]))
        array([4.5, 4.5, 1.5, 1.5])
    """
    out = np.empty(len(folds))
    for fold in range(int(folds.max()) + 1):
        here = folds == fold
        out[here] = fit(~here)(data[here])
    return out


def _order(keys: Array, seed: int) -> Ints:
    order: Ints = np.lexsort((keys, uniform_hash(np.asarray(keys), seed=seed)))
    return order
