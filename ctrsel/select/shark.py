"""Shark: fields by what a net's validation loss would do, to first order, if their rows were the mean row.

Reference: Zhang et al., "SHARK: a lightweight model compression approach for large-scale recommender systems", 2023,
section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose
from ctrsel.select._contract import Found, Selector
from ctrsel.select._elimination_rounds import eliminate, rounds_of, smallest
from ctrsel.select._field_importance import field_importance, units
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["Shark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shark(Selector):
    """Train the net once, and take one backward pass over validation rows; or drop, train again and repeat.

    Attributes:
        rows: Validation rows at most, each class in proportion.
        share: Of the fields left, how many a round drops before the net is trained again, down to the smallest number of
            fields asked for; 0 takes the order of the first training.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    rows: int = 50_000
    share: float = field(default=0.0, metadata=choose(0.0, 0.1, 0.2))

    def __post_init__(self) -> None:
        if self.rows < 2 or not 0 <= self.share < 1:
            raise ConfigError(f"shark: needs rows >= 2 and 0 <= share < 1, got {self.rows} and {self.share}")

    def fits(self, *, fields: int, rows: int) -> float:
        """One, or one a round."""
        return rounds_of(fields, share=self.share) if self.share else 1.0

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on the training split, and score the fields on validation rows.

        Raises:
            ConfigError: If the learner makes no net.
        """
        began = time.perf_counter()
        if self.share:
            # DEVIATION(SHARK): after a drop the net is trained anew; the paper goes on with the weights of the larger net.
            found = eliminate(
                problem,
                importance=lambda model, table, s: (
                    field_importance(model, table, kind="shark", rows=self.rows, seed=s).value
                ),
                share=self.share,
                least=smallest(sizes),
                patience=None,
                tolerance=1.0,
                seed=seed,
            )
            scores, history = found.scores, found.history
        else:
            fit = problem.learner.fit(problem.table, work=problem.work, seed=seed)
            scored = field_importance(fit.model, problem.table, kind="shark", rows=self.rows, seed=seed)
            scores = {n: scored.value[n] for unit in units(problem) for n in unit}
            history = tuple(fit.history)
        return ScoredFields(
            problem=problem,
            method="shark",
            params=describe(self),
            scores=scores,
            history=history,
            seconds=time.perf_counter() - began,
        )
