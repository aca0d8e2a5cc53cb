"""What a categorical field tells about a binary label, from counts alone, with the part that chance explains taken out.

A field enters as a table of positives and rows per value. Plug-in mutual information grows with the number of values,
so it is reported beside its exact mean and variance under shuffled labels.

References:
    Shannon (1948), "A mathematical theory of communication" (entropy); Vinh, Epps and Bailey (2010), "Information
    theoretic measures for clusterings comparison" (mean under permutation, adjusted value); Pearson (1895), type III
    curve (the shifted gamma of the p-value).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, contingency, counts
from ctrsel.stats.permutation import (
    PermutationMoments,
    expected_mutual_information,
    mutual_information_variance,
    permutation_moments,
    two_value_tail,
)

__all__ = [
    "InformationTest",
    "adjusted_mutual_information",
    "entropy",
    "expected_mutual_information",
    "held_out_gain",
    "information_test",
    "mutual_information",
    "mutual_information_variance",
]


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
    rows = rows[rows > 0]
    if rows.size < 2:
        return 0.0
    share: Floats = rows / rows.sum()
    return float(special.entr(share).sum())


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
    rows, positive = int(all_rows.sum()), int(yes.sum())
    if rows == 0 or positive in (0, rows):
        return 0.0
    rate = positive / rows
    expected = all_rows * rate
    nats = special.xlogy(yes, yes / expected) + special.xlogy(all_rows - yes, (all_rows - yes) / (all_rows - expected))
    return max(float(nats.sum()) / rows, 0.0)


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


def _adjusted(yes: Array, all_rows: Array, value: float, expected: float) -> float:
    rows, positive = int(all_rows.sum()), int(yes.sum())
    if all_rows.size < 2 or positive in (0, rows) or all_rows.max() == 1:
        return 0.0
    norm = (entropy(all_rows) + entropy(np.array([positive, rows - positive]))) / 2 - expected
    # Two rows of two values are a copy of the label in every order: nothing to adjust, nothing to learn.
    return (value - expected) / norm if norm > 1e-15 else 0.0


def information_test(positives: Array, totals: Array) -> InformationTest:
    """Information of a field about the label with its null: excess, adjusted value, z-score and p-value in one go.

    The p-value is exact for a field with two values. Otherwise it is the upper tail of the shifted gamma distribution
    with the mean, variance and skewness under shuffled labels (the normal one for a skewness of at most 0, which is
    heavier there). It presumes that rows may be shuffled: rows in runs (sessions, days) make noise look significant.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

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
    yes, all_rows = contingency(positives, totals)
    rows, positive = int(all_rows.sum()), int(yes.sum())
    value = mutual_information(yes, all_rows)
    null = permutation_moments(positive, all_rows)
    deviation = float(np.sqrt(null.variance))
    fixed = deviation == 0.0
    return InformationTest(
        value=value,
        expected=value if fixed else null.mean,
        excess=0.0 if fixed else value - null.mean,
        adjusted=0.0 if fixed else _adjusted(yes, all_rows, value, null.mean),
        deviation=deviation,
        z=0.0 if fixed else (value - null.mean) / deviation,
        p_value=1.0 if fixed else _p_value(value, positive, all_rows, null),
        values=int(all_rows.size),
        rows=rows,
    )


def _p_value(value: float, positive: int, all_rows: Array, null: PermutationMoments) -> float:
    if all_rows.size == 2:
        return min(two_value_tail(value, positive, all_rows), 1.0)
    z = (value - null.mean) / float(np.sqrt(null.variance))
    if null.skewness <= 1e-6:
        return float(special.ndtr(-z))
    root = 2.0 / null.skewness
    point = root * root + z * root
    return 1.0 if point <= 0 else float(special.gammaincc(root * root, point))


def held_out_gain(
    train_positives: Array, train_totals: Array, valid_positives: Array, valid_totals: Array, *, prior: float = 20.0
) -> float | None:
    """Log-loss that a field alone saves on held-out rows, in nats per row.

    Every value predicts its training rate smoothed towards the base rate, ``(positives + prior * base) / (rows +
    prior)``, and is compared with predicting the training base rate for all rows. A value without training rows
    predicts the base rate.

    Shape:
        All ``[K]``, values in the same order.

    Args:
        train_positives: Positive training rows per value.
        train_totals: Training rows per value.
        valid_positives: Positive held-out rows per value.
        valid_totals: Held-out rows per value.
        prior: Weight of the base rate, in rows.

    Returns:
        Nats per held-out row, negative where the field's rates mislead; 0 when training has one class (every rate is
        the base rate); None without rows on either side.

    Raises:
        DataError: counts that contradict each other, or different lengths.
        ValueError: a prior that is not above 0.

    Examples:
        >>> gain = held_out_gain(np.array([90, 10]), np.array([100, 100]), np.array([9, 1]), np.array([10, 10]))
        >>> round(gain, 4)
        0.3499
    """
    if prior <= 0:
        raise ValueError(f"prior must be above 0 rows, got {prior}")
    contingency(train_positives, train_totals)
    contingency(valid_positives, valid_totals)
    if np.size(train_totals) != np.size(valid_totals):
        raise DataError(
            f"training and held-out counts must speak of the same values, "
            f"got {np.size(train_totals)} and {np.size(valid_totals)}"
        )
    yes, seen = np.asarray(train_positives, dtype=np.float64), np.asarray(train_totals, dtype=np.float64)
    held_yes, held = np.asarray(valid_positives, dtype=np.float64), np.asarray(valid_totals, dtype=np.float64)
    if seen.sum() == 0 or held.sum() == 0:
        return None
    base = float(yes.sum() / seen.sum())
    if base in (0.0, 1.0):
        return 0.0
    rate = (yes + prior * base) / (seen + prior)
    saved = held_yes * np.log(rate / base) + (held - held_yes) * np.log((1.0 - rate) / (1.0 - base))
    return float(saved.sum() / held.sum())
