"""Fields that say what another field says: copies under other names, noisy copies, and coarser ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic.block import Block, Codes, Floats
from ctrsel.data.synthetic.categorical import Categories
from ctrsel.data.synthetic.part import Claim, Column, Moment, Part, Prepared, World, between

__all__ = ["Copy", "Derived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Part):
    """A copy of another field, its values renamed; redundant, whatever the source is.

    Attributes:
        name: The column's name.
        source: The field that is copied; a `Signal` or `Noise`.
        noise: Share of the rows whose cell is drawn anew, from the source's popularity at the beginning.
    """

    name: str
    source: str
    noise: float = 0.0

    def __post_init__(self) -> None:
        between(f"{self.name}.noise", self.noise, 0.0, 1.0)

    def prepare(self, world: World) -> Prepared:
        """Draw the new names."""
        source = _categories(self.name, world, self.source)
        rng = generator(world.seed, "synthetic", self.name, "names")
        names = rng.permutation(source.values).astype(np.int32)
        return _Mapped(self.name, source, names, noise=self.noise, kind="redundant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Part):
    """A field that another one determines, with fewer values: the country of a city.

    Attributes:
        name: The column's name.
        source: The field that determines it; a `Signal` or `Noise`.
        values: V, how many values; the source's are dealt to them at random. None = the source's groups, so that
            this field tells all that the source does (values without effect are one more group).
    """

    name: str
    source: str
    values: int | None = None

    def prepare(self, world: World) -> Prepared:
        """Draw which value goes where."""
        source = _categories(self.name, world, self.source)
        size = source.values
        if self.values is None:
            effects = source.effects.get(world.label)
            if effects is None:
                raise ConfigError(f"{self.name}.values: {self.source!r} has no groups, so a number is needed")
            to = np.unique(effects.groups, return_inverse=True)[1].astype(np.int32)
        elif not 1 <= self.values <= size:
            raise ConfigError(f"{self.name}.values: must be from 1 to the {size} of {self.source!r}, got {self.values}")
        else:
            rng = generator(world.seed, "synthetic", self.name, "names")
            to = rng.permutation(np.arange(size, dtype=np.int32) % self.values)
        return _Mapped(self.name, source, to, noise=0.0, kind="derived")


def _categories(name: str, world: World, source: str) -> Categories:
    found = world.source(name, source)
    if not isinstance(found, Categories):
        raise ConfigError(f"{name}.source: must be a Signal or Noise, got {source!r}, a {type(found).__name__}")
    return found


class _Mapped(Prepared):
    """A field that is a function of another one, but for some noise."""

    def __init__(self, name: str, source: Categories, to: Codes, *, noise: float, kind: str) -> None:
        self.name, self.source, self.noise, self.kind = name, source, noise, kind
        self.to = np.append(to, np.int32(-1))  # what is missing there is missing here
        self.values = int(to.max()) + 1
        self.columns = (Column(name=name, values=self.values, vocabulary=name),)
        self.sources = (source.spec.name,)

    def draw(self, block: Block) -> None:
        codes = block.cells[self.source.spec.name]
        if self.noise > 0.0:
            rng = block.rng(self.name)
            fresh = rng.random(block.rows) < self.noise
            codes = np.where(fresh, self.source.popularity.draw(rng, block.rows), codes)
        block.cells[self.name] = self.to[codes]

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        of = moment.joints.get(self.source.spec.name)
        if of is None:
            return {}
        rates = of.sum(axis=0)
        fresh = self.source.fresh[:, None] * rates
        mixed = (1.0 - self.noise) * of + self.noise * fresh
        to = np.where(self.to < 0, self.values, self.to)
        return {
            self.name: np.stack(
                [np.bincount(to, weights=mixed[:, side], minlength=self.values + 1) for side in (0, 1)], axis=1
            )
        }

    def claims(self) -> tuple[Claim, ...]:
        (of,) = self.source.claims()
        name = self.source.spec.name
        shares: Floats = np.zeros(self.values)
        np.add.at(shares, self.to[:-1], self.source.fresh[:-1])
        return (
            Claim(
                column=self.name,
                kind=self.kind if of.informative else "noise",
                informative=of.informative,
                redundant_with=name,
                determined_by=name if self.noise == 0.0 else None,
                shares=shares,
                drift=of.drift,
            ),
        )
