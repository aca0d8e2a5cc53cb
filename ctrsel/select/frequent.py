"""Most frequent values: the control that a learned gate must beat, since much of gating is a frequency filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.select._contract import Selection, Selector
from ctrsel.select.problem import Problem

__all__ = ["MostFrequent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MostFrequent(Selector):
    """Keep the `size` values with the most training occurrences, over all fields."""

    def select(self, problem: Problem, *, size: int, seed: int) -> Selection:
        """Choose by training counts alone; the seed is not used."""
        scores = {name: v.counts.astype(np.float64) for name, v in problem.table.encoder.vocabularies.items()}
        return Selection(features=problem.choose(scores, size=size, method="frequent", params=describe(self)))
