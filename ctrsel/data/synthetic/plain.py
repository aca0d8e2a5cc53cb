"""Fields that no model can use: nearly constant ones and row numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.seeds import derive, uniform_hash
from ctrsel.data.synthetic.block import Block
from ctrsel.data.synthetic.part import Claim, Column, Part, Prepared, World, between

__all__ = ["Rare", "RowId", "shuffled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rare(Part):
    """A field with one value in nearly all rows and another one in the others; it tells nothing.

    Attributes:
        name: The column's name.
        share: Share of the rows with the other value.
    """

    name: str
    share: float = 0.001

    def __post_init__(self) -> None:
        between(f"{self.name}.share", self.share, 0.0, 1.0)

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        del world
        return _Rare(self)


class _Rare(Prepared):
    def __init__(self, spec: Rare) -> None:
        self.spec = spec
        self.columns = (Column(name=spec.name, values=2, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        rng = block.rng(self.spec.name)
        block.cells[self.spec.name] = (rng.random(block.rows) < self.spec.share).astype(np.int32)

    def claims(self) -> tuple[Claim, ...]:
        shares = np.array([1.0 - self.spec.share, self.spec.share])
        return (Claim(column=self.spec.name, kind="noise", informative=False, shares=shares),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowId(Part):
    """A different value in every row; it tells nothing.

    Attributes:
        name: The column's name.
        rising: In the order of the rows; otherwise in a shuffled one.
    """

    name: str
    rising: bool = False

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _RowId(self, world)


class _RowId(Prepared):
    def __init__(self, spec: RowId, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        places = np.arange(block.start, block.start + block.rows)
        if not self.spec.rising:
            places = shuffled(places, self.world.rows, seed=derive(self.world.seed, "synthetic", self.spec.name))
        block.cells[self.spec.name] = places

    def claims(self) -> tuple[Claim, ...]:
        return (Claim(column=self.spec.name, kind="noise", informative=False),)


def shuffled(places: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """Return where each place of `[0, size)` goes in a fixed random order, without ever holding the order.

    A Feistel network of four rounds over the next power of four, walked until the place is below `size` again (Black
    and Rogaway, "Ciphers with arbitrary finite domains", 2002).

    Examples:
        >>> sorted(shuffled(np.arange(10), 10, seed=1).tolist()) == list(range(10))
        True
    """
    half = max((int(size - 1).bit_length() + 1) // 2, 1)
    low = (1 << half) - 1
    found = places.astype(np.int64)
    todo = np.arange(len(found))
    while len(todo):
        left, right = found[todo] >> half, found[todo] & low
        for turn in range(4):
            mixed = (uniform_hash(right, seed=seed + turn) * (low + 1)).astype(np.int64)
            left, right = right, left ^ mixed
        found[todo] = (left << half) | right
        todo = todo[found[todo] >= size]
    return found
