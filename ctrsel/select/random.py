"""Random values: the control that shows what any selection of this size would reach."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.core.catalog import describe
from ctrsel.core.seeds import generator
from ctrsel.select._contract import Selection, Selector
from ctrsel.select.problem import Problem

__all__ = ["RandomValues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomValues(Selector):
    """Keep `size` values drawn uniformly, without a look at the data."""

    def select(self, problem: Problem, *, size: int, seed: int) -> Selection:
        """Draw the values; the same seed draws the same ones."""
        rng = generator(seed, "select", "random")
        scores = {name: rng.random(v.size) for name, v in problem.table.encoder.vocabularies.items()}
        return Selection(features=problem.choose(scores, size=size, method="random", params=describe(self)))
