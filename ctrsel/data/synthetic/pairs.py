"""Xor: two fields that tell nothing each and a lot together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import Block, Codes, Floats
from ctrsel.data.synthetic.part import Claim, Column, Moment, Part, Prepared, Root, World
from ctrsel.data.synthetic.popularity import Popularity

__all__ = ["Xor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Xor(Part):
    """Two fields whose values have a side each; rows whose sides differ get `effect`, the others `-effect`.

    Odd codes are on one side, even ones on the other. Both sides have exactly half of the rows, whatever the number of
    values and their popularity, so that neither field tells anything alone.

    Attributes:
        left: Name of one column.
        right: Name of the other.
        values: V of each.
        effect: Log-odds.
        skew: Popularity within a side.
    """

    left: str
    right: str
    values: int = 2
    effect: float = 0.6
    skew: float = 0.0

    def __post_init__(self) -> None:
        if self.values < 2:
            raise ConfigError(f"{self.left}.values: two sides need at least 2 values, got {self.values}")

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _Xor(self, world)


class _Xor(Prepared):
    def __init__(self, spec: Xor, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = tuple(Column(name=n, values=spec.values, vocabulary=n) for n in (spec.left, spec.right))
        self.sides = tuple(
            Popularity(values=n, skew=spec.skew) for n in ((spec.values + 1) // 2, max(spec.values // 2, 1))
        )

    def _codes(self, rng: np.random.Generator, rows: int) -> Codes:
        if self.spec.skew == 0.0 and self.spec.values % 2 == 0:
            return rng.integers(0, self.spec.values, rows, dtype=np.int32)
        side = rng.integers(0, 2, rows, dtype=np.int32)
        even, odd = (p.draw(rng, rows) for p in self.sides)
        return np.where(side == 1, 2 * odd + 1, 2 * even).astype(np.int32)

    def draw(self, block: Block) -> None:
        spec = self.spec
        for name in (spec.left, spec.right):
            block.cells[name] = self._codes(block.rng(name), block.rows)
        differ = (block.cells[spec.left] ^ block.cells[spec.right]) & 1
        block.add(self.world.label, spec.effect * (2.0 * differ - 1.0))

    def roots(self, t: float) -> tuple[Root, ...]:
        del t
        both = np.array([-self.spec.effect, self.spec.effect])
        return (Root(mass=np.array([0.5, 0.5]), log_odds={self.world.label: both}),)

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        (root,) = self.roots(moment.t)
        return {(self.spec.left, self.spec.right): moment.joint(root.mass, root.log_odds[self.world.label])}

    def claims(self) -> tuple[Claim, ...]:
        spec = self.spec
        shares = np.empty(spec.values)
        shares[0::2], shares[1::2] = self.sides[0].shares / 2, self.sides[1].shares / 2
        informative = spec.effect != 0.0
        return tuple(
            Claim(column=a, kind="xor", effect=spec.effect, informative=informative, partner=b, shares=shares)
            for a, b in ((spec.left, spec.right), (spec.right, spec.left))
        )
