"""Draw rows so that every class keeps its share.

Reference: Cochran (1977), "Sampling techniques", chapter 5 (stratified sampling with proportional allocation).
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats._checks import Array, Floats, Ints

__all__ = ["sample_weight", "stratified_sample"]


def stratified_sample(labels: Array, size: int, *, seed: int) -> Ints:
    """Rows drawn without replacement, each class in proportion, at least one of each where it fits.

    Shape:
        ``labels`` ``[N]`` to rows ``[min(N, size)]``, rising.

    Args:
        labels: Class of each row, of any sortable type (a label, or a combination of label and segment).
        size: Number of rows wanted; all rows come back when there are not more.
        seed: Seed of the draw.

    Returns:
        Row numbers, rising, so that reading them stays sequential.

    Raises:
        DataError: labels that are not one-dimensional.
        ValueError: a negative size.

    Examples:
        >>> labels = np.array([0] * 90 + [1] * 10)
        >>> rows = stratified_sample(labels, 20, seed=0)
        >>> len(rows), int(labels[rows].sum())
        (20, 2)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise DataError(f"labels must be one-dimensional, got shape {labels.shape}")
    if size < 0:
        raise ValueError(f"size must not be negative, got {size}")
    if size >= labels.size:
        return np.arange(labels.size, dtype=np.int64)
    classes, present = np.unique(labels, return_inverse=True)
    available = np.bincount(present, minlength=classes.size)
    rng = generator(seed, "stats", "stratified_sample")
    chosen = [
        rng.choice(np.flatnonzero(present == which), size=quota, replace=False)
        for which, quota in enumerate(_quotas(available, size))
    ]
    rows: Ints = np.sort(np.concatenate(chosen)).astype(np.int64)
    return rows


def _quotas(available: Ints, size: int) -> Ints:
    exact = available * (size / available.sum())
    quotas: Ints = np.floor(exact).astype(np.int64)
    order = np.argsort(quotas - exact, kind="stable")  # largest remainder first
    quotas[order[: size - int(quotas.sum())]] += 1
    if size >= available.size:
        # A class that rounds to nothing takes its one row from the classes that have most.
        for empty in np.flatnonzero(quotas == 0):
            quotas[int(np.argmax(quotas))] -= 1
            quotas[empty] = 1
    return quotas


def sample_weight(labels: Array, rows: Array) -> Floats:
    """Row weights that undo a sample: rows of the class in the table over rows of the class in the sample.

    A weighted mean over the sample then estimates the mean over the table.

    Shape:
        ``labels`` ``[N]``, ``rows`` ``[S]`` to ``[S]``.

    Args:
        labels: Class of each row of the table.
        rows: Row numbers of the sample.

    Returns:
        Weights of at least 1 for a sample without replacement; they add up to N when every class is in the sample.

    Examples:
        >>> sample_weight(np.array([0, 0, 0, 1]), np.array([0, 3]))
        array([3., 1.])
    """
    labels = np.asarray(labels)
    classes, present = np.unique(labels, return_inverse=True)
    taken = present[np.asarray(rows)]
    there = np.bincount(present, minlength=classes.size)
    here = np.bincount(taken, minlength=classes.size)
    weight: Floats = there[taken] / here[taken]
    return weight
