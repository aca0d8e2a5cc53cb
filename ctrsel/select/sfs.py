"""SFS: fields by the gradient of a trained net's loss at masks of 1.

Reference: Wang et al., "Single-shot feature selection for multi-task recommendations", 2023, as the benchmark of Jia et al.,
"ERASE: benchmarking feature selection methods for deep recommender systems", 2024, has it: |dL / d mask|, over batches.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import field_importance, units
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["SFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SFS(Selector):
    """Train the net once; a field's score is the mean over batches of validation rows of |gradient of its mask|.

    Attributes:
        rows: Validation rows at most, each class in proportion; they are mixed and cut into batches of 4096.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    rows: int = 409_600

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ConfigError(f"sfs.rows: must be at least 1, got {self.rows}")

    def fits(self, *, fields: int, rows: int) -> float:
        """One, whose gradients tell."""
        return 1.0

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on the training split, and score the fields on validation rows.

        Raises:
            ConfigError: If the learner makes no net.
        """
        began = time.perf_counter()
        fit = problem.learner.fit(problem.table, work=problem.work, seed=seed)
        scored = field_importance(fit.model, problem.table, kind="sfs", rows=self.rows, seed=seed)
        return ScoredFields(
            problem=problem,
            method="sfs",
            params=describe(self),
            scores={n: scored.value[n] for unit in units(problem) for n in unit},
            history=tuple(fit.history),
            seconds=time.perf_counter() - began,
        )
