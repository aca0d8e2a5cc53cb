"""Means of many values from few rows each, drawn to a line in the logarithm of their counts.

References: Morris, "Parametric empirical Bayes inference: theory and applications", 1983 (means drawn to a regression line);
Paule and Mandel, "Consensus values and weighting factors", 1982 (the variance between values that the spread asks for).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Shrunken", "shrunken_means"]

_OWN = 10.0  # rows from which on a value's own variance counts as much as all values'


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrunken:
    """Posterior of each value's mean.

    Attributes:
        mean: `[V]`.
        deviation: `[V]`.
        between: Standard deviation of the true means around their line.
    """

    mean: np.ndarray
    deviation: np.ndarray
    between: float


def shrunken_means(rows: np.ndarray, sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> Shrunken:
    """Shrink the means of values: `x_v ~ N(mu_v, s_v^2 / n_v)` and `mu_v ~ N(a + b ln(1 + count_v), t^2)`.

    A value without rows has the line's mean and t. A value's variance is drawn to that of all values.

    Shape:
        All ``[V]``.

    Args:
        rows: Rows of each value, n.
        sums: Sum of x over them.
        squares: Sum of its square.
        counts: By which the line goes, such as training rows.

    Examples:
        >>> n = np.array([400.0, 400.0, 4.0])
        >>> found = shrunken_means(n, n * np.array([0.0, 1.0, 1.0]), n * np.array([1.0, 2.0, 2.0]), np.ones(3))
        >>> found.mean.round(2).tolist()
        [0.01, 1.0, 0.81]
    """
    seen = rows > 0
    n = np.where(seen, rows, 1.0)
    x = sums / n
    inside = np.maximum(squares - sums * x, 0.0) * seen
    pooled = float(inside.sum() / max(float((rows[seen] - 1.0).clip(0.0).sum()), 1.0))
    within = (inside + _OWN * pooled) / (np.maximum(rows - 1.0, 0.0) + _OWN) / n
    place = np.log1p(counts)
    fit = int(seen.sum())
    if fit < 2:
        line = np.full(len(x), float(x[seen][0]) if fit else 0.0)
        return Shrunken(mean=line, deviation=np.sqrt(within), between=0.0)
    freedom = fit - (2 if fit > 3 and np.ptp(place[seen]) > 0 else 1)
    # Never below its own standard error where values do not differ: means that are all one would tell no values apart.
    most = float(within[seen].max())
    least = (
        most * float(np.sqrt(2.0 / (1.0 / np.maximum(within[seen] / most, 1e-9) ** 2).sum())) if most > 1e-150 else 0.0
    )
    low, high = least, least + float(np.var(x[seen]) * fit)
    for step in range(60):
        between = least if step == 0 else 0.5 * (low + high)
        line = _line(place, x, seen / (within + between + 1e-300), straight=freedom == fit - 2)
        spread = float(((x - line)[seen] ** 2 / (within[seen] + between + 1e-300)).sum())
        if step == 0 and spread <= freedom:
            break
        low, high = (between, high) if spread > freedom else (low, between)
    share = np.where(seen, between / (between + within + 1e-300), 0.0)
    return Shrunken(
        mean=line + share * (x - line), deviation=np.sqrt(between * (1.0 - share)), between=float(np.sqrt(between))
    )


def _line(place: np.ndarray, x: np.ndarray, weight: np.ndarray, *, straight: bool) -> np.ndarray:
    mass = float(weight.sum())
    middle, mean = float(weight @ place) / mass, float(weight @ x) / mass
    square = float(weight @ (place - middle) ** 2)
    slope = float(weight @ ((place - middle) * (x - mean))) / square if straight and square > 0 else 0.0
    return np.asarray(mean + slope * (place - middle), dtype=np.float64)
