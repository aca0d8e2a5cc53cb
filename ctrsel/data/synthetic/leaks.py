"""Leaks: columns that are made from the label, as they slip into real tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import BLOCK_ROWS, Block, Bools, Counts, Floats
from ctrsel.data.synthetic.part import Claim, Column, Moment, Part, Prepared, World, between
from ctrsel.data.synthetic.truth import LeakTruth

__all__ = ["FilledAfter", "GroupLeak", "LabelCopy", "OrderedId", "TargetEncoding", "ValueLeak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCopy(Part):
    """The label under another name.

    Attributes:
        name: The column's name.
        noise: Share of the rows where it is turned round.
    """

    name: str
    noise: float = 0.0

    def __post_init__(self) -> None:
        between(f"{self.name}.noise", self.noise, 0.0, 1.0)

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _LabelCopy(self, world)


class _LabelCopy(Prepared):
    after = True

    def __init__(self, spec: LabelCopy, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, values=2, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        turned = block.rng(self.spec.name).random(block.rows) < self.spec.noise
        block.cells[self.spec.name] = (block.labels[self.world.label] ^ turned).astype(np.int32)

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        p, e = moment.base_rate, self.spec.noise
        return {self.spec.name: np.array([[(1 - p) * (1 - e), p * e], [(1 - p) * e, p * (1 - e)]])}

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "label copy"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledAfter(Part):
    """A field that is filled in because of a positive outcome and missing otherwise; its values tell nothing.

    Attributes:
        name: The column's name.
        values: V, how many values.
        share: Share of the positive rows that are filled.
    """

    name: str
    values: int = 1_000
    share: float = 1.0

    def __post_init__(self) -> None:
        between(f"{self.name}.share", self.share, 0.0, 1.0)
        if self.values < 1:
            raise ConfigError(f"{self.name}.values: must be at least 1, got {self.values}")

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _FilledAfter(self, world)


class _FilledAfter(Prepared):
    after = True

    def __init__(self, spec: FilledAfter, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, values=spec.values, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        rng = block.rng(self.spec.name)
        filled = block.labels[self.world.label] & (rng.random(block.rows) < self.spec.share)
        codes = rng.integers(0, self.spec.values, block.rows, dtype=np.int32)
        block.cells[self.spec.name] = np.where(filled, codes, np.int32(-1))

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        p, s = moment.base_rate, self.spec.share
        return {self.spec.name: np.array([[1 - p, p * (1 - s)], [0.0, p * s]])}

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "filled after"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLeak(Part):
    """A field of noise, but for one value that only positive rows have.

    Attributes:
        name: The column's name.
        values: V, how many values of noise; the leaking one has the code V.
        share: Share of the positive rows that have it.
    """

    name: str
    values: int = 20
    share: float = 0.02

    def __post_init__(self) -> None:
        between(f"{self.name}.share", self.share, 0.0, 1.0)
        if self.values < 1:
            raise ConfigError(f"{self.name}.values: must be at least 1, got {self.values}")

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _ValueLeak(self, world)


class _ValueLeak(Prepared):
    after = True

    def __init__(self, spec: ValueLeak, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, values=spec.values + 1, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        rng = block.rng(self.spec.name)
        codes = rng.integers(0, self.spec.values, block.rows, dtype=np.int32)
        given = block.labels[self.world.label] & (rng.random(block.rows) < self.spec.share)
        block.cells[self.spec.name] = np.where(given, np.int32(self.spec.values), codes)

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        p, s = moment.base_rate, self.spec.share
        return {self.spec.name: np.array([[1 - p, p * (1 - s)], [0.0, p * s]])}

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "value", value=f"{self.spec.name}={self.spec.values}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEncoding(Part):
    """The label's rate over all rows that have the same value of another field, a row's own label included.

    Attributes:
        name: The column's name.
        source: A categorical field; the more values it has, the more of the label is in its rates.
    """

    name: str
    source: str

    def prepare(self, world: World) -> Prepared:
        """Look the source up."""
        source = world.source(self.name, self.source)
        column = next(c for c in source.columns if c.name == self.source)
        if column.kind != "categorical" or column.values is None or source.after:
            raise ConfigError(f"{self.name}.source: must be a category known before the outcome, got {self.source!r}")
        return _TargetEncoding(self, world)


class _TargetEncoding(Prepared):
    after = True

    def __init__(self, spec: TargetEncoding, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, kind="numeric", vocabulary=spec.name),)
        self.sources = (spec.source,)

    def draw(self, block: Block) -> None:
        positives, rows = self.world.count(self.spec.source)
        rates = positives / np.maximum(rows, 1)
        block.cells[self.spec.name] = rates[block.cells[self.spec.source]]

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "target encoding"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedId(Part):
    """A different number in every row, given out to the negative rows first.

    Attributes:
        name: The column's name.
    """

    name: str

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _OrderedId(self, world)


class _OrderedId(Prepared):
    after = True

    def __init__(self, spec: OrderedId, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, kind="numeric", vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        positives, rows = self.world.count(None)
        up = block.labels[self.world.label]
        before = int(positives[: block.index].sum())
        negatives = int((rows - positives).sum())
        first = np.where(up, negatives + before, block.start - before)
        block.cells[self.spec.name] = (first + _rank_within(up)).astype(np.float64)

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "row order"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLeak(Part):
    """Groups of nearby rows that all have the same label, as the lines of one order have; useless for new groups.

    A random split puts rows of one group on both sides, and then the group gives the label away.

    Attributes:
        name: The column's name.
        size: Rows of a group, but for the last one of a block and label.
    """

    name: str
    size: int = 5

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"{self.name}.size: must be at least 1, got {self.size}")

    def prepare(self, world: World) -> Prepared:
        """Nothing is drawn in advance."""
        return _GroupLeak(self, world)


class _GroupLeak(Prepared):
    after = True

    def __init__(self, spec: GroupLeak, world: World) -> None:
        self.spec, self.world = spec, world
        self.columns = (Column(name=spec.name, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        up = block.labels[self.world.label]
        own = _rank_within(up) // self.spec.size
        upper = int(own[~up].max(initial=-1)) + 1
        # Numbers are shuffled so that they do not tell the label by their order.
        names = block.rng(self.spec.name).permutation(BLOCK_ROWS)
        block.cells[self.spec.name] = block.index * BLOCK_ROWS + names[np.where(up, upper + own, own)]

    def claims(self) -> tuple[Claim, ...]:
        return (_leak(self.spec.name, "group"),)


def _rank_within(up: Bools) -> np.ndarray:
    """How many rows with the same label stand before each row, `[B]`."""
    before: Counts = np.cumsum(up) - up
    return np.where(up, before, np.arange(len(up)) - before)


def _leak(name: str, how: str, value: str | None = None) -> Claim:
    leak = LeakTruth(column=name, how=how, value=value)
    return Claim(column=name, kind="leak", informative=False, leak=leak)
