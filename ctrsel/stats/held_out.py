"""What the smoothed rates of a field's values save on held-out rows, from counts alone or from sums of weights.

References:
    Good (1952), "Rational decisions" (the logarithmic score); Micci-Barreca (2001), "A preprocessing scheme for
    high-cardinality categorical attributes in classification and prediction problems", equation 3 (smoothed rates).
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, contingency, weighted_contingency

__all__ = ["held_out_gain", "log_loss_saved", "weighted_held_out_gain"]


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
    _check_values("counts", train_totals, valid_totals)
    return _gain(train_positives, train_totals, valid_positives, valid_totals, prior)


def weighted_held_out_gain(
    train_positives: Array, train_totals: Array, valid_positives: Array, valid_totals: Array, *, prior: float
) -> float | None:
    """As :func:`held_out_gain` for sums of row weights: nats per unit of weight; the prior is in units of the weight.

    Shape:
        All ``[K]``, values in the same order.

    Raises:
        DataError: sums that are negative, not finite or contradict each other, or different lengths.
        ValueError: a prior that is not above 0.

    Examples:
        >>> half = [np.array([45.0, 5.0]), np.array([50.0, 50.0]), np.array([4.5, 0.5]), np.array([5.0, 5.0])]
        >>> round(weighted_held_out_gain(*half, prior=10.0), 4)
        0.3499
    """
    if prior <= 0:
        raise ValueError(f"prior must be above 0, got {prior}")
    weighted_contingency(train_positives, train_totals)
    weighted_contingency(valid_positives, valid_totals)
    _check_values("sums", train_totals, valid_totals)
    return _gain(train_positives, train_totals, valid_positives, valid_totals, prior)


def log_loss_saved(positives: Array, totals: Array, *, prior: float) -> tuple[Floats, Floats]:
    """Log-loss that a row saves when its value's smoothed rate stands in place of the base rate, by the row's label.

    Shape:
        ``positives`` and ``totals`` ``[K]``, rows or sums of weights; both results ``[K]``.

    Args:
        positives: Positive training rows per value.
        totals: Training rows per value.
        prior: Weight of the base rate, in rows (or in units of the weight).

    Returns:
        Nats saved by a negative row and by a positive row of each value; 0 where training has one class.

    Examples:
        >>> negative, positive = log_loss_saved(np.array([30, 5]), np.array([50, 50]), prior=20.0)
        >>> bool(positive[0] > 0 > negative[0]), bool(negative[1] > 0 > positive[1])
        (True, True)
    """
    yes, seen = np.asarray(positives, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    whole = float(seen.sum())
    base = float(yes.sum()) / whole if whole else 0.0
    if base <= 0.0 or base >= 1.0:
        return np.zeros_like(seen), np.zeros_like(seen)
    rate = (yes + prior * base) / (seen + prior)
    return np.log((1.0 - rate) / (1.0 - base)), np.log(rate / base)


def _check_values(what: str, train: Array, valid: Array) -> None:
    if np.size(train) != np.size(valid):
        raise DataError(
            f"training and held-out {what} must speak of the same values, got {np.size(train)} and {np.size(valid)}"
        )


def _gain(
    train_positives: Array, train_totals: Array, valid_positives: Array, valid_totals: Array, prior: float
) -> float | None:
    held_yes, held = np.asarray(valid_positives, dtype=np.float64), np.asarray(valid_totals, dtype=np.float64)
    if np.sum(train_totals) == 0 or held.sum() == 0:
        return None
    negative, positive = log_loss_saved(train_positives, train_totals, prior=prior)
    saved = held_yes * positive + (held - held_yes) * negative
    return float(saved.sum() / held.sum())
