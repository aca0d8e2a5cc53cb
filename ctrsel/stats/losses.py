"""Log-loss from logits, the same in units of the base rate's entropy, and the shift that undoes sampling.

References:
    He et al. (2014), "Practical lessons from predicting clicks on ads at Facebook" (normalised entropy) and section
    6.3 (re-calibration after negative down-sampling).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats, binary, finite, row_weight

__all__ = ["log_loss", "normalised_entropy", "prior_shift"]


def log_loss(labels: Array, logits: Array, *, weight: Array | None = None) -> float | None:
    """Mean negative log-likelihood in nats per row, computed from logits without ever forming a probability.

    ``ln(1 + exp(-s z))`` with ``s`` = 1 for positives and -1 for negatives; finite for every finite logit.

    Shape:
        ``labels``, ``logits`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        logits: Log-odds of the positive class.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        Nats per row, or None without rows (or without weight).

    Raises:
        DataError: labels other than 0 and 1, logits that are not finite, negative weights, different lengths.

    Examples:
        >>> round(log_loss(np.array([1, 0]), np.array([0.0, 0.0])), 6)
        0.693147
        >>> log_loss(np.array([0]), np.array([1000.0]))
        1000.0
    """
    positive = binary(labels)
    z = finite("logits", logits, rows=positive.size)
    weights = row_weight(weight, rows=positive.size)
    return _mean(np.logaddexp(0.0, np.where(positive, -z, z)), weights)


def normalised_entropy(labels: Array, logits: Array, *, weight: Array | None = None) -> float | None:
    """Log-loss over the entropy of the base rate of the same rows: 1 for a constant at the base rate, lower is better.

    Shape:
        ``labels``, ``logits`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        logits: Log-odds of the positive class.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        A ratio, or None when one class is absent.

    Raises:
        DataError: as :func:`log_loss`.

    Examples:
        >>> round(normalised_entropy(np.array([1, 0, 0, 0]), np.full(4, np.log(1 / 3))), 12)
        1.0
    """
    loss = log_loss(labels, logits, weight=weight)
    positive = binary(labels)
    rate = _mean(positive.astype(np.float64), row_weight(weight, rows=positive.size))
    if loss is None or rate is None or not 0 < rate < 1:
        return None
    return loss / float(special.entr(rate) + special.entr(1 - rate))


def prior_shift(logits: Array, *, sampling_rate: float) -> Floats:
    """Logits on the original rows for a model trained with only a share of the negatives kept.

    He et al.: ``q = p / (p + (1 - p) / w)`` for the kept share ``w``; in log-odds this adds ``ln w``.

    Shape:
        Any shape, kept.

    Args:
        logits: Log-odds on the sampled rows.
        sampling_rate: Share of the negatives that was kept, in (0, 1]; all positives were kept.

    Returns:
        Log-odds on the original rows.

    Raises:
        ValueError: a share outside (0, 1].

    Examples:
        >>> shifted = prior_shift(np.array([0.0]), sampling_rate=0.1)  # one click per sampled negative
        >>> (1 / (1 + np.exp(-shifted))).round(6)  # is one click per ten negatives
        array([0.090909])
    """
    if not 0 < sampling_rate <= 1:
        raise ValueError(f"sampling_rate must be the kept share of negatives in (0, 1], got {sampling_rate}")
    shifted: Floats = np.asarray(logits, dtype=np.float64) + np.log(sampling_rate)
    return shifted


def _mean(values: Floats, weights: Floats | None) -> float | None:
    if weights is None:
        return float(values.mean()) if values.size else None
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else None
