"""Codes of a row by the labels of the other rows with its value, and how far they set the classes apart: from counts.

A value's rate of positives, smoothed towards the base rate, is a number that methods for numbers can work with. It must
leave out the row that it codes, else a row number codes every row by its own label.

References:
    Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes" (smoothed rates); Fisher
    (1936), "The use of multiple measurements in taxonomic problems" (scatter between classes over scatter within them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.stats._checks import Array, Floats, contingency

__all__ = ["LeftOutCodes", "fisher_score", "left_out_codes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOutCodes:
    """The code of a positive and of a negative row of each value, and how many rows have it.

    Attributes:
        positive: Code of a positive row per value; what it says for a value without positive rows has no weight.
        negative: Code of a negative row per value, likewise.
        positives: Positive rows per value.
        negatives: Negative rows per value.
        expected: Mean over shuffled labels of (mean code of positive rows - mean code of negative rows): below 0 by
            some 1 / N, as a row that leaves itself out sees fewer rows of its own class.

    Shape:
        All ``[V]`` but ``expected``.
    """

    positive: Floats
    negative: Floats
    positives: Floats
    negatives: Floats
    expected: float


def left_out_codes(positives: Array, totals: Array, *, prior: float = 20.0) -> LeftOutCodes:
    """Smoothed rate of every value among the other rows, ``(positives + prior * base) / (rows + prior)``.

    Shape:
        ``positives`` and ``totals`` ``[K]``; values without rows are left out.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.
        prior: Weight of the base rate, in rows.

    Returns:
        Codes in [0, 1]. A value with one row is coded by the base rate.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.
        ValueError: a prior that is not above 0.

    Examples:
        >>> codes = left_out_codes(np.array([1, 1]), np.array([1, 3]), prior=2.0)
        >>> codes.positive, codes.negative[1:]  # the first value has no negative row
        (array([0.5 , 0.25]), array([0.5]))
    """
    if prior <= 0:
        raise ValueError(f"prior must be above 0 rows, got {prior}")
    yes, rows = contingency(positives, totals)
    n = int(rows.sum())
    base = float(yes.sum()) / n if n else 0.0
    others = rows - 1.0 + prior
    expected = -float((rows * (rows - 1.0) / others).sum()) / (n * (n - 1.0)) if n > 1 else 0.0
    return LeftOutCodes(
        positive=np.maximum(yes - 1.0 + prior * base, 0.0) / others,
        negative=np.minimum((yes + prior * base) / others, 1.0),
        positives=yes.astype(np.float64),
        negatives=(rows - yes).astype(np.float64),
        expected=expected,
    )


def fisher_score(codes: LeftOutCodes) -> float | None:
    """Fisher's score of a field's left-out codes, with a sign: scatter between the classes over scatter within them.

    ``sum_c n_c (mu_c - mu)^2 / sum_c n_c s_c^2``, where the difference of the two means is taken against its mean under
    shuffled labels, and the score is negative where rows of the other class have the higher codes, which only chance
    does.

    Args:
        codes: Of one field.

    Returns:
        A number without unit, about 0 for a field of noise; None where a class has no rows or all codes are equal.

    Examples:
        >>> round(fisher_score(left_out_codes(np.array([30, 5]), np.array([100, 100]))), 3)
        0.11
    """
    n1, n0 = float(codes.positives.sum()), float(codes.negatives.sum())
    if n1 == 0 or n0 == 0:
        return None
    mean1 = float(codes.positives @ codes.positive) / n1
    mean0 = float(codes.negatives @ codes.negative) / n0
    within = float(codes.positives @ (codes.positive - mean1) ** 2 + codes.negatives @ (codes.negative - mean0) ** 2)
    if within <= 1e-24 * (n1 + n0):
        return None
    apart = mean1 - mean0 - codes.expected
    return float(np.sign(apart)) * n1 * n0 / (n1 + n0) * apart**2 / within
