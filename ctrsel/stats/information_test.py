"""Whether a field tells more about a binary label than chance: its information beside mean and variance under a null.

The null is that of shuffled labels, whose moments are known from the counts, or draws of the caller's where rows are
weighted or depend on each other.

References:
    Vinh, Epps and Bailey (2010), "Information theoretic measures for clusterings comparison" (mean under permutation,
    adjusted value); Pearson (1895), type III curve (the shifted gamma of the p-value); Rao and Scott (1981), "The analysis
    of categorical data from complex sample surveys" (the design effect).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.stats._checks import Array, contingency, weighted_contingency
from ctrsel.stats._information_interval import information_interval
from ctrsel.stats._plug_in import adjusted_information, plug_in_entropy, plug_in_information
from ctrsel.stats.permutation import PermutationMoments, permutation_moments, two_value_tail
from ctrsel.stats.tails import shifted_gamma_tail

__all__ = ["InformationTest", "drawn_information_test", "drawn_moments", "information_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationTest:
    """Information of one field about the label, against the same field with shuffled labels.

    Attributes:
        value: Plug-in mutual information, nats.
        expected: Its mean under shuffled labels, nats.
        excess: ``value - expected``, nats: the effect size, 0 on average for a field of noise.
        adjusted: Adjusted mutual information, at most 1 (arithmetic norm).
        deviation: Standard deviation under shuffled labels, nats.
        z: ``excess / deviation``; 0 when no shuffle changes the value.
        p_value: Probability of at least this value under shuffled labels; 1 when no shuffle changes the value.
        low: Lower end of a 95 % interval of the effect, nats; not below 0, as no information is.
        high: Upper end, nats.
        values: Number of values with rows.
        rows: Number of rows.
    """

    value: float
    expected: float
    excess: float
    adjusted: float
    deviation: float
    z: float
    p_value: float
    low: float
    high: float
    values: int
    rows: int


def information_test(positives: Array, totals: Array, repeats: Array | None = None) -> InformationTest:
    """Information of a field about the label with its null: excess, adjusted value, z-score and p-value in one go.

    The p-value is exact for a field with two values. Otherwise it is the upper tail of the shifted gamma distribution
    with the mean, variance and skewness under shuffled labels (the normal one for a skewness of at most 0, which is
    heavier there). It presumes that rows may be shuffled: rows in runs (sessions, days) make noise look significant.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.
        repeats: How many values have these counts, where values of equal counts stand together
            (`LabelCounts.distinct`); None if each stands for itself.

    Returns:
        The test; a field that says nothing by construction (one value, one class, all values unique) has z 0 and
        p-value 1.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> test = information_test(np.array([30, 5]), np.array([100, 100]))
        >>> round(test.excess, 4), round(test.z, 1), test.p_value < 1e-5
        (0.0565, 15.7, True)
    """
    if repeats is None:
        yes, all_rows = contingency(positives, totals)
        times = np.ones(all_rows.size, dtype=np.int64)
    else:
        yes, all_rows, times = positives, totals, repeats
    rows, positive = int((times * all_rows).sum()), int((times * yes).sum())
    value = plug_in_information(yes, all_rows, times)
    null = permutation_moments(positive, all_rows, repeats=times)
    deviation = float(np.sqrt(null.variance))
    fixed = deviation == 0.0
    excess = 0.0 if fixed else value - null.mean
    low, high = (0.0, 0.0) if fixed else information_interval(yes, all_rows, value, null=null, rows=rows, repeats=times)
    return InformationTest(
        value=value,
        expected=value if fixed else null.mean,
        excess=excess,
        adjusted=0.0 if fixed else adjusted_information(yes, all_rows, value, null.mean, times),
        deviation=deviation,
        z=0.0 if fixed else excess / deviation,
        p_value=1.0 if fixed else _p_value(value, positive, all_rows, times, null),
        low=low,
        high=high,
        values=int(times.sum()),
        rows=rows,
    )


def _p_value(value: float, positive: int, all_rows: Array, times: Array, null: PermutationMoments) -> float:
    if times.sum() == 2:
        return min(two_value_tail(value, positive, np.repeat(all_rows, times)), 1.0)
    return shifted_gamma_tail((value - null.mean) / float(np.sqrt(null.variance)), null.skewness)


def drawn_moments(drawn: Array) -> PermutationMoments:
    """Mean, variance and skewness of a statistic from draws under its null.

    The variance contains the error of the mean of B draws (the factor 1 + 1/B). The skewness is at least ``2 sd / mean``,
    the least that a weighted sum of chi-squares with this mean and variance has: draws are few where a tail is decided.

    Shape:
        ``[B]``, at least two draws of a number that is not negative.

    Examples:
        >>> moments = drawn_moments(np.array([1.0, 2.0, 3.0]))
        >>> moments.mean, round(moments.variance, 6), moments.skewness  # 2 * 1.0 / 2.0
        (2.0, 1.333333, 1.0)
    """
    values = np.asarray(drawn, dtype=np.float64)
    mean, variance = float(values.mean()), float(values.var(ddof=1))
    if variance == 0.0 or mean <= 0.0:
        return PermutationMoments(mean=mean, variance=0.0, skewness=0.0)
    deviation = float(np.sqrt(variance))
    skewness = float(((values - mean) ** 3).mean()) / deviation**3
    least = 2.0 * deviation / mean
    return PermutationMoments(mean=mean, variance=variance * (1.0 + 1.0 / values.size), skewness=max(skewness, least))


def drawn_information_test(
    positives: Array, totals: Array, drawn: Array, *, rows: int, expected_if_independent: float
) -> InformationTest:
    """As :func:`information_test`, against draws under a null of the caller's: for weighted or dependent rows.

    The interval is widened by the design effect: what the draws expect over what independent
    rows would.

    Shape:
        ``positives`` and ``totals`` ``[K]``, rows or sums of weights; ``drawn`` ``[B]``.

    Args:
        positives: Positive rows per value, or their weight.
        totals: Rows per value, or their weight.
        drawn: Plug-in information of the field under the null, nats.
        rows: Number of rows.
        expected_if_independent: Mean of the information under labels shuffled over rows that count the same, nats.

    Returns:
        The test; z 0 and p-value 1 where no draw differs from another.

    Examples:
        >>> drawn = np.random.default_rng(0).chisquare(1, 99) / 400
        >>> test = drawn_information_test(
        ...     np.array([30, 5]), np.array([100, 100]), drawn, rows=200, expected_if_independent=1 / 400
        ... )
        >>> test.z > 5, test.low < test.excess < test.high
        (True, True)
    """
    yes, all_rows = weighted_contingency(positives, totals)
    value = plug_in_information(yes, all_rows)
    null = drawn_moments(drawn)
    deviation = float(np.sqrt(null.variance))
    # Draws of one table that differ by rounding only: a field with another value in every row, or one class.
    fixed = deviation * rows <= 1e-5
    excess = 0.0 if fixed else value - null.mean
    low, high, adjusted = 0.0, 0.0, 0.0
    if not fixed:
        design = null.mean / expected_if_independent if expected_if_independent > 0 else 1.0
        low, high = information_interval(yes, all_rows, value, null=null, rows=rows / design)
        norm = (
            plug_in_entropy(all_rows) + plug_in_entropy(np.array([yes.sum(), all_rows.sum() - yes.sum()]))
        ) / 2 - null.mean
        adjusted = excess / norm if norm > 1e-15 else 0.0
    return InformationTest(
        value=value,
        expected=value if fixed else null.mean,
        excess=excess,
        adjusted=adjusted,
        deviation=0.0 if fixed else deviation,
        z=0.0 if fixed else excess / deviation,
        p_value=1.0 if fixed else shifted_gamma_tail(excess / deviation, null.skewness),
        low=low,
        high=high,
        values=int(all_rows.size),
        rows=rows,
    )
