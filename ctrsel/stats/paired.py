"""Paired differences over repetitions: Student's interval, and what it says of non-inferiority.

References: Student, "The probable error of a mean", 1908; Walker and Nowacki, "Understanding equivalence and noninferiority
testing", 2011, for the rule that the lower limit must lie above minus the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

__all__ = ["PairedMean", "paired_mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMean:
    """Mean of paired differences.

    Attributes:
        value: The mean, in the unit of what was paired.
        low: Lower limit; None with fewer than two pairs.
        high: Upper limit, likewise.
        n: How many pairs.
        level: Share of repetitions in which such an interval holds the true difference.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    level: float = 0.95

    def non_inferior(self, margin: float) -> bool | None:
        """Whether the lower limit lies above `-margin`; None where there is no interval."""
        return None if self.low is None else self.low > -margin


def paired_mean(
    new: Sequence[float], old: Sequence[float], *, level: float = 0.95, more: float = 0.0
) -> PairedMean | None:
    """Return the mean of `new - old` with its interval ``mean +- t * sqrt(s^2 / n + more^2)``.

    Args:
        new: One number a repetition (a seed).
        old: Those of the other, in the same order.
        level: Of the interval, two-sided.
        more: A further standard error that repetitions cannot show, such as that of the rows all of them were measured on.

    Returns:
        None without pairs; no limits with one.

    Raises:
        ValueError: not as many of the one as of the other, or a level outside (0, 1).

    Examples:
        >>> found = paired_mean([3.0, 4.0, 5.0], [2.0, 2.0, 2.0])
        >>> found.value, round(found.low, 3), round(found.high, 3)  # 2 +- 4.303 * 1 / sqrt(3)
        (2.0, -0.484, 4.484)
    """
    if len(new) != len(old):
        raise ValueError(f"pairs need as many of both, got {len(new)} and {len(old)}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    apart = np.asarray(new, dtype=np.float64) - np.asarray(old, dtype=np.float64)
    if not len(apart):
        return None
    value = float(apart.mean())
    if len(apart) < 2:
        return PairedMean(value=value, low=None, high=None, n=1, level=level)
    error = float(np.sqrt(apart.var(ddof=1) / len(apart) + more**2))
    half = float(special.stdtrit(len(apart) - 1, (1 + level) / 2)) * error
    return PairedMean(value=value, low=value - half, high=value + half, n=len(apart), level=level)
