"""Random values: the control that shows what any selection of this size would reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.seeds import generator
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import Scored, ScoredFields, ScoredValues
from ctrsel.select.size import Size, Unit

__all__ = ["RandomValues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomValues(Selector):
    """Keep values, or fields, drawn uniformly, without a look at the data."""

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Draw; the same seed draws the same ones."""
        params = describe(self)
        rng = generator(seed, "select", "random")
        scores = {name: rng.random(v.size) for name, v in problem.table.encoder.vocabularies.items()}
        names = problem.table.schema.names
        by_field = dict(zip(names, generator(seed, "select", "random fields").random(len(names)).tolist(), strict=True))
        return Scored(
            values=ScoredValues(problem=problem, method="random", params=params, scores=scores),
            fields=ScoredFields(problem=problem, method="random", params=params, scores=by_field),
        )
