"""Weight of evidence of values and information value of a field, from counts, with values of few rows smoothed.

References:
    Good (1950), "Probability and the Weighing of Evidence", chapter 6 (weight of evidence); Kullback and Leibler (1951),
    "On information and sufficiency", equation 2.6 (the symmetric divergence, which the information value is).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.stats._checks import Array, Floats, contingency, weighted_contingency
from ctrsel.stats.information_test import drawn_moments
from ctrsel.stats.permutation import permutation_moments, two_value_tail
from ctrsel.stats.tails import shifted_gamma_tail

__all__ = ["ValueTest", "information_value", "information_value_test", "weight_of_evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTest:
    """Information value of a field, against shuffled labels or draws.

    Attributes:
        value: The information value, nats.
        expected: Its mean under the null, nats.
        excess: ``value - expected``, nats; 0 on average for noise.
        z: ``excess`` over its deviation under the null; 0 where no draw changes the value.
        p_value: Probability of at least this value under the null; 1 where no draw changes the value.
    """

    value: float
    expected: float
    excess: float
    z: float
    p_value: float


def weight_of_evidence(positives: Array, totals: Array, *, smoothing: float = 1.0) -> Floats:
    """``ln(share of the positive rows / share of the negative rows)`` per value, 0 for a value that says nothing.

    Every value with rows gets ``smoothing`` more rows at the base rate, so that no share is 0.

    Shape:
        ``[K]``, ``[K]`` to ``[K]``.

    Args:
        positives: Positive rows per value, or their weight.
        totals: Rows per value, or their weight.
        smoothing: Rows (in units of the totals) at the base rate.

    Returns:
        Nats; 0 for values without rows, and everywhere for labels of one class.

    Raises:
        DataError: sums that are negative, not finite or contradict each other.
        ValueError: a smoothing that is not above 0.

    Examples:
        >>> weight_of_evidence(np.array([9, 1]), np.array([10, 10]), smoothing=1e-12).round(3)
        array([ 2.197, -2.197])
    """
    yes, rows = np.asarray(positives, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    weighted_contingency(yes, rows)
    up, down = _shares(yes, rows, smoothing)
    out: Floats = np.log(np.divide(up, down, out=np.ones_like(up), where=(up > 0) & (down > 0)))
    return out


def information_value(positives: Array, totals: Array, *, smoothing: float = 1.0) -> float:
    """``sum over values of (share of positives - share of negatives) * weight of evidence``, nats.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value, or their weight.
        totals: Rows per value, or their weight.
        smoothing: As for :func:`weight_of_evidence`.

    Returns:
        At least 0; it rises with the number of values even for noise: see :func:`information_value_test`.

    Raises:
        DataError: sums that are negative, not finite or contradict each other.
        ValueError: a smoothing that is not above 0.

    Examples:
        >>> round(information_value(np.array([9, 1]), np.array([10, 10]), smoothing=1e-12), 3)  # 2 * 0.8 * ln 9
        3.516
    """
    yes, rows = np.asarray(positives, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    up, down = _shares(yes, rows, smoothing)
    return float(((up - down) * weight_of_evidence(yes, rows, smoothing=smoothing)).sum())


def _shares(yes: Floats, rows: Floats, smoothing: float) -> tuple[Floats, Floats]:
    if smoothing <= 0:
        raise ValueError(f"smoothing must be above 0 rows, got {smoothing}")
    n, positive = float(rows.sum()), float(yes.sum())
    if n == 0 or positive in (0.0, n):
        return np.zeros_like(rows), np.zeros_like(rows)
    rate, seen = positive / n, rows > 0
    up = np.where(seen, yes + smoothing * rate, 0.0)
    down = np.where(seen, np.maximum(rows - yes, 0.0) + smoothing * (1.0 - rate), 0.0)
    return up / up.sum(), down / down.sum()


def information_value_test(
    positives: Array, totals: Array, *, smoothing: float = 1.0, drawn: Array | None = None
) -> ValueTest:
    """Compare the information value with its exact mean and variance under shuffled labels, or with draws.

    Shape:
        ``positives`` and ``totals`` ``[K]``; ``drawn`` ``[B]``.

    Args:
        positives: Positive rows per value; their weight only beside draws.
        totals: Rows per value; their weight only beside draws.
        smoothing: As for :func:`weight_of_evidence`.
        drawn: Information values under a null of the caller's, nats; None for shuffled labels.

    Returns:
        The test; the p-value is exact for two values and no draws, else the tail of a shifted gamma distribution.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.
        ValueError: a smoothing that is not above 0.

    Examples:
        >>> test = information_value_test(np.array([10, 30, 20]), np.array([40, 40, 40]))
        >>> round(test.value, 3), round(test.expected, 3), test.p_value < 1e-4
        (0.694, 0.065, True)
    """
    value = information_value(positives, totals, smoothing=smoothing)
    if drawn is None:
        yes, rows = contingency(positives, totals)
        positive = int(yes.sum())
        null = permutation_moments(positive, rows, statistic="information_value", smoothing=smoothing)
    else:
        null = drawn_moments(drawn)
    deviation = float(np.sqrt(null.variance))
    if deviation <= 1e-9 * max(null.mean, 1e-9):
        return ValueTest(value=value, expected=value, excess=0.0, z=0.0, p_value=1.0)
    z = (value - null.mean) / deviation
    if drawn is None and rows.size == 2:
        p = two_value_tail(value, positive, rows, statistic="information_value", smoothing=smoothing)
    else:
        p = shifted_gamma_tail(z, null.skewness)
    return ValueTest(value=value, expected=null.mean, excess=value - null.mean, z=z, p_value=min(p, 1.0))
