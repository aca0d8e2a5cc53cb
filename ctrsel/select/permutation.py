"""Permutation: fields by how much worse the learner's model predicts validation rows when they hold other rows' values.

References: Breiman, "Random forests", 2001, section 10; Fisher, Rudin and Dominici, "All models are wrong, but many are
useful: learning a variable's importance by studying an entire class of prediction models simultaneously", 2019, section 3.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._resampled import SHUFFLES, Shuffle
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import field_importance, units
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["Permutation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permutation(Selector):
    """Train the learner once, and permute one field after the other within the validation rows.

    The history has the rise of the log-loss of each field and its standard error, nats a row.

    Attributes:
        rows: Validation rows at most, each class in proportion; rows x fields x repeats are scored.
        repeats: Permutations a field.
        shuffle: Which rows may give to which. "rows": any to any; "within": within a group, or within a block of time where
            there are no groups, so that a field gets no credit for telling the time; "shift": all rows move on together;
            "auto": "shift" where the table has a group or time, else "rows".
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    rows: int = 20_000
    repeats: int = 3
    shuffle: Shuffle = "rows"

    def __post_init__(self) -> None:
        if self.rows < 2 or self.repeats < 1:
            raise ConfigError(f"permutation: needs rows >= 2 and repeats >= 1, got {self.rows} and {self.repeats}")
        if self.shuffle not in SHUFFLES:
            raise ConfigError(f"permutation.shuffle: must be one of {', '.join(SHUFFLES)}, got {self.shuffle!r}")

    def fits(self, *, fields: int, rows: int) -> float:
        """One, which is asked about every field."""
        return 1.0

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on the training split, and permute validation rows.

        Raises:
            ConfigError: If rows shall stay within groups or blocks of time, and the table has neither.
        """
        began = time.perf_counter()
        fit = problem.learner.fit(problem.table, work=problem.work, seed=seed)
        scored = field_importance(
            fit.model,
            problem.table,
            kind="permutation",
            rows=self.rows,
            repeats=self.repeats,
            shuffle=self.shuffle,
            seed=seed,
        )
        names = [n for unit in units(problem) for n in unit]
        told = {f"{n}: {what}": v[n] for n in names for what, v in (("rise", scored.value), ("error", scored.error))}
        return ScoredFields(
            problem=problem,
            method="permutation",
            params=describe(self),
            scores={n: scored.value[n] for n in names},
            history=(told,),
            seconds=time.perf_counter() - began,
        )
