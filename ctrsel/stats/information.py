"""What a categorical field tells about a binary label, from counts alone, with the part that chance explains taken out.

A field enters as a table of positives and rows per value. Plug-in mutual information grows with the number of values,
so it is reported beside its exact mean and variance under shuffled labels.

References:
    Shannon (1948), "A mathematical theory of communication" (entropy); Vinh, Epps and Bailey (2010), "Information
    theoretic measures for clusterings comparison" (mean under permutation, adjusted value); Pearson (1895), type III
    curve (the shifted gamma of the p-value); Roulston (1999), "Estimating the errors on measured entropy and mutual
    information", equation 15 (the plug-in value's variance); Rao and Scott (1981), "The analysis of categorical data from
    complex sample surveys" (the design effect); Wilson (1927), "Probable inference, the law of succession, and statistical
    inference" (an interval that solves for the variance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats, contingency, counts, weighted_contingency
from ctrsel.stats.held_out import held_out_gain, log_loss_saved, weighted_held_out_gain
from ctrsel.stats.permutation import (
    PermutationMoments,
    expected_mutual_information,
    mutual_information_variance,
    permutation_moments,
    two_value_tail,
)
from ctrsel.stats.tails import shifted_gamma_tail

__all__ = [
    "InformationTest",
    "adjusted_mutual_information",
    "drawn_information_test",
    "drawn_moments",
    "entropy",
    "expected_mutual_information",
    "held_out_gain",
    "information_test",
    "log_loss_saved",
    "mutual_information",
    "mutual_information_variance",
    "weighted_held_out_gain",
    "weighted_mutual_information",
]

_TWO_SIDED = 1.959963984540054  # of the normal distribution, for 95 %
_MANY = 60.0  # degrees of freedom from which on the interval is a normal one
_FAR = 10.0  # standard deviations of the null from which on it is, too


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


def entropy(counts_: Array) -> float:
    """Plug-in Shannon entropy of a set of counts, in nats.

    Shape:
        ``[K]``: rows per value.

    Args:
        counts_: Whole, non-negative counts.

    Returns:
        A number in [0, ln K]; 0 for no rows.

    Raises:
        DataError: negative or fractional counts.

    Examples:
        >>> round(entropy(np.array([2, 2])), 6)
        0.693147
        >>> entropy(np.array([5, 0]))
        0.0
    """
    rows = counts("counts", counts_)
    return _entropy(rows[rows > 0])


def _entropy(rows: Array, repeats: Array | int = 1) -> float:
    if rows.size < 2 and np.sum(repeats) < 2:
        return 0.0
    share: Floats = rows / (repeats * rows).sum()
    return float((repeats * special.entr(share)).sum())


def mutual_information(positives: Array, totals: Array) -> float:
    """Plug-in mutual information of a field and a binary label, in nats.

    ``sum over cells of n_cell / n * ln(n * n_cell / (rows of the value * rows of the class))``.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        A number in [0, entropy of the label]. It rises with the number of values even for noise:
        see :func:`information_test`.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> round(mutual_information(np.array([1, 2, 2]), np.array([4, 3, 3])), 12)
        0.086304621736
    """
    yes, all_rows = contingency(positives, totals)
    return _plug_in(yes, all_rows)


def _plug_in(yes: Array, all_rows: Array, repeats: Array | int = 1) -> float:
    rows, positive = (repeats * all_rows).sum(), (repeats * yes).sum()
    if rows == 0 or positive in (0, rows):
        return 0.0
    rate = float(positive) / float(rows)
    expected = all_rows * rate
    nats = special.xlogy(yes, yes / expected) + special.xlogy(all_rows - yes, (all_rows - yes) / (all_rows - expected))
    return max(float((repeats * nats).sum()) / float(rows), 0.0)


def weighted_mutual_information(positives: Array, totals: Array) -> float:
    """Plug-in mutual information [nats] when rows have weights: sums of weights stand in place of numbers of rows.

    Shape:
        ``positives`` and ``totals`` ``[K]``, in units of the weight.

    Args:
        positives: Weight of the positive rows per value.
        totals: Weight of all rows per value.

    Returns:
        A number in [0, entropy of the label]; no change when all weights are scaled.

    Raises:
        DataError: sums that are negative, not finite or contradict each other.

    Examples:
        >>> weighted_mutual_information(np.array([0.5, 0.0]), np.array([0.5, 0.5])) == float(np.log(2.0))
        True
    """
    return _plug_in(*weighted_contingency(positives, totals))


def adjusted_mutual_information(positives: Array, totals: Array) -> float:
    """Adjusted mutual information ``(MI - EMI) / ((H(field) + H(label)) / 2 - EMI)``, without unit.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        0 on average for noise, 1 for a copy of the label; 0 (never NaN) for one class, one value, or all values unique.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> round(adjusted_mutual_information(np.array([1, 2, 2]), np.array([4, 3, 3])), 12)
        -0.065467699754
    """
    yes, all_rows = contingency(positives, totals)
    positive = int(yes.sum())
    return _adjusted(yes, all_rows, mutual_information(yes, all_rows), expected_mutual_information(positive, all_rows))


def _adjusted(yes: Array, all_rows: Array, value: float, expected: float, repeats: Array | int = 1) -> float:
    rows, positive = int((repeats * all_rows).sum()), int((repeats * yes).sum())
    if positive in (0, rows) or all_rows.max() in (1, rows):
        return 0.0
    norm = (_entropy(all_rows, repeats) + entropy(np.array([positive, rows - positive]))) / 2 - expected
    # Two rows of two values are a copy of the label in every order: nothing to adjust, nothing to learn.
    return (value - expected) / norm if norm > 1e-15 else 0.0


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
    value = _plug_in(yes, all_rows, times)
    null = permutation_moments(positive, all_rows, repeats=times)
    deviation = float(np.sqrt(null.variance))
    fixed = deviation == 0.0
    excess = 0.0 if fixed else value - null.mean
    low, high = (0.0, 0.0) if fixed else _interval(yes, all_rows, value, null=null, rows=rows, repeats=times)
    return InformationTest(
        value=value,
        expected=value if fixed else null.mean,
        excess=excess,
        adjusted=0.0 if fixed else _adjusted(yes, all_rows, value, null.mean, times),
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


def _interval(
    yes: Array,
    all_rows: Array,
    value: float,
    *,
    null: PermutationMoments,
    rows: float,
    repeats: Array | int = 1,
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the effect [nats], neither below 0.

    With few degrees of freedom the information is a multiple of a chi-square with the null's mean and variance, and the ends
    are those that its non-central form could have come from. With many it is normal with the variance ``null variance + k *
    effect``, where ``k`` is the plug-in variance ``(sum over cells of share * ln(n * n_cell / (rows of the value * rows of
    the class))^2 - MI^2) / rows`` per nat, and the ends solve ``(excess - effect)^2 = 1.96^2 * (null variance + k * effect)``
    as in Wilson's interval.
    """
    excess = value - null.mean
    freedom = 2.0 * null.mean**2 / null.variance
    if freedom < _MANY and excess < _FAR * np.sqrt(null.variance):
        scale = null.variance / (2.0 * null.mean)
        point = value / scale
        ends = [
            float(special.chndtrinc(point, freedom, tail)) if special.chdtr(freedom, point) > tail else 0.0
            for tail in (0.975, 0.025)
        ]
        return ends[0] * scale, ends[1] * scale
    slope = _squares(yes, all_rows, value, repeats) / (value * rows) if value > 0 else 0.0
    centre = excess + _TWO_SIDED**2 * slope / 2.0
    half = _TWO_SIDED * float(np.sqrt(max(null.variance + slope * excess + (_TWO_SIDED * slope) ** 2 / 4.0, 0.0)))
    return max(centre - half, 0.0), max(centre + half, 0.0)


