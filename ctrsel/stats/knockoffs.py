"""From knockoff statistics to a choice with a bounded rate of false discoveries.

References: Barber and Candes, "Controlling the false discovery rate via knockoffs", 2015 (knockoff+, equation 1.9);
    Candes, Fan, Janson and Lv, "Panning for gold: model-X knockoffs", 2018, theorem 3.4.
"""

from __future__ import annotations

import math

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.stats._checks import Array, Floats

__all__ = ["knockoff_q_values", "knockoff_threshold"]


def knockoff_threshold(statistics: Array, *, q: float) -> float:
    """Smallest threshold t at which ``(1 + #{W <= -t}) / max(#{W >= t}, 1)`` is at most q; choose the W from there on.

    Args:
        statistics: W per item; its sign is a fair coin for an item that tells nothing given the others.
        q: Wanted rate of false discoveries.

    Returns:
        The threshold; infinity where nothing can be chosen. At least 1/q items are chosen, or none.

    Raises:
        ConfigError: If q is not between 0 and 1.
        DataError: If a statistic is not finite.

    Examples:
        >>> knockoff_threshold(np.array([5.0, 4.0, 3.0, -1.0, 2.0]), q=0.25)
        2.0
    """
    if not 0 < q < 1:
        raise ConfigError(f"q: must be between 0 and 1, got {q}")
    thresholds, rates = _rates(statistics)
    passed = thresholds[rates <= q]
    return float(passed.min()) if passed.size else math.inf


def knockoff_q_values(statistics: Array) -> Floats:
    """Smallest q at which each item would be chosen; 1 for those that are not better than their knockoff.

    Shape:
        ``[M]`` to ``[M]``.

    Args:
        statistics: W per item.

    Returns:
        Numbers in (0, 1].

    Raises:
        DataError: If a statistic is not finite.

    Examples:
        >>> knockoff_q_values(np.array([5.0, 4.0, 3.0, -1.0])).round(3)
        array([0.333, 0.333, 0.333, 1.   ])
    """
    thresholds, rates = _rates(statistics)
    best = np.minimum.accumulate(rates)  # thresholds rise: an item is chosen at any threshold up to its own
    w = np.asarray(statistics, dtype=np.float64)
    out = np.ones(w.size)
    above = w > 0
    out[above] = np.minimum(best[np.searchsorted(thresholds, w[above])], 1.0)
    return out


def _rates(statistics: Array) -> tuple[Floats, Floats]:
    """Return the possible thresholds, rising, and the estimated rate of false discoveries at each."""
    w = np.asarray(statistics, dtype=np.float64)
    if w.ndim != 1 or not np.isfinite(w).all():
        raise DataError("knockoff statistics must be one finite number per item")
    size = np.sort(np.abs(w[w != 0]))
    thresholds = np.unique(size)
    up, down = np.sort(w[w > 0]), np.sort(-w[w < 0])
    chosen = up.size - np.searchsorted(up, thresholds)
    mirrored = down.size - np.searchsorted(down, thresholds)
    return thresholds, (1.0 + mirrored) / np.maximum(chosen, 1)
