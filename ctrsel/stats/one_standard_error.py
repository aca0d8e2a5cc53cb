"""The one-standard-error rule: the smallest of several nested choices whose loss is not measurably above the best.

Reference: Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984, section 3.4.3. There the error
is that of the best choice's own loss over folds; here all choices are measured on the same rows, so the error is that of the
paired difference, which is far smaller: rows that are hard for every choice cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array

__all__ = ["OneStandardError", "one_standard_error", "paired_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStandardError:
    """What the rule says of S choices, smallest first.

    Attributes:
        loss: Mean loss of each, in the unit of the losses.
        above: Its difference to the best.
        error: Standard error of that difference; 0 for the best.
        best: The place of the least loss, the smaller choice of equals.
        chosen: The place of the smallest choice whose difference is at most one standard error.
    """

    loss: tuple[float, ...]
    above: tuple[float, ...]
    error: tuple[float, ...]
    best: int
    chosen: int


def one_standard_error(
    losses: Array, *, weight: Array | None = None, groups: Array | None = None, errors: float = 1.0
) -> OneStandardError:
    """Apply the rule to losses of the same rows.

    Shape:
        ``losses`` ``[S, R, N]``: choice (smallest first), repetition (seed of a training, paired over choices), row.

    Args:
        losses: Loss of each row; the mean over repetitions is compared.
        weight: Weight of each row, None for equal ones.
        groups: Group of each row where rows of one group depend on each other.
        errors: How many standard errors above the best are let pass.

    Raises:
        DataError: without choices, or with fewer than two rows (or groups).

    Examples:
        >>> rows = np.array([0.1, 0.5, 0.3, 0.9])
        >>> found = one_standard_error(np.stack([rows + [0.4, 0.3, 0.5, 0.4], rows + [0.1, -0.1, 0, 0.1], rows])[:, None])
        >>> found.best, found.chosen
        (2, 1)
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 3 or not losses.size:
        raise DataError(f"losses must have shape [S, R, N] with at least one of each, got {losses.shape}")
    mass = np.ones(losses.shape[2]) if weight is None else np.asarray(weight, dtype=np.float64)
    mean = (losses @ mass).mean(axis=1) / mass.sum()
    best = int(mean.argmin())
    errors_of = [
        0.0 if s == best else paired_error(losses[s] - losses[best], weight=mass, groups=groups)
        for s in range(len(mean))
    ]
    above = mean - mean[best]
    chosen = next(s for s in range(len(mean)) if above[s] <= errors * errors_of[s])
    return OneStandardError(
        loss=tuple(mean.tolist()),
        above=tuple(above.tolist()),
        error=tuple(errors_of),
        best=best,
        chosen=chosen,
    )


def paired_error(apart: Array, *, weight: Array | None = None, groups: Array | None = None) -> float:
    """Standard error of the weighted mean of paired differences.

    The variance over rows (over groups, where there are some) of the mean over repetitions, plus the variance between
    repetitions where there are two or more: a training's luck moves all rows at once, so rows alone cannot show it.

    Shape:
        ``apart`` ``[R, N]``; ``weight`` and ``groups`` ``[N]``.

    Raises:
        DataError: with fewer than two rows (or groups).

    Examples:
        >>> round(paired_error(np.array([[1.0, 2.0, 3.0, 4.0]])), 4)  # sd 1.2910 / sqrt(4)
        0.6455
    """
    apart = np.asarray(apart, dtype=np.float64)
    mass = np.ones(apart.shape[1]) if weight is None else np.asarray(weight, dtype=np.float64)
    rows = apart.mean(axis=0)
    total = mass.sum()
    off = mass * (rows - (mass * rows).sum() / total)
    if groups is not None:
        _, place = np.unique(groups, return_inverse=True)
        off = np.bincount(place, weights=off)
    n = len(off)
    if n < 2:
        raise DataError(f"a standard error needs two rows or groups, got {n}")
    variance = float((off**2).sum()) / total**2 * n / (n - 1)
    if len(apart) > 1:
        variance += float(np.var(apart @ mass / total, ddof=1)) / len(apart)
    return float(np.sqrt(variance))
