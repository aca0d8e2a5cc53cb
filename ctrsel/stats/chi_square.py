"""Tests of independence of a field and a binary label from counts: Pearson's chi-square and the likelihood ratio G.

References:
    Pearson (1900), "On the criterion that a given system of deviations ..."; Wilks (1938), "The large-sample distribution
    of the likelihood ratio" (G); Cochran (1954), "Some methods for strengthening the common chi-square tests" (expected
    counts of five); Haldane (1940), "The mean and variance of chi-square, when used as a test of homogeneity, when
    expectations are small".
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Literal

import numpy as np

from ctrsel.stats._checks import Array, Ints, contingency
from ctrsel.stats.information import mutual_information
from ctrsel.stats.permutation import Statistic, permutation_moments, two_value_tail
from ctrsel.stats.tails import log_gamma_tail, shifted_gamma_log_tail

__all__ = ["IndependenceTest", "chi_square", "chi_square_test", "g_test", "pooled"]

Rare = Literal["exact", "pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependenceTest:
    """A statistic with its null.

    Attributes:
        value: The statistic; it has no unit.
        expected: Its mean under the null.
        z: ``(value - expected) / deviation``; 0 where the statistic cannot vary.
        p_value: Probability of at least this value; 1 where the statistic cannot vary.
        log_p: Its natural logarithm, also where the p-value is too small for a number.
        freedom: Degrees of freedom of the chi-square that it was compared with; None if shuffled labels were the null.
        how: "chi2", "pooled chi2", "exact" (two values) or "shuffled".
    """

    value: float
    expected: float
    z: float
    p_value: float
    log_p: float
    freedom: int | None
    how: str


def chi_square(positives: Array, totals: Array) -> float:
    """Pearson's chi-square of a value-by-label table, ``n^2 / (n1 n0) * (sum y^2 / n_v - n1^2 / n)``.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        A number from 0 to the number of rows; 0 for one class or one value.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> chi_square(np.array([10, 30]), np.array([40, 40]))
        20.0
    """
    return _chi_square(*contingency(positives, totals))


def _chi_square(yes: Ints, rows: Ints) -> float:
    n, positive = int(rows.sum()), int(yes.sum())
    if positive in (0, n) or rows.size < 2:
        return 0.0
    rate = positive / n
    return float((((yes - rows * rate) ** 2) / (rows * rate * (1 - rate))).sum())


def chi_square_test(positives: Array, totals: Array) -> IndependenceTest:
    """Compare Pearson's chi-square with its exact mean and variance under shuffled labels.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        The test; the p-value is exact for two values, else the upper tail of a shifted gamma distribution.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> test = chi_square_test(np.array([10, 30, 20]), np.array([40, 40, 40]))
        >>> round(test.value, 6), round(test.expected, 6), test.p_value < 1e-4
        (20.0, 2.016807, True)
    """
    yes, rows = contingency(positives, totals)
    return _shuffled(_chi_square(yes, rows), yes, rows, statistic="chi_square", scale=1.0)


def g_test(positives: Array, totals: Array, *, rare: Rare = "exact") -> IndependenceTest:
    """Compare ``G = 2 n MI`` with chi-square where every cell expects five rows, and say what was done where not.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.
        rare: For fields with values of less than ``5 / min(p, 1 - p)`` rows: "exact" compares with shuffled labels;
            "pool" takes those values together as one (a loss of what they say) and compares with chi-square.

    Returns:
        The test.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> yes, rows = np.array([10, 30, 1]), np.array([40, 40, 2])
        >>> g_test(yes[:2], rows[:2]).how, g_test(yes, rows).how, g_test(yes, rows, rare="pool").how
        ('chi2', 'shuffled', 'pooled chi2')
    """
    yes, rows = contingency(positives, totals)
    n, positive = int(rows.sum()), int(yes.sum())
    if rows.size < 2 or positive in (0, n):
        return _chi2(yes, rows, how="chi2")
    least = 5 / min(positive / n, 1 - positive / n)
    if rows.min() >= least:
        return _chi2(yes, rows, how="chi2")
    if rare == "pool":
        return _chi2(*pooled(yes, rows, least=least), how="pooled chi2")
    return _shuffled(2 * n * mutual_information(yes, rows), yes, rows, statistic="information", scale=2.0 * n)


def pooled(positives: Array, totals: Array, *, least: float) -> tuple[Ints, Ints]:
    """Take all values of fewer rows together as one; if that is still too few, the rarest of the others joins them.

    Shape:
        ``[K]`` to ``[V]`` with V at most K.

    Examples:
        >>> pooled(np.array([5, 1, 1]), np.array([90, 60, 20]), least=80.0)
        (array([5, 2]), array([90, 80]))
    """
    yes, rows = contingency(positives, totals)
    few = rows < least
    if few.any() and not few.all() and rows[few].sum() < least:
        few |= np.arange(rows.size) == int(np.argmin(np.where(few, rows.max() + 1, rows)))
    if not few.any():
        return yes, rows
    return np.append(yes[~few], yes[few].sum()), np.append(rows[~few], rows[few].sum())


def _chi2(yes: Ints, rows: Ints, *, how: str) -> IndependenceTest:
    n, freedom = int(rows.sum()), max(rows.size - 1, 0)
    value = 2.0 * n * mutual_information(yes, rows)
    if freedom == 0 or int(yes.sum()) in (0, n):
        return IndependenceTest(value=0.0, expected=0.0, z=0.0, p_value=1.0, log_p=0.0, freedom=freedom, how=how)
    log_p = log_gamma_tail(freedom / 2, value / 2)
    return IndependenceTest(
        value=value,
        expected=float(freedom),
        z=(value - freedom) / float(np.sqrt(2.0 * freedom)),
        p_value=exp(log_p),
        log_p=log_p,
        freedom=freedom,
        how=how,
    )


def _shuffled(value: float, yes: Ints, rows: Ints, *, statistic: Statistic, scale: float) -> IndependenceTest:
    """Compare ``value``, `scale` times the statistic, with shuffled labels."""
    positive = int(yes.sum())
    null = permutation_moments(positive, rows, statistic=statistic)
    deviation = float(np.sqrt(null.variance)) * scale
    if deviation == 0.0:
        return IndependenceTest(
            value=value, expected=value, z=0.0, p_value=1.0, log_p=0.0, freedom=None, how="shuffled"
        )
    z = (value - null.mean * scale) / deviation
    log_p, how = shifted_gamma_log_tail(z, null.skewness), "shuffled"
    if rows.size == 2:
        exact = min(two_value_tail(value / scale, positive, rows, statistic=statistic), 1.0)
        log_p, how = log(exact) if exact > 0 else log_p, "exact"
    return IndependenceTest(
        value=value, expected=null.mean * scale, z=z, p_value=exp(log_p), log_p=log_p, freedom=None, how=how
    )
