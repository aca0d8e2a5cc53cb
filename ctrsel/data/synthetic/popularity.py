"""How often each value of a planted field occurs, and what it does to the log-odds.

Zipf's law: the value at place k occurs in proportion to k^-skew (Zipf, "Human behavior and the principle of least
effort", 1949).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ctrsel.data.synthetic.block import Codes, Floats

__all__ = ["Effects", "Popularity", "plant_effects"]


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """Shares of the rows that fall as a power of a value's place; a skew of 0 is uniform.

    Attributes:
        values: V, how many values.
        skew: The power.

    Examples:
        >>> Popularity(values=3, skew=1.0).shares.round(3).tolist()
        [0.545, 0.273, 0.182]
    """

    values: int
    skew: float = 0.0

    @cached_property
    def shares(self) -> Floats:
        """Probability of each value, `[V]`, falling."""
        mass = np.arange(1, self.values + 1, dtype=np.float64) ** -self.skew
        return np.asarray(mass / mass.sum())

    @cached_property
    def _upper(self) -> Floats:
        return np.cumsum(self.shares)

    def draw(self, rng: np.random.Generator, rows: int) -> Codes:
        """Draw codes `[rows]`."""
        if self.skew == 0.0:
            return rng.integers(0, self.values, rows, dtype=np.int32)
        found = np.searchsorted(self._upper, rng.random(rows), side="right")
        return np.minimum(found, self.values - 1).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What the values of a field do.

    Attributes:
        log_odds: Added to the log-odds by each value, `[V]`; mean 0 and a set standard deviation over the rows.
        groups: Group of each value, `[V]`; values of one group cannot be told apart. -1 = has no effect.
    """

    log_odds: Floats
    groups: npt.NDArray[np.int64]


def plant_effects(
    rng: np.random.Generator, shares: Floats, *, effect: float, active: int | None = None, groups: int | None = None
) -> Effects:
    """Draw what each value does.

    Args:
        rng: Where it is drawn from.
        shares: Probability of each value, `[V]`.
        effect: Standard deviation over the rows, in log-odds.
        active: How many values do anything; popular values are chosen more often. None = all.
        groups: How many different effects there are among them. None = every value has its own.

    Returns:
        Effects with mean 0 over the rows; with one active value the others have exactly 0 and the mean is not.

    Examples:
        >>> planted = plant_effects(np.random.default_rng(0), np.full(4, 0.25), effect=0.5, active=2)
        >>> np.abs(planted.log_odds).round(3).tolist(), planted.groups.tolist()
        ([0.707, 0.707, 0.0, 0.0], [0, 1, -1, -1])
    """
    values = len(shares)
    count = values if active is None else active
    # The largest of u^(1/share) are a weighted sample without replacement (Efraimidis and Spirakis, 2006).
    chosen = (
        np.arange(values)
        if count >= values
        else np.sort(np.argsort(np.log(rng.random(values)) / shares, kind="stable")[values - count :])
    )
    levels = count if groups is None else min(groups, count)
    of = np.arange(count) if levels == count else rng.permutation(np.arange(count) % levels)
    raw = rng.normal(size=levels)[of]
    mass = shares[chosen]
    inside = float(mass.sum())
    if levels > 1:
        raw = raw - float(mass @ raw) / inside
    mean = float(mass @ raw)
    spread = float(np.sqrt(max(float(mass @ raw**2) - mean**2, 0.0)))
    log_odds, group = np.zeros(values), np.full(values, -1, dtype=np.int64)
    log_odds[chosen] = effect * raw / spread if spread > 0.0 else 0.0
    group[chosen] = of
    return Effects(log_odds=log_odds, groups=group)
