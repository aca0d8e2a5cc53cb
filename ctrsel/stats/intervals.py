"""Intervals for a number measured on rows: the bootstrap over rows or whole groups, and Wilson's for a share.

References:
    Efron (1979), "Bootstrap methods"; Davison and Hinkley (1997), sections 3.8 (resampling whole clusters) and 5.3
    (percentile limits); Wilson (1927), "Probable inference, the law of succession, and statistical inference".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats._checks import Array, Ints

__all__ = ["Interval", "bootstrap", "normal_quantile", "wilson", "wilson_limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its limits, in the unit of the value.

    Attributes:
        value: The number measured on all rows.
        low: Lower limit.
        high: Upper limit.
        standard_error: Standard deviation of the value over repetitions.
        method: How the limits were found ("delong", "bootstrap of rows", ...).
        level: Share of repetitions in which such an interval holds the true number.
    """

    value: float
    low: float
    high: float
    standard_error: float
    method: str
    level: float = 0.95


def normal_quantile(level: float) -> float:
    """Half width, in standard errors, of a two-sided normal interval.

    Raises:
        ValueError: a level outside (0, 1).

    Examples:
        >>> round(normal_quantile(0.95), 4)
        1.96
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(special.ndtri((1 + level) / 2))


def bootstrap(
    statistic: Callable[[Ints], float | None],
    n_rows: int,
    *,
    groups: Array | None = None,
    draws: int = 200,
    level: float = 0.95,
    seed: int,
) -> Interval | None:
    """Percentile interval of a statistic over resampled rows, or over resampled whole groups when rows come in groups.

    The statistic is given how often each row counts, not a copy of the rows: it enters as a row weight.

    Shape:
        ``groups`` ``[N]``; the statistic takes ``[N]`` int64.

    Args:
        statistic: From row multiplicities to a number, or None where it is not defined. For the difference of two
            models it computes both on the same multiplicities, which makes the interval a paired one.
        n_rows: Number of rows N.
        groups: Group of each row (user, day), of any sortable type; groups are then drawn whole.
        draws: Number of resamples.
        level: Share of repetitions in which the interval is to hold the true number.
        seed: Seed of the draws.

    Returns:
        The interval; None when the statistic is None on the rows as they are, or in more than a tenth of the draws.

    Raises:
        ValueError: fewer than two draws, or a level outside (0, 1).
        DataError: no rows, or groups of another length.

    Examples:
        >>> clicks = np.array([0, 0, 1, 1, 0, 1, 0, 0, 0, 1])
        >>> interval = bootstrap(lambda times: float(np.average(clicks, weights=times)), 10, seed=1)
        >>> interval.value, 0 <= interval.low < 0.4 < interval.high <= 1
        (0.4, True)
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if n_rows < 1:
        raise DataError(f"a bootstrap needs rows, got {n_rows}")
    units, unit_of_row = n_rows, None
    if groups is not None:
        if np.shape(groups) != (n_rows,):
            raise DataError(f"groups must have shape ({n_rows},), got {np.shape(groups)}")
        names, unit_of_row = np.unique(groups, return_inverse=True)
        units = int(names.size)
    value = statistic(np.ones(n_rows, dtype=np.int64))
    if value is None:
        return None
    rng = generator(seed, "stats", "bootstrap")
    values = []
    for _ in range(draws):
        times: Ints = np.bincount(rng.integers(units, size=units), minlength=units).astype(np.int64, copy=False)
        drawn = statistic(times if unit_of_row is None else times[unit_of_row])
        if drawn is not None:
            values.append(drawn)
    if len(values) < 0.9 * draws or len(values) < 2:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        value=float(value),
        low=float(low),
        high=float(high),
        standard_error=float(np.std(values, ddof=1)),
        method="bootstrap of rows" if groups is None else "bootstrap of groups",
        level=level,
    )


def wilson_limits(share: Array, trials: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's score limits for many shares at once.

    Shape:
        ``share`` and ``trials`` ``[K]``; two results of ``[K]``. Without trials the limits are 0 and 1.

    Args:
        share: Observed shares in [0, 1].
        trials: Number of trials behind each; an effective number for weighted rows.
        level: Share of repetitions in which the limits are to hold the true share.

    Returns:
        Lower and upper limits in [0, 1].

    Examples:
        >>> low, high = wilson_limits(np.array([0.5]), np.array([10]))
        >>> low.round(4), high.round(4)
        (array([0.2366]), array([0.7634]))
    """
    z2 = normal_quantile(level) ** 2
    share, trials = np.asarray(share, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    middle = (share * trials + z2 / 2) / (trials + z2)
    half = np.sqrt(z2 * (share * (1 - share) * trials + z2 / 4)) / (trials + z2)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def wilson(successes: float, trials: float, *, level: float = 0.95) -> Interval:
    """Wilson's score interval for a share, sound for few trials and for shares near 0.

    Args:
        successes: Number of successes.
        trials: Number of trials, above 0.
        level: Share of repetitions in which the interval is to hold the true share.

    Returns:
        The observed share with its limits; the standard error is that of a binomial share.

    Raises:
        DataError: no trials, or successes outside [0, trials].

    Examples:
        >>> interval = wilson(0, 20)
        >>> interval.value, interval.low, round(interval.high, 4)
        (0.0, 0.0, 0.1611)
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise DataError(f"a share needs 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    share = successes / trials
    low, high = wilson_limits(np.array([share]), np.array([trials]), level=level)
    return Interval(
        value=share,
        low=float(low[0]),
        high=float(high[0]),
        standard_error=float(np.sqrt(share * (1 - share) / trials)),
        method="wilson",
        level=level,
    )
