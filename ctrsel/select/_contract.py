"""Selector: one way to find out what earns its place; Found is what it found, from which every size is cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.select.size import Size, Unit

if TYPE_CHECKING:
    from ctrsel.models.model import Model
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.select.problem import Problem

__all__ = ["Found", "Selection", "Selector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A decision, the weights that its retraining starts from (None = fresh), and how it was found."""

    features: FeatureSet
    snapshot: Model | None = None
    history: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(ABC):
    """What a search brought to light: one search serves all sizes.

    Attributes:
        snapshot: The weights that a retraining starts from, None for fresh ones.
        history: How the search went, an entry a step of its own (an epoch, a round).
        seconds: Its wall-clock time.
    """

    snapshot: Model | None = None
    history: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0

    @abstractmethod
    def at(self, size: Size) -> FeatureSet:
        """Return what is kept at a size; the wishes of the problem are honoured, and nothing is trained.

        Raises:
            ConfigError: If the wishes and the size contradict each other, or nothing would be left.
        """

    def told(self, features: FeatureSet) -> tuple[Mapping[str, float], ...]:
        """Return the history of a set that was cut from this."""
        return self.history


class Selector(ABC):
    """A frozen dataclass of parameters; looks at the training and validation splits only.

    Attributes:
        units: The kinds of sizes that it can be cut at.
        refuses: Why it wants a field or value at no size, in words that go on from "dropped, since"; may name its parameters
            in braces.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values",)
    refuses: ClassVar[str] = "the method wants it at no size"

    @abstractmethod
    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Find out what earns its place.

        Args:
            problem: Rows, learner and wishes.
            sizes: Those that will be asked for; a search that goes field by field may stop when it has enough.
            seed: Of everything drawn.
        """

    def fits(self, *, fields: int, rows: int) -> float:
        """Return how many trainings of the problem's learner on all training rows a search takes, at most.

        A training on a part of the rows, or of the fields, counts as that part. The one training of a search with a gate is
        not counted, since its epochs are the gate's.

        Args:
            fields: Of the table.
            rows: Training rows.
        """
        return 0.0

    def select(self, problem: Problem, *, size: Size | int, seed: int) -> Selection:
        """Search, and cut at one size; a number is one of values.

        Raises:
            ConfigError: If this selector cannot be cut at such a size, or see `Found.at`.
        """
        if isinstance(size, int):
            size = Size(number=size)
        self.check(size)
        found = self.search(problem, sizes=(size,), seed=seed)
        features = found.at(size)
        return Selection(
            features=features, snapshot=found.snapshot, history=found.told(features), seconds=found.seconds
        )

    def check(self, size: Size) -> None:
        """Refuse a kind of size that this selector cannot be cut at."""
        if size.of not in self.units:
            raise ConfigError(
                f"select: {describe(self)['use']!r} chooses {' or '.join(self.units)}, so it cannot keep {size}"
            )
