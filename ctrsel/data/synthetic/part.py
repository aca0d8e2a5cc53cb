"""Part: one thing that is planted (a field, or a few that belong together); it is described, prepared, then drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import Block, Counts, Floats
from ctrsel.data.synthetic.lattice import Lattice
from ctrsel.data.synthetic.truth import LeakTruth
from ctrsel.records.schema import ColumnKind

if TYPE_CHECKING:
    from ctrsel.data.synthetic.popularity import Effects

__all__ = ["Claim", "Column", "Drift", "Moment", "Part", "Prepared", "Root", "World", "between"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What changes about a field while time goes from 0 to 1, in a straight line.

    Attributes:
        popularity: Share of the rows that, at the end, are drawn from the same popularity given to other values.
        new: Those other values are new ones, as many again, that do not occur at the beginning.
        effect: What the effect is multiplied by at the end; 0 fades away, -1 turns round.
        since: The field is missing before this moment.
        until: The field is missing from this moment on.
    """

    popularity: float = 0.0
    new: bool = False
    effect: float = 1.0
    since: float = 0.0
    until: float = 1.0

    def __post_init__(self) -> None:
        between("drift.popularity", self.popularity, 0.0, 1.0)
        between("drift.since", self.since, 0.0, 1.0)
        between("drift.until", self.until, self.since, 1.0)

    def factor(self, t: Floats | float) -> Floats | float:
        """Return what effects are multiplied by at a moment."""
        return 1.0 + (self.effect - 1.0) * t


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table.

    Attributes:
        name: Its name.
        kind: As in a schema.
        values: V, how many different values it can have; None for numbers and row numbers.
        vocabulary: Name of the column whose texts it shares; its own for most.
        max_length: Of a sequence, its longest list.
    """

    name: str
    kind: ColumnKind = "categorical"
    values: int | None = None
    vocabulary: str
    max_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is true of a column by the way in which it is made; the rest of its truth is computed.

    Attributes:
        column: Its name.
        kind: "strong", "weak", "redundant", "xor", "noise" and so on.
        effect: Standard deviation of what it adds to the log-odds of the first label.
        conversion: The same for the second label.
        informative: Whether anything about the label can be learned from it, alone or beside other fields.
        redundant_with: A field that tells the same.
        partner: A field without which it tells nothing.
        determined_by: A field whose value fixes this one's.
        effects: What each value does, if its values do something by themselves.
        shares: Probability of each value, if the field has a limited number of them.
        drift: What changes about it.
        shift: How far its numbers move, in standard deviations.
        recent: How many of the last items of a sequence count; None = all.
        leak: How it gives the label away, if it does.
    """

    column: str
    kind: str
    effect: float = 0.0
    conversion: float = 0.0
    informative: bool
    redundant_with: str | None = None
    partner: str | None = None
    determined_by: str | None = None
    effects: Effects | None = None
    shares: Floats | None = None
    drift: Drift | None = None
    shift: float = 0.0
    recent: int | None = None
    leak: LeakTruth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An independent part of the log-odds at one moment.

    Attributes:
        mass: Probability of each state, `[S]`.
        log_odds: What each state adds, by label, `[S]` each; a label that is not named gets nothing.
    """

    mass: Floats
    log_odds: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a part must know to tell how its columns and the first label go together at one moment.

    Attributes:
        t: The moment, between 0 and 1.
        lattice: For sums of effects.
        rate: Rate of the label, given what the part itself adds to the log-odds.
        base_rate: Rate of the label.
        joints: What the parts before it told, by column or pair of columns.
    """

    t: float
    lattice: Lattice
    rate: Callable[[Floats], Floats]
    base_rate: float
    joints: Mapping[str | tuple[str, str], Floats]

    def joint(self, mass: Floats, log_odds: Floats) -> Floats:
        """Return masses `[S, 2]` of negatives and positives per state, from `[S]` and `[S]`."""
        up = mass * self.rate(log_odds)
        return np.stack([mass - up, up], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a part is prepared with.

    Attributes:
        seed: The table's seed.
        rows: Rows of the table.
        label: The first label.
        conversion: The second one, if there is one.
        sources: The parts before it, by column.
        count: Returns positive rows and all rows of the whole table by code of a column, missing cells last, or by
            block if there is no column; only to be called while rows are drawn.
    """

    seed: int
    rows: int
    label: str
    conversion: str | None
    sources: Mapping[str, Prepared]
    count: Callable[[str | None], tuple[Counts, Counts]]

    def second(self, name: str) -> str:
        """Return the second label.

        Raises:
            ConfigError: If there is none, but a field acts on it.
        """
        if self.conversion is None:
            raise ConfigError(f"{name}.conversion: needs a table with a second label, got none")
        return self.conversion

    def source(self, part: str, name: str) -> Prepared:
        """Return the part that makes a column.

        Raises:
            ConfigError: If no part before this one makes it.
        """
        if name not in self.sources:
            known = ", ".join(self.sources) or "none"
            raise ConfigError(f"{part}: the source must be a field that stands before it, got {name!r}; known: {known}")
        return self.sources[name]


class Part(ABC):
    """The description of something planted; a frozen dataclass with keyword-only parameters."""

    __slots__ = ()

    @abstractmethod
    def prepare(self, world: World) -> Prepared:
        """Draw what belongs to the whole table (effects, renamings) and return what can draw rows.

        Raises:
            ConfigError: If the part does not fit the world.
        """


class Prepared(ABC):
    """A part that can draw rows and tell the truth about them.

    Attributes:
        columns: The columns it makes.
        sources: Columns of other parts that must be drawn before.
        after: Whether it is drawn after the labels, from them.
    """

    columns: tuple[Column, ...]
    sources: tuple[str, ...] = ()
    after: bool = False

    @property
    def acts(self) -> bool:
        """Whether it adds to the log-odds."""
        return bool(self.roots(0.5))

    @abstractmethod
    def draw(self, block: Block) -> None:
        """Put the cells of its columns into the block, and what they do into the block's log-odds."""

    def value_joints(self, moment: Moment) -> dict[str, Floats]:
        """Return masses `[V, 2]` of rows that hold a value, for lists; other columns' values are in `joints`."""
        del moment
        return {}

    @abstractmethod
    def claims(self) -> tuple[Claim, ...]:
        """Return what is true of each column by construction."""

    def roots(self, t: float) -> tuple[Root, ...]:
        """Return the independent parts of the log-odds at a moment; none for noise."""
        del t
        return ()

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        """Return masses `[V, 2]` of negatives and positives by value, for columns and pairs that tell something.

        A column that is not named is independent of the first label.
        """
        del moment
        return {}


def between(place: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside its range.

    Raises:
        ConfigError: Naming the parameter, the range and the number.

    Examples:
        >>> between("noise.missing", 0.2, 0.0, 1.0)
    """
    if not low <= value <= high:
        raise ConfigError(f"{place}: must be from {low:g} to {high:g}, got {value:g}")
