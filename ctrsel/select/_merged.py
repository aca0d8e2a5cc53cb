"""Merged: what a selector finds that keeps values by taking them together, cut at any size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.records.feature_set import FeatureSet
from ctrsel.select._budget import reduce_groups
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.size import Size

__all__ = ["Merged", "Part"]


class Part(Protocol):
    """One vocabulary, whose values can be taken together to any number of groups."""

    @property
    def count(self) -> int:
        """How many groups there are where the size does not ask for fewer."""
        ...

    @property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of groups, falling, and what is lost with so many, nats of the training rows."""
        ...

    def remap(self, count: int) -> np.ndarray:
        """Return the codes of a partition into so many groups, uint32 `[V]`."""
        ...

    def scores(self, remap: np.ndarray) -> np.ndarray:
        """Return what each group is worth, nats of the training rows, by the codes of a remap."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged(Found):
    """The partitions of every vocabulary.

    Attributes:
        problem: Whose wishes are honoured.
        by: The selector.
        silent: Vocabularies in which all rows look alike.
    """

    problem: Problem
    by: Selector
    silent: frozenset[str]

    @abstractmethod
    def by_vocabulary(self) -> Mapping[str, Part]:
        """Return the parts."""

    def at(self, size: Size) -> FeatureSet:
        """Merge on, over all vocabularies, until the values are at most the size."""
        parts, spec = self.by_vocabulary(), describe(self.by)
        groups = {name: part.count for name, part in parts.items()}
        reduce_groups({n: p.steps for n, p in parts.items() if n not in self.silent}, groups, size=size.number)
        remaps = {name: part.remap(groups[name]) for name, part in parts.items()}
        scores = {name: part.scores(remaps[name]) for name, part in parts.items()}
        return self.problem.choose(scores, size=size.number, method=str(spec["use"]), params=spec, merged=remaps)