def _squares(yes: Array, all_rows: Array, value: float, repeats: Array | int = 1) -> float:
    """Variance over rows of the logarithm whose mean is the information, nats squared."""
    whole = float((repeats * all_rows).sum())
    rate = float((repeats * yes).sum()) / whole
    no = all_rows - yes
    with np.errstate(divide="ignore", invalid="ignore"):
        up, down = np.log(yes / (all_rows * rate)), np.log(no / (all_rows * (1.0 - rate)))
        squares = np.where(yes > 0, yes * up**2, 0.0) + np.where(no > 0, no * down**2, 0.0)
    return max(float((repeats * squares).sum()) / whole - value**2, 0.0)


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
    value = _plug_in(yes, all_rows)
    null = drawn_moments(drawn)
    deviation = float(np.sqrt(null.variance))
    # Draws of one table that differ by rounding only: a field with another value in every row, or one class.
    fixed = deviation * rows <= 1e-5
    excess = 0.0 if fixed else value - null.mean
    low, high, adjusted = 0.0, 0.0, 0.0
    if not fixed:
        design = null.mean / expected_if_independent if expected_if_independent > 0 else 1.0
        low, high = _interval(yes, all_rows, value, null=null, rows=rows / design)
        norm = (_entropy(all_rows) + _entropy(np.array([yes.sum(), all_rows.sum() - yes.sum()]))) / 2 - null.mean
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
