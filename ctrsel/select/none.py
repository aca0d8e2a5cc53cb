"""No selection: every value of every field; what all others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrsel.records.feature_set import FeatureSet
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.size import Size, Unit

__all__ = ["NoSelection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSelection(Selector):
    """Keep everything."""

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Look at nothing."""
        return _All(problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class _All(Found):
    problem: Problem

    def at(self, size: Size) -> FeatureSet:
        """Return the full set, whatever the size."""
        return self.problem.everything()
