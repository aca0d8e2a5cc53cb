"""Categories: fields whose values act on the log-odds by themselves, and fields of noise of any number of values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic.block import Block, Codes, Floats
from ctrsel.data.synthetic.part import Claim, Column, Drift, Moment, Part, Prepared, Root, World, between
from ctrsel.data.synthetic.popularity import Effects, Popularity, plant_effects

__all__ = ["Categories", "Noise", "Signal", "Strong", "Weak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Part):
    """A categorical field whose values act on the log-odds by themselves.

    A missing cell adds nothing, whatever it would have been: what was not measured has no effect. Its rows have a rate
    of their own, then, as those of any other value.

    Attributes:
        name: The column's name.
        values: V, how many values.
        effect: Standard deviation of what it adds to the log-odds, over the rows that have it.
        skew: The values' popularity falls as place^-skew; 0 = uniform.
        active: How many values do anything; None = all.
        groups: How many different effects there are; values of one group cannot be told apart. None = one per value.
        missing: Share of missing cells.
        stick: Probability that a cell repeats the one before it in its session; 1 = constant in a session.
        drift: What changes over time.
        conversion: Like `effect`, for the second label, with effects of its own.
        kind: What the truth calls it.
    """

    name: str
    values: int
    effect: float = 0.3
    skew: float = 1.05
    active: int | None = None
    groups: int | None = None
    missing: float = 0.0
    stick: float = 0.0
    drift: Drift | None = None
    conversion: float = 0.0
    kind: str = "signal"

    def __post_init__(self) -> None:
        _check(self.name, self.values, self.missing, self.stick)
        for key, count in (("active", self.active), ("groups", self.groups)):
            if count is not None and not 1 <= count <= self.values:
                raise ConfigError(f"{self.name}.{key}: must be from 1 to the {self.values} values, got {count}")

    def prepare(self, world: World) -> Categories:
        """Draw what each value does."""
        popularity = Popularity(values=self.values, skew=self.skew)
        shares = popularity.shares
        if self.drift is not None and self.drift.new:
            shares = np.append(shares, shares) / 2

        def planted(effect: float, stage: str) -> Effects:
            rng = generator(world.seed, "synthetic", self.name, stage)
            return plant_effects(rng, shares, effect=effect, active=self.active, groups=self.groups)

        effects = {world.label: planted(self.effect, "effects")} if self.effect != 0.0 else {}
        if self.conversion != 0.0:
            effects[world.second(self.name)] = planted(self.conversion, "conversion effects")
        return Categories(self, popularity=popularity, effects=effects, world=world)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strong(Signal):
    """A `Signal` that is easily seen."""

    effect: float = 0.45
    kind: str = "strong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weak(Signal):
    """A `Signal` that is hardly seen."""

    effect: float = 0.12
    kind: str = "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Part):
    """A categorical field that tells nothing; one value makes it constant.

    Attributes:
        name: The column's name.
        values: V, how many values.
        skew: The values' popularity falls as place^-skew; 0 = uniform.
        missing: Share of missing cells.
        stick: Probability that a cell repeats the one before it in its session.
        drift: What changes over time (its `effect` does not matter).
    """

    name: str
    values: int
    skew: float = 0.0
    missing: float = 0.0
    stick: float = 0.0
    drift: Drift | None = None

    def __post_init__(self) -> None:
        _check(self.name, self.values, self.missing, self.stick)

    def prepare(self, world: World) -> Categories:
        """Nothing is drawn in advance."""
        return Categories(self, popularity=Popularity(values=self.values, skew=self.skew), effects={}, world=world)


def _check(name: str, values: int, missing: float, stick: float) -> None:
    if values < 1:
        raise ConfigError(f"{name}.values: must be at least 1, got {values}")
    between(f"{name}.missing", missing, 0.0, 1.0)
    between(f"{name}.stick", stick, 0.0, 1.0)


class Categories(Prepared):
    """Draws `Signal` and `Noise`."""

    def __init__(
        self, spec: Signal | Noise, *, popularity: Popularity, effects: dict[str, Effects], world: World
    ) -> None:
        self.spec, self.popularity, self.effects, self.world = spec, popularity, effects, world
        drift = spec.drift
        # V, with the values that are new.
        self.values = 2 * spec.values if drift is not None and drift.new else spec.values
        self.columns = (Column(name=spec.name, values=self.values, vocabulary=spec.name),)
        # The last entry is what a missing cell (code -1) adds.
        self.log_odds = {label: np.append(e.log_odds, 0.0) for label, e in effects.items()}
        self.moved: Codes | None = None
        if drift is not None and drift.popularity > 0.0:
            rng = generator(world.seed, "synthetic", spec.name, "drift")
            self.moved = rng.permutation(spec.values).astype(np.int32) + np.int32(self.values - spec.values)

    @property
    def fresh(self) -> Floats:
        """Probability of each value at the beginning, among rows that have one; a missing cell (last) has 0."""
        return np.append(self.popularity.shares, np.zeros(self.values + 1 - self.spec.values))

    def draw(self, block: Block) -> None:
        """Draw codes and add what they do."""
        spec = self.spec
        rng = block.rng(spec.name)
        codes = self.popularity.draw(rng, block.rows)
        if spec.drift is not None and self.moved is not None:
            other = rng.random(block.rows) < spec.drift.popularity * block.time
            codes = np.where(other, self.moved[codes], codes)
        stay = block.stay(spec.stick, rng)
        if stay is not None:
            codes = codes[stay]
        if spec.missing > 0.0:
            codes = np.where(rng.random(block.rows) < spec.missing, np.int32(-1), codes)
        if spec.drift is not None:
            outside = (block.time < spec.drift.since) | (block.time >= spec.drift.until)
            codes = np.where(outside, np.int32(-1), codes)
        block.cells[spec.name] = codes
        for label, log_odds in self.log_odds.items():
            amount = log_odds[codes]
            if spec.drift is not None and spec.drift.effect != 1.0:
                amount = amount * spec.drift.factor(block.time)
            block.add(label, amount)

    def shares(self, t: float) -> Floats:
        """Probability of each value and of a missing cell at a moment, `[V + 1]`."""
        drift = self.spec.drift
        shares = self.fresh[:-1]
        missing = self.spec.missing
        if drift is not None:
            if self.moved is not None:
                other = np.zeros_like(shares)
                other[self.moved] = self.popularity.shares
                shares = shares + drift.popularity * t * (other - shares)
            if not drift.since <= t < drift.until:
                missing = 1.0
        return np.append(shares * (1.0 - missing), missing)

    def roots(self, t: float) -> tuple[Root, ...]:
        """One root: the value."""
        if not self.log_odds:
            return ()
        factor = 1.0 if self.spec.drift is None else self.spec.drift.factor(t)
        return (Root(mass=self.shares(t), log_odds={label: w * factor for label, w in self.log_odds.items()}),)

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        """The value and the label; also of noise that drifts, which goes with a label whose rate does."""
        label = self.world.label
        roots = self.roots(moment.t)
        if roots and label in roots[0].log_odds:
            return {self.spec.name: moment.joint(roots[0].mass, roots[0].log_odds[label])}
        if self.spec.drift is None:
            return {}
        return {self.spec.name: moment.joint(self.shares(moment.t), np.zeros(self.values + 1))}

    def claims(self) -> tuple[Claim, ...]:
        """What was planted."""
        spec, effects = self.spec, self.effects.get(self.world.label)
        return (
            Claim(
                column=spec.name,
                kind=spec.kind if isinstance(spec, Signal) else "noise",
                effect=spec.effect if isinstance(spec, Signal) else 0.0,
                conversion=spec.conversion if isinstance(spec, Signal) else 0.0,
                informative=effects is not None and self.values > 1,
                effects=effects,
                shares=self.fresh[:-1],
                drift=spec.drift,
            ),
        )
