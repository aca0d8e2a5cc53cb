"""A 95 % interval of what a field tells about a binary label beyond chance.

References:
    Roulston (1999), "Estimating the errors on measured entropy and mutual information", equation 15 (the plug-in value's
    variance); Wilson (1927), "Probable inference, the law of succession, and statistical inference" (an interval that
    solves for the variance).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array
from ctrsel.stats.permutation import PermutationMoments

__all__ = ["information_interval"]

_TWO_SIDED = 1.959963984540054  # of the normal distribution, for 95 %
_MANY = 60.0  # degrees of freedom from which on the interval is a normal one
_FAR = 10.0  # standard deviations of the null from which on it is, too


def information_interval(
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

    Shape:
        ``yes``, ``all_rows`` and ``repeats`` ``[K]``.

    Args:
        yes: Positives per value, or their weight.
        all_rows: Rows per value, all above 0, or their weight.
        value: Plug-in information of these counts, nats.
        null: Moments of the information under the null, nats; the variance is above 0.
        rows: Number of rows, or what they are worth where they depend on each other.
        repeats: How many values have these counts.

    Examples:
        >>> from ctrsel.stats.permutation import permutation_moments
        >>> null = permutation_moments(35, np.array([100, 100]))
        >>> low, high = information_interval(np.array([30, 5]), np.array([100, 100]), 0.0590, null=null, rows=200)
        >>> low < 0.0590 - null.mean < high
        True
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
