"""The intercept that makes predictions add up to the positives.

A model with an intercept that is fitted by maximum likelihood has this property on its training rows; a net that was
trained with dropout and batch norm has it in training mode, not in evaluation mode.
"""

from __future__ import annotations

import numpy as np

__all__ = ["intercept_shift", "log_odds"]

_PIECE = 1 << 20  # rows summed at once


def log_odds(labels: np.ndarray, *, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the log-odds of the labels' weighted means, float32 `[T]`; within [-15, 15] where there is one class.

    Args:
        labels: 0 and 1 `[N, T]`.
        weight: `[N]`, None for equal ones.

    Examples:
        >>> round(float(log_odds(np.array([[1.0], [0], [0], [0]]))[0]), 4)
        -1.0986
    """
    total, positives = 0.0, np.zeros(labels.shape[1])
    for start in range(0, len(labels), _PIECE):
        y = labels[start : start + _PIECE].astype(np.float64)
        w = np.ones(len(y)) if weight is None else weight[start : start + _PIECE].astype(np.float64)
        total += float(w.sum())
        positives += w @ y
    rate = np.clip(positives / total, 3e-7, 1 - 3e-7)
    return np.asarray(np.log(rate) - np.log1p(-rate), dtype=np.float32)


def intercept_shift(labels: np.ndarray, logits: np.ndarray, *, weight: np.ndarray | None = None) -> float:
    """Return the b with sum(sigmoid(logits + b)) = sum(labels), by Newton's method.

    Args:
        labels: 0 and 1 `[N]`.
        logits: `[N]`.
        weight: `[N]`, None for equal ones.

    Returns:
        b in log-odds; 0 where there is one class only, since no b is enough then.

    Examples:
        >>> y = np.array([1.0, 0, 0, 0])
        >>> round(intercept_shift(y, np.zeros(4)), 6) == round(float(np.log(1 / 3)), 6)
        True
    """
    y, z = labels.astype(np.float64), logits.astype(np.float64)
    w = np.ones(len(y)) if weight is None else weight.astype(np.float64)
    target, total = float((w * y).sum()), float(w.sum())
    if not 0 < target < total:
        return 0.0
    b = 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z + b, -500, 500)))
        slope = float((w * p * (1 - p)).sum())
        # A step of more than 2 log-odds would leave the region where the slope says anything.
        step = float(np.clip((target - float((w * p).sum())) / max(slope, 1e-12), -2, 2))
        b += step
        if abs(step) < 1e-9:
            break
    return b
