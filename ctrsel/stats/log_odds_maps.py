"""Maps from log-odds to log-odds that never turn an order round: what a calibration leaves, as plain numbers.

References: Platt (1999), "Probabilistic outputs for support vector machines" (a line); Kull, Silva Filho and Flach
(2017), "Beta calibration", equation 7; Zadrozny and Elkan (2002), "Transforming classifier scores into accurate multiclass
probability estimates" (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrsel.stats._checks import Array, Floats

__all__ = ["MAPS", "Beta", "Isotonic", "LogOddsMap", "Platt", "Unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The log-odds as they are."""

    def __call__(self, logits: Array) -> Floats:
        """Map log-odds of any shape."""
        return np.asarray(logits, dtype=np.float64)

    @property
    def line(self) -> tuple[float, float] | None:
        """Scale and shift of a map that is a line, else None."""
        return 1.0, 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """``scale z + shift``.

    Attributes:
        scale: Not negative.
        shift: Log-odds.

    Examples:
        >>> Platt(scale=2.0, shift=1.0)(np.array([-1.0, 3.0]))
        array([-1.,  7.])
    """

    scale: float
    shift: float

    def __call__(self, logits: Array) -> Floats:
        """Map log-odds of any shape."""
        mapped: Floats = self.scale * np.asarray(logits, dtype=np.float64) + self.shift
        return mapped

    @property
    def line(self) -> tuple[float, float] | None:
        """Scale and shift."""
        return self.scale, self.shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """``low ln p - high ln(1 - p) + shift`` with ``p`` the probability of z: slope `low` far below 0, `high` far above.

    Attributes:
        low: a of the paper, not negative.
        high: b of the paper, not negative.
        shift: c of the paper.

    Examples:
        >>> Beta(low=1.0, high=1.0, shift=0.0)(np.array([-1.0, 3.0]))
        array([-1.,  3.])
    """

    low: float
    high: float
    shift: float

    def __call__(self, logits: Array) -> Floats:
        """Map log-odds of any shape."""
        z = np.asarray(logits, dtype=np.float64)
        mapped: Floats = self.high * np.logaddexp(0.0, z) - self.low * np.logaddexp(0.0, -z) + self.shift
        return mapped

    @property
    def line(self) -> tuple[float, float] | None:
        """None unless both slopes are one."""
        return (self.low, self.shift) if self.low == self.high else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Straight lines between knots, of slope 1 beyond the outermost ones, so finite and rising everywhere.

    Attributes:
        logits: Rising places of the knots, at least one.
        log_odds: Rising values there.

    Examples:
        >>> Isotonic(logits=(0.0, 2.0), log_odds=(-1.0, 3.0))(np.array([-1.0, 1.0, 4.0]))
        array([-2.,  1.,  5.])
    """

    logits: tuple[float, ...]
    log_odds: tuple[float, ...]

    def __call__(self, logits: Array) -> Floats:
        """Map log-odds of any shape."""
        z = np.asarray(logits, dtype=np.float64)
        inside = np.clip(z, self.logits[0], self.logits[-1])
        mapped: Floats = np.interp(inside, self.logits, self.log_odds) + (z - inside)
        return mapped

    @property
    def line(self) -> tuple[float, float] | None:
        """A shift where there is one knot, else None."""
        return (1.0, self.log_odds[0] - self.logits[0]) if len(self.logits) == 1 else None


LogOddsMap = Unchanged | Platt | Beta | Isotonic
MAPS: Mapping[str, Any] = {"none": Unchanged, "platt": Platt, "beta": Beta, "isotonic": Isotonic}
