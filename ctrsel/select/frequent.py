"""Most frequent values: the control that a learned gate must beat, since much of gating is a frequency filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import MISSING
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import Scored, ScoredFields, ScoredValues
from ctrsel.select.size import Size, Unit

__all__ = ["MostFrequent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MostFrequent(Selector):
    """Keep the values with the most training occurrences, over all fields; or the fields that the fewest rows lack.

    Fields that no row lacks stand in the order of the table.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Count training rows; the seed is not used."""
        params = describe(self)
        scores = {name: v.counts.astype(np.float64) for name, v in problem.table.encoder.vocabularies.items()}
        return Scored(
            values=ScoredValues(problem=problem, method="frequent", params=params, scores=scores),
            fields=ScoredFields(problem=problem, method="frequent", params=params, scores=_covered(problem)),
        )


def _covered(problem: Problem) -> dict[str, float]:
    """Return the share of training rows in which each field is not missing."""
    table = problem.table
    span = table.span("train")
    found = {}
    for field in table.schema.fields:
        column = table.columns[field.name]
        if isinstance(column, Ragged):
            present = np.diff(np.asarray(column.offsets[span.start : span.stop + 1])) > 0
        else:
            rows = np.asarray(column[span])
            present = ~np.isnan(rows) if field.is_float else rows != MISSING
        found[field.name] = float(present.mean()) if len(present) else 0.0
    return found
