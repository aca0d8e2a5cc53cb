r"""Moments of what a field tells about a binary label when the label is shuffled, from counts alone.

Shuffling the labels of n rows, P of them positive, gives the values of a field positives ``y_v`` that follow the
multivariate hypergeometric distribution with the rows per value ``a_v``; the information is a sum ``sum_v g(a_v, y_v) /
n``.

* Mean: exact, as every ``y_v`` is hypergeometric (Vinh, Epps and Bailey 2010), once per distinct ``a``.
* Variance: given ``y_v``, the mean of a polynomial in ``y_w`` is a polynomial in ``y_v`` of the same degree. So the
  pair has a diagonal expansion in the orthonormal polynomials (Hahn's) of its margins (Lancaster 1958),
  with correlations ``(-1)^j u_j(a_v) u_j(a_w)`` and ``u_j(a)^2 = a (a-1) ... (a-j+1) / ((n-a) (n-a-1) ... (n-a-j+1))``.
  The covariances of all pairs of values then cost one sum per degree. Degrees above 6 enter the variances only; they
  are some 1e-4 of it or less.
* Skewness: that of independent binomial counts with the linear part in ``sum y_v = P`` taken out (Holst 1979), its
  third cumulant scaled as the exact variance stands to the binomial one. It is right for large counts (chi-square) and
  for many small ones; it only shapes the tail of the p-value.

Weights follow from ratios of neighbours, outwards from the mode, down to 1e-25 of it: no factorials, and as many terms
as the skewed distributions of rare values need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, Ints, counts
from ctrsel.stats._permutation_loops import (
    CHI_SQUARE,
    INFORMATION,
    VALUE,
    binomial_moments,
    expansions,
    hypergeometric,
    means,
    statistic_term,
)

__all__ = [
    "STATISTICS",
    "PermutationMoments",
    "Statistic",
    "expected_mutual_information",
    "mutual_information_variance",
    "permutation_moments",
    "statistic_setting",
    "two_value_tail",
]

Statistic = Literal["information", "chi_square", "information_value"]
STATISTICS = {"information": INFORMATION, "chi_square": CHI_SQUARE, "information_value": VALUE}

_DEGREES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationMoments:
    """Mean, variance and skewness (0 where the variance is 0) under shuffled labels; nats for the informations."""

    mean: float
    variance: float
    skewness: float


def _grouped(
    positives_total: int, totals: Array, n: int | None, repeats: Array | None = None
) -> tuple[Ints, Ints, int, int]:
    sizes = counts("totals", totals)
    times = np.ones(sizes.size, dtype=np.int64) if repeats is None else counts("repeats", repeats)
    rows, positives = int((times * sizes).sum()), int(positives_total)
    if n is not None and n != rows:
        raise DataError(f"totals must add up to n, got {rows} and n = {n}")
    if not 0 <= positives <= rows:
        raise DataError(f"positives_total must lie between 0 and the {rows} rows, got {positives}")
    if repeats is None:
        distinct, together = np.unique(sizes[sizes > 0], return_counts=True)
    else:
        distinct, place = np.unique(sizes[sizes > 0], return_inverse=True)
        together = np.zeros(distinct.size, dtype=np.int64)
        np.add.at(together, place, times[sizes > 0])
    return distinct, together.astype(np.int64), positives, rows


def _variance(distinct: Ints, repeats: Ints, terms: Floats, positives: int, rows: int) -> float:
    # Of the sum of the terms.
    rate = positives / rows
    a = distinct.astype(np.float64)
    # Degree 1 in the form sum a (slope - mean slope)^2, where nothing cancels: 0 exactly when all values have equal
    # counts of 1.
    unit = rate * (1.0 - rate) / (rows - 1.0)
    spread = np.sqrt(a * (rows - a) * unit)
    slope = np.divide(terms[:, 2], spread, out=np.zeros_like(a), where=spread > 0)
    centred = slope - float((repeats * a * slope).sum()) / rows
    total = rows * unit * float((repeats * a * centred**2).sum())
    share = np.ones_like(a)  # u_j(a) squared
    for degree in range(1, terms.shape[1] - 1):
        step = degree - 1
        left = rows - a - step
        share = share * np.divide(a - step, left, out=np.zeros_like(a), where=left > 0)
        if degree == 1:
            continue
        coefficient = terms[:, 1 + degree]
        together = float((repeats * np.sqrt(np.maximum(share, 0.0)) * coefficient).sum()) ** 2
        itself = repeats * coefficient**2
        total += float(itself.sum()) + (-1) ** degree * (together - float((itself * share).sum()))
    rest = terms[:, 1] - (terms[:, 2:] ** 2).sum(axis=1)
    # Below this the rest is rounding of the variance it is taken from, and would make a constant look variable.
    rest = np.where(rest > 1e-12 * terms[:, 1], rest, 0.0)
    return max(total + float((repeats * rest).sum()), 0.0)


def statistic_setting(
    statistic: Statistic, *, rows: float, positives: float, values: int, smoothing: float = 0.0
) -> tuple[Floats, float]:
    """Return what the loops need to know of a statistic, and what a sum of their terms is to be divided by.

    Args:
        statistic: Its name.
        rows: Rows, or their weight.
        positives: Positive rows, or their weight.
        values: Number of values with rows.
        smoothing: Rows (weight) at the base rate that the information value adds to each of them.

    Examples:
        >>> setting, scale = statistic_setting("information_value", rows=10, positives=5, values=2, smoothing=1.0)
        >>> setting.tolist(), scale
        ([2.0, 1.0, 6.0, 6.0], 12.0)
    """
    rate = positives / rows
    yes, no = positives + values * smoothing * rate, rows - positives + values * smoothing * (1.0 - rate)
    scale = {"information": float(rows), "chi_square": 1.0, "information_value": yes + no}[statistic]
    return np.array([STATISTICS[statistic], smoothing, yes, no], dtype=np.float64), scale


def _skewness(moments: Floats, repeats: Ints, variance: float, rate: float, rows: int) -> float:
    ff, fy, fff, ffy, fyy, yyy = (repeats * column for column in moments.T)
    slope = float(fy.sum()) / (rows * rate * (1.0 - rate))
    second = float(ff.sum()) - slope * float(fy.sum())
    if second <= 1e-12 * float(ff.sum()):
        return 0.0
    third = float((fff - 3.0 * slope * ffy + 3.0 * slope**2 * fyy - slope**3 * yyy).sum())
    # third cumulant scaled by (exact variance / binomial variance), then over the exact variance ** 1.5
    return third / second / float(np.sqrt(variance))


def permutation_moments(
    positives_total: int,
    totals: Array,
    *,
    repeats: Array | None = None,
    statistic: Statistic = "information",
    smoothing: float = 0.0,
) -> PermutationMoments:
    """Mean, variance and skewness of a statistic when the labels are shuffled over the rows.

    Shape:
        ``totals`` ``[K]``.

    Args:
        positives_total: Number of positive rows.
        totals: Rows per value.
        repeats: How many values have so many rows; None if each entry is one value.
        statistic: The plug-in information [nats], Pearson's chi-square, or the information value [nats].
        smoothing: Rows at the base rate that the information value adds to every value with rows; above 0 for it.

    Returns:
        The moments; all 0 for no rows, one class or one value.

    Raises:
        DataError: counts that are negative or fractional, or more positives than rows.
        ValueError: an information value without smoothing.

    Examples:
        >>> moments = permutation_moments(5, np.array([4, 3, 3]))
        >>> round(moments.mean, 12), round(moments.variance, 6)
        (0.135750605902, 0.019083)
        >>> round(permutation_moments(5, np.array([4, 3, 3]), statistic="chi_square").mean, 6)  # n (K - 1) / (n - 1)
        2.222222
    """
    distinct, times, positives, rows = _grouped(positives_total, totals, None, repeats)
    values = int(times.sum())
    if statistic == "information_value" and smoothing <= 0:
        raise ValueError(f"smoothing must be above 0 rows for the information value, got {smoothing}")
    if rows < 2 or positives in (0, rows) or values < 2:
        return PermutationMoments(mean=0.0, variance=0.0, skewness=0.0)
    rate = positives / rows
    setting, scale = statistic_setting(statistic, rows=rows, positives=positives, values=values, smoothing=smoothing)
    terms = expansions(distinct, rows, positives, _DEGREES, setting)
    mean = float((times * terms[:, 0]).sum()) / scale
    variance = _variance(distinct, times, terms, positives, rows)
    if variance <= 1e-20 * rows:
        # The table is the same under every shuffle (all values unique): rounding must not become a z-score.
        return PermutationMoments(mean=mean, variance=0.0, skewness=0.0)
    moments = binomial_moments(distinct, rate, setting)
    skewness = _skewness(moments, times, variance, rate, rows)
    return PermutationMoments(mean=mean, variance=variance / scale**2, skewness=skewness)


def expected_mutual_information(positives_total: int, totals: Array, n: int | None = None) -> float:
    """Mean of the plug-in mutual information of a field and a binary label under shuffled labels, in nats.

    This is the part of the plug-in value that cardinality alone explains. The terms depend only on the rows of a value,
    so each distinct count is evaluated once.

    Shape:
        ``totals`` ``[K]``.

    Args:
        positives_total: Number of positive rows.
        totals: Rows per value.
        n: Number of rows, if the caller wants it checked against the sum of ``totals``.

    Returns:
        Nats; the entropy of the label when all values are unique, 0 for one class or one value.

    Raises:
        DataError: counts that are negative or fractional, more positives than rows, or another ``n``.

    Examples:
        >>> round(expected_mutual_information(5, np.array([4, 3, 3])), 14)
        0.1357506059023
    """
    distinct, repeats, positives, rows = _grouped(positives_total, totals, n)
    if positives in (0, rows):
        return 0.0
    return max(float((repeats * means(distinct, rows, positives)).sum()) / rows, 0.0)


def mutual_information_variance(positives_total: int, totals: Array) -> float:
    """Variance of the plug-in mutual information under shuffled labels, in nats squared (see the module's text).

    Shape:
        ``totals`` ``[K]``.

    Args:
        positives_total: Number of positive rows.
        totals: Rows per value.

    Returns:
        Nats squared; exactly 0 when no shuffle changes the table.

    Raises:
        DataError: as :func:`expected_mutual_information`.

    Examples:
        >>> mutual_information_variance(1, np.ones(3, dtype=np.int64))
        0.0
    """
    return permutation_moments(positives_total, totals).variance


def two_value_tail(
    observed: float,
    positives_total: int,
    totals: Array,
    *,
    statistic: Statistic = "information",
    smoothing: float = 0.0,
) -> float:
    """Probability that shuffled labels give a two-valued field at least this much of a statistic: exact.

    With two values the positives of the first decide the table, so this is Fisher's exact test ordered by the statistic.

    Shape:
        ``totals`` ``[2]``, both above 0.

    Args:
        observed: Observed plug-in information [nats], or whatever the statistic is.
        positives_total: Number of positive rows.
        totals: Rows of the two values.
        statistic: As for :func:`permutation_moments`.
        smoothing: As for :func:`permutation_moments`.

    Returns:
        A probability; 0 only where it is below 1e-290.

    Examples:
        >>> two_value_tail(float(np.log(2.0)), 2, np.array([2, 2])) * 3
        1.0
    """
    sizes = counts("totals", totals)
    if sizes.size != 2 or sizes.min() == 0:
        raise DataError(f"a two-valued field has two counts above 0, got {sizes.tolist()}")
    rows, small, positives = int(sizes.sum()), int(sizes.min()), int(positives_total)
    first, weights = hypergeometric(small, rows, positives, 1e-300)
    y = np.arange(first, first + weights.size)
    if statistic == "information":
        values = _two_value_information(y, small, positives, rows)
    else:
        setting, scale = statistic_setting(statistic, rows=rows, positives=positives, values=2, smoothing=smoothing)
        rate, rest = positives / rows, rows - small
        values = np.array(
            [
                statistic_term(setting, int(k), small, rate) + statistic_term(setting, positives - int(k), rest, rate)
                for k in y
            ]
        )
        values /= scale
    return float(weights[values >= observed * (1 - 1e-9)].sum())


def _two_value_information(y: Ints, small: int, positives: int, rows: int) -> Floats:
    rate = positives / rows
    out = np.zeros(y.size)
    for cells, expected in (
        (y, small * rate),
        (small - y, small * (1 - rate)),
        (positives - y, (rows - small) * rate),
        (rows - small - positives + y, (rows - small) * (1 - rate)),
    ):
        filled = cells > 0
        out[filled] += cells[filled] * np.log(cells[filled] / expected)
    return out / rows
