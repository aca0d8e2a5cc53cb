"""Protocol: what a comparison of selectors holds equal for all, and how far it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctrsel.api.min_counts import COUNTS
from ctrsel.core.errors import ConfigError
from ctrsel.select.size import Unit
from ctrsel.train import Learner

__all__ = ["SHARES", "Protocol"]

SHARES = (0.1, 0.2, 0.35, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What is compared how.

    Attributes:
        judges: By name; the first judges the first stage, too.
        learner: What selectors search with; None for the first judge.
        shares: The sizes, as shares of what is left after the minimum count.
        screen: How many of them the first stage looks at: the smallest, the largest, and evenly between.
        seeds: Of searches and trainings; the first is that of the first stage.
        best: How many selectors go on after it.
        unit: What sizes are counted in.
        margin: Of non-inferiority, in AUC.
        min_counts: Minimum counts to try; empty to take the table as it is.
        ranking: The ranker of the control by a model-free ranking.
        always_keep: Fields of which every value is kept.
        never_use: Fields that nobody is shown.
        groups: Fields that are kept or dropped together.
        apart: Whether each search has a process of its own, in which time and memory are measured.
        test: When the test rows are read: at the "end" of what the budget allowed, only when everything is "complete", or
            "never".
    """

    judges: Mapping[str, Learner]
    learner: Learner | None = None
    shares: tuple[float, ...] = SHARES
    screen: int = 3
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    best: int = 4
    unit: Unit = "values"
    margin: float = 0.002
    min_counts: tuple[int, ...] = COUNTS
    ranking: str = "mutual_information"
    always_keep: tuple[str, ...] = ()
    never_use: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    apart: bool = True
    test: Literal["end", "complete", "never"] = "end"

    def __post_init__(self) -> None:
        if not self.judges:
            raise ConfigError("compare: needs at least one judge")
        if len(self.shares) < 2 or list(self.shares) != sorted(set(self.shares)):
            raise ConfigError(f"compare: needs two or more sizes that rise, got {list(self.shares)}")
        if not all(0 < s <= 1 for s in self.shares):
            raise ConfigError(f"compare: sizes are shares in (0, 1], got {list(self.shares)}")
        if self.screen < 2 or self.best < 1 or not self.seeds or not 0 <= self.margin < 1:
            raise ConfigError(
                "compare: needs screen >= 2, best >= 1, at least one seed and a margin in [0, 1), got "
                f"{self.screen}, {self.best}, {list(self.seeds)} and {self.margin}"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"compare: each seed counts once, got {list(self.seeds)}")

    @property
    def screened(self) -> tuple[float, ...]:
        """The sizes of the first stage."""
        places = np.linspace(0, len(self.shares) - 1, min(self.screen, len(self.shares)))
        return tuple(self.shares[round(p)] for p in places)
