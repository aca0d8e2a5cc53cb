"""Whether predicted probabilities are the observed rates: overall, by segment, and by bins of equal mass.

References:
    He et al. (2014) (calibration as predicted over observed); Naeini, Cooper and Hauskrecht (2015), "Obtaining well
    calibrated probabilities using Bayesian binning" (expected calibration error); Nixon et al. (2019), "Measuring
    calibration in deep learning" (bins of equal mass); Kish (1965), "Survey sampling" (effective number of rows).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Bools, Floats, Ints, binary, finite, row_weight
from ctrsel.stats.intervals import wilson_limits

__all__ = ["Reliability", "SegmentCalibration", "calibration_by_segment", "calibration_ratio", "ece", "reliability"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentCalibration:
    """Calibration per segment, segments in rising order.

    Shape:
        All arrays ``[S]``.

    Attributes:
        segments: The segment's value.
        predicted: Weighted mean predicted probability.
        observed: Weighted share of positives.
        weight: Sum of row weights (rows without weights).
        ratio: ``predicted / observed``; NaN in a segment without positives, where it is not defined.
    """

    segments: Array
    predicted: Floats
    observed: Floats
    weight: Floats
    ratio: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reliability:
    """Points of a reliability diagram, bins in rising order of prediction, empty bins left out.

    Shape:
        All arrays ``[S]``, with S at most the number of bins asked for.

    Attributes:
        predicted: Weighted mean predicted probability.
        observed: Weighted share of positives.
        weight: Sum of row weights (rows without weights).
        low: Lower Wilson limit of the observed share.
        high: Upper Wilson limit of the observed share.
    """

    predicted: Floats
    observed: Floats
    weight: Floats
    low: Floats
    high: Floats


def calibration_ratio(labels: Array, probabilities: Array, *, weight: Array | None = None) -> float | None:
    """Predicted positives over observed positives; 1 is calibrated on average, above 1 is over-prediction.

    Shape:
        ``labels``, ``probabilities`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        probabilities: Predicted probabilities of the positive class.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        A ratio, or None without positives.

    Raises:
        DataError: labels other than 0 and 1, probabilities outside [0, 1], negative weights, different lengths.

    Examples:
        >>> calibration_ratio(np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.25, 0.25]))
        0.75
    """
    positive, p, w = _columns(labels, probabilities, weight)
    observed = float(w[positive].sum())
    return float(p @ w) / observed if observed > 0 else None


def calibration_by_segment(
    labels: Array, probabilities: Array, segments: Array, *, weight: Array | None = None
) -> SegmentCalibration:
    """Predicted and observed rates within each segment of the rows.

    Shape:
        ``labels``, ``probabilities``, ``segments`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        probabilities: Predicted probabilities of the positive class.
        segments: Segment of each row, of any sortable type.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        One row per segment; segments without weight are left out.

    Raises:
        DataError: as :func:`calibration_ratio`.

    Examples:
        >>> found = calibration_by_segment(np.array([1, 0, 0]), np.array([0.5, 0.25, 0.25]), np.array(["a", "a", "b"]))
        >>> found.segments.tolist(), found.ratio
        (['a', 'b'], array([0.75,  nan]))
    """
    positive, p, w = _columns(labels, probabilities, weight)
    if np.shape(segments) != positive.shape:
        raise DataError(f"segments must have shape {positive.shape} like the labels, got {np.shape(segments)}")
    names, owner = np.unique(segments, return_inverse=True)
    predicted, observed, mass, kept = _rates(positive, p, w, owner, int(names.size))
    ratio = np.divide(predicted, observed, out=np.full_like(predicted, np.nan), where=observed > 0)
    return SegmentCalibration(segments=names[kept], predicted=predicted, observed=observed, weight=mass, ratio=ratio)


def ece(labels: Array, probabilities: Array, *, bins: int = 20, weight: Array | None = None) -> float | None:
    """Expected calibration error: mean over rows of |predicted - observed| of the row's bin, bins of equal mass.

    Rows with one prediction stay in one bin, so the number does not depend on the order of rows.

    Shape:
        ``labels``, ``probabilities`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        probabilities: Predicted probabilities of the positive class.
        bins: Number of bins of equal mass.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        A probability difference in [0, 1], or None without rows. Noise alone gives about
        ``sqrt(2 rate bins / (pi N))``.

    Raises:
        DataError: as :func:`calibration_ratio`.
        ValueError: fewer than one bin.

    Examples:
        >>> round(ece(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75]), bins=2), 6)
        0.25
    """
    positive, p, w = _columns(labels, probabilities, weight)
    predicted, observed, mass, _ = _rates(positive, p, w, _equal_mass(p, w, bins), bins)
    total = float(mass.sum())
    return float(np.abs(predicted - observed) @ mass) / total if total > 0 else None


def reliability(
    labels: Array, probabilities: Array, *, bins: int = 20, weight: Array | None = None, level: float = 0.95
) -> Reliability:
    """Mean prediction and observed rate in bins of equal mass, with Wilson's limits for the rate.

    Shape:
        ``labels``, ``probabilities`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        probabilities: Predicted probabilities of the positive class.
        bins: Number of bins of equal mass; rows with one prediction stay in one bin.
        weight: Row weights. The limits rest on Kish's effective number of rows, ``(sum w)^2 / sum w^2`` of the bin.
        level: Level of the limits.

    Returns:
        One point per bin that holds rows.

    Raises:
        DataError: as :func:`calibration_ratio`.
        ValueError: fewer than one bin, or a level outside (0, 1).

    Examples:
        >>> curve = reliability(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75]), bins=2)
        >>> curve.predicted, curve.observed
        (array([0.25, 0.75]), array([0.5, 1. ]))
    """
    positive, p, w = _columns(labels, probabilities, weight)
    owner = _equal_mass(p, w, bins)
    predicted, observed, mass, kept = _rates(positive, p, w, owner, bins)
    squares = np.bincount(owner, weights=w * w, minlength=bins)[kept]
    low, high = wilson_limits(observed, mass**2 / squares, level=level)
    return Reliability(predicted=predicted, observed=observed, weight=mass, low=low, high=high)


def _columns(labels: Array, probabilities: Array, weight: Array | None) -> tuple[Bools, Floats, Floats]:
    positive = binary(labels)
    p = finite("probabilities", probabilities, rows=positive.size)
    if p.size and (p.min() < 0 or p.max() > 1):
        row = int(np.argmax((p < 0) | (p > 1)))
        raise DataError(f"probabilities must lie in [0, 1], got {p[row]} in row {row}")
    w = row_weight(weight, rows=positive.size)
    return positive, p, np.ones(positive.size) if w is None else w


def _equal_mass(p: Floats, w: Floats, bins: int) -> Ints:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if p.size == 0 or w.sum() <= 0:
        return np.zeros(p.size, dtype=np.int64)
    _, level = np.unique(p, return_inverse=True)
    mass = np.bincount(level, weights=w)
    # A prediction belongs where the middle of its rows falls.
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    of_level: Ints = np.minimum((middle * bins).astype(np.int64), bins - 1)
    owner: Ints = of_level[level]
    return owner


def _rates(positive: Bools, p: Floats, w: Floats, owner: Ints, size: int) -> tuple[Floats, Floats, Floats, Bools]:
    mass: Floats = np.bincount(owner, weights=w, minlength=size).astype(np.float64, copy=False)
    kept = mass > 0
    mass_kept = mass[kept]
    predicted = np.bincount(owner, weights=w * p, minlength=size)[kept] / mass_kept
    observed = np.bincount(owner, weights=w * positive, minlength=size)[kept] / mass_kept
    return predicted, observed, mass_kept, kept
