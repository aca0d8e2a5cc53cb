"""Numeric: fields of numbers that act on the log-odds in a straight line, in a valley, in waves or in a step.

Cells may be missing because of what they would have been (missing not at random: Rubin, "Inference and missing data",
1976). Then being missing tells something, and a missing cell does what the missing numbers do on average.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.data.synthetic.block import Block, Floats
from ctrsel.data.synthetic.lattice import expit
from ctrsel.data.synthetic.part import Claim, Column, Drift, Moment, Part, Prepared, Root, World, between

__all__ = ["Numeric"]

_SHAPES = ("rising", "step", "valley", "wave")
_NODES = 2_000  # equally probable numbers by which the truth is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric(Part):
    """A field of numbers.

    With z standard normal, the number is exp(z) or z, and adds in proportion to z ("rising"), to whether z > 1
    ("step"), to z squared ("valley") or to the sine of 3 z ("wave").

    Attributes:
        name: The column's name.
        effect: Standard deviation of what it adds to the log-odds; 0 = noise.
        shape: How.
        log: The number is exp(z), otherwise z.
        decimals: To which it is rounded; what it adds is not.
        missing: Share of missing cells (where `tilt` is 0); they add nothing, which is a rate of its own.
        tilt: The log-odds of a missing cell rise by so much with z; other than 0, being missing tells something.
        shift: By how much z has moved at the end of the time.
        stick: Probability that a cell repeats the one before it in its session.
        drift: What else changes over time; its `popularity` must be 0.
        conversion: Like `effect`, for the second label.
    """

    name: str
    effect: float = 0.3
    shape: Literal["rising", "step", "valley", "wave"] = "rising"
    log: bool = True
    decimals: int = 3
    missing: float = 0.0
    tilt: float = 0.0
    shift: float = 0.0
    stick: float = 0.0
    drift: Drift | None = None
    conversion: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in _SHAPES:
            raise unknown_name("shape", self.shape, _SHAPES, place=self.name)
        between(f"{self.name}.missing", self.missing, 0.0, 1.0)
        between(f"{self.name}.stick", self.stick, 0.0, 1.0)
        if self.tilt != 0.0 and not 0.0 < self.missing < 1.0:
            raise ConfigError(f"{self.name}.tilt: needs a share of missing cells between 0 and 1, got {self.missing:g}")
        if self.drift is not None and (self.drift.popularity != 0.0 or self.drift.new):
            raise ConfigError(f"{self.name}.drift: numbers move by `shift`, got popularity {self.drift.popularity:g}")

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        effects = {world.label: self.effect} if self.effect != 0.0 else {}
        if self.conversion != 0.0:
            effects[world.second(self.name)] = self.conversion
        return _Numeric(self, world, effects)


class _Numeric(Prepared):
    def __init__(self, spec: Numeric, world: World, effects: dict[str, float]) -> None:
        self.spec, self.world, self.effects = spec, world, effects
        self.columns = (Column(name=spec.name, kind="numeric", vocabulary=spec.name),)
        normal = statistics.NormalDist()
        self.nodes = np.array([normal.inv_cdf((i + 0.5) / _NODES) for i in range(_NODES)])
        curve = _curve(self.nodes, spec.shape)
        self.mean, self.spread = float(curve.mean()), float(curve.std())
        lost = self._lost(self.nodes)
        amounts = self._amount(self.nodes)
        self.of_missing = float(lost @ amounts / lost.sum()) if spec.tilt != 0.0 else 0.0

    def _amount(self, z: Floats) -> Floats:
        """Add to the log-odds per unit of effect; standard deviation 1."""
        return (_curve(z, self.spec.shape) - self.mean) / self.spread

    def _lost(self, z: Floats) -> Floats:
        """Probability that a cell is missing."""
        share = self.spec.missing
        if self.spec.tilt == 0.0:
            return np.full(len(z), share)
        return expit(np.log(share / (1 - share)) + self.spec.tilt * z)

    def _outside(self, t: Floats) -> np.ndarray:
        drift = self.spec.drift
        return np.zeros(len(t), dtype=bool) if drift is None else (t < drift.since) | (t >= drift.until)

    def draw(self, block: Block) -> None:
        spec = self.spec
        rng = block.rng(spec.name)
        z = rng.normal(size=block.rows)
        stay = block.stay(spec.stick, rng)
        if stay is not None:
            z = z[stay]
        if spec.shift != 0.0:
            z = z + spec.shift * block.time
        gone = np.zeros(block.rows, dtype=bool)
        if spec.missing > 0.0:
            gone = rng.random(block.rows) < self._lost(z)
        block.cells[spec.name] = np.where(gone, np.nan, np.round(np.exp(z) if spec.log else z, spec.decimals))
        amount = np.where(gone, self.of_missing, self._amount(z))
        if spec.drift is not None:
            # Where there is no such field yet, nothing is added: its absence says when it is, not what it would be.
            outside = self._outside(block.time)
            block.cells[spec.name][outside] = np.nan
            amount = np.where(outside, 0.0, amount * spec.drift.factor(block.time))
        for label, effect in self.effects.items():
            block.add(label, effect * amount)

    def _states(self, t: float) -> tuple[Floats, Floats]:
        """Masses of the nodes and of a missing cell, and what they add per unit of effect, `[S + 1]` each."""
        drift = self.spec.drift
        if drift is not None and not drift.since <= t < drift.until:
            return np.append(np.zeros(_NODES), 1.0), np.zeros(_NODES + 1)
        z = self.nodes + self.spec.shift * t
        lost = self._lost(z) / _NODES
        amounts = np.append(self._amount(z), self.of_missing)
        factor = 1.0 if drift is None else drift.factor(t)
        return np.append(1.0 / _NODES - lost, lost.sum()), amounts * factor

    def roots(self, t: float) -> tuple[Root, ...]:
        if not self.effects:
            return ()
        mass, amounts = self._states(t)
        return (Root(mass=mass, log_odds={label: effect * amounts for label, effect in self.effects.items()}),)

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        effect = self.effects.get(self.world.label, 0.0)
        if effect == 0.0 and self.spec.drift is None and self.spec.shift == 0.0:
            return {}
        mass, amounts = self._states(moment.t)
        return {self.spec.name: moment.joint(mass, effect * amounts)}

    def claims(self) -> tuple[Claim, ...]:
        spec = self.spec
        planted = self.world.label in self.effects
        kind = "numeric" if planted else "noise"
        drift = spec.drift
        if spec.shift != 0.0:
            drift = Drift() if drift is None else drift
        return (
            Claim(
                column=spec.name,
                kind=kind,
                effect=spec.effect,
                conversion=spec.conversion,
                informative=planted,
                drift=drift,
                shift=spec.shift,
            ),
        )


def _curve(z: Floats, shape: str) -> Floats:
    match shape:
        case "rising":
            return z
        case "step":
            return (z > 1.0).astype(np.float64)
        case "valley":
            return np.asarray(z * z)
        case _:
            return np.asarray(np.sin(3.0 * z))
