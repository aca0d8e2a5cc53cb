"""Elimination: drop the least important fields, train again, and stop where validation says that it hurts.

References: Guyon et al., "Gene selection for cancer classification using support vector machines", 2002; Shi et al.,
"ChaosMining: a benchmark to evaluate post-hoc local attribution methods in low SNR environments", 2024, section 4 (RFEwNA).
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
from ctrsel.select._field_importance import Kind, check_kind, field_importance
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["Elimination"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elimination(Selector):
    """Recursive elimination by an importance on validation rows; every size is cut from the order in which fields went.

    The best mask is the smallest whose validation loss is not worse than the lowest by more than `tolerance` standard errors
    of the paired difference; the history marks it. A size in fields that is smaller than where the search would stop is
    searched down to.

    Attributes:
        importance: "permutation", "shark" or "sfs" (nets), "shap" or "gain" (trees; gain is that of the training rows).
        share: Of the fields left, how many a round drops, one at least.
        patience: Stop after so many rounds in a row that are worse.
        tolerance: How many standard errors of the paired difference of the losses count as worse.
        rows: Validation rows at most that the importance looks at, each class in proportion.
        repeats: Permutations a field.
        strict: Whether fields outside of the best mask are never kept, however large the size.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    importance: Kind = field(default="permutation", metadata=choose("permutation", "shap"))
    share: float = field(default=0.2, metadata=choose(0.1, 0.2, 0.3))
    patience: int = 2
    tolerance: float = 1.0
    rows: int = 20_000
    repeats: int = 1
    strict: bool = False

    def __post_init__(self) -> None:
        check_kind(self.importance, place="elimination.importance")
        if not 0 < self.share < 1:
            raise ConfigError(f"elimination.share: must be above 0 and below 1, got {self.share}")
        if self.patience < 1 or self.tolerance < 0 or self.rows < 2 or self.repeats < 1:
            raise ConfigError(
                "elimination: needs patience >= 1, tolerance >= 0, rows >= 2 and repeats >= 1, got "
                f"{self.patience}, {self.tolerance}, {self.rows}, {self.repeats}"
            )

    def fits(self, *, fields: int, rows: int) -> float:
        """One a round, each on the fields that are left."""
        return rounds_of(fields, share=self.share)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train round after round.

        DEVIATION(ChaosMining): the mask with the best loss is kept, not the last one; importance, stop and best mask go by
        validation rows, and worse means by more than a standard error.

        Raises:
            ConfigError: If the importance does not fit the learner's model.
        """
        began = time.perf_counter()
        found = eliminate(
            problem,
            importance=lambda model, table, s: (
                field_importance(model, table, kind=self.importance, rows=self.rows, repeats=self.repeats, seed=s).value
            ),
            share=self.share,
            least=smallest(sizes),
            patience=self.patience,
            tolerance=self.tolerance,
            seed=seed,
        )
        return ScoredFields(
            problem=problem,
            method="elimination",
            params=describe(self),
            scores=found.scores,
            wanted=found.best if self.strict else None,
            history=found.history,
            seconds=time.perf_counter() - began,
        )
