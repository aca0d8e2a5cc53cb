"""Shadowed: fields that a selector puts before the best shuffled copy of any field, time after time.

Reference: Kursa and Rudnicki, "Feature selection with the Boruta package", 2010, section 2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive, generator
from ctrsel.rank._resampled import SHUFFLES, Shuffle, random_rows, resolved, subset
from ctrsel.select import CATALOG
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import units
from ctrsel.select._shadow_fields import shadowed_table
from ctrsel.select.permutation import Permutation
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["Shadowed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed(Selector):
    """Rounds of a selector on a table that has a shuffled copy of every field (its shadow) beside it.

    A field has a hit where it is scored above the best shadow; only fields with so many hits that even chances would hardly
    give them are wanted (binomial, Bonferroni over the fields). A group counts as its best member. The score is the number of
    hits, and less than one more for its mean place.

    The history has a round each: the score of the best shadow, and how many fields stand above it.

    Attributes:
        selector: Of fields, with a score for each; one that reads rankings makes its own in every round.
        rounds: How many; too few to confirm any of so many fields is an error.
        share: Of the training rows, how many are drawn for a round.
        alpha: Chance that any noise field is wanted, if hits of a noise field were even chances.
        shuffle: How shadows are shuffled. "rows": freely; "shift": all rows move on in the order of group and time; "within":
            within groups or blocks of time; "auto": "shift" where the table has a group or time, else "rows".
        strict: Whether fields that are not confirmed are never kept, however large the size.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    selector: Selector = field(default_factory=Permutation, metadata={"catalog": CATALOG})
    rounds: int = 12
    share: float = 0.632
    alpha: float = 0.05
    shuffle: Shuffle = "auto"
    strict: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.selector, Shadowed) or "fields" not in self.selector.units:
            raise ConfigError(
                "shadowed.selector: must be a selector of fields, and not shadowed again; got "
                f"{describe(self.selector)['use']!r}"
            )
        if self.rounds < 1 or not 0 < self.share <= 1 or not 0 < self.alpha < 1:
            raise ConfigError(
                f"shadowed: needs rounds >= 1, 0 < share <= 1 and 0 < alpha < 1, got {self.rounds}, {self.share}, {self.alpha}"
            )
        if self.shuffle not in SHUFFLES:
            raise ConfigError(f"shadowed.shuffle: must be one of {', '.join(SHUFFLES)}, got {self.shuffle!r}")

    def fits(self, *, fields: int, rows: int) -> float:
        """Those of its selector in every round, on a share of the rows and twice the fields."""
        part = int(self.share * rows)
        return 2 * self.rounds * self.share * self.selector.fits(fields=2 * fields, rows=part)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Search every round's table.

        Raises:
            ConfigError: If the rounds are too few for so many fields, or the selector scores no fields.
        """
        from scipy.stats import binom

        began = time.perf_counter()
        tested = units(problem)
        names = tuple(n for unit in tested for n in unit)
        if self.strict and 0.5**self.rounds * max(len(tested), 1) > self.alpha:
            needed = int(np.ceil(np.log2(len(tested) / self.alpha)))
            raise ConfigError(f"shadowed.rounds: {len(tested)} fields need at least {needed} rounds, got {self.rounds}")
        shuffle, _ = resolved(self.shuffle, problem.table, place="shadowed.shuffle")
        hits, places = np.zeros((2, len(tested)))
        history = []
        with progress("shadowed", self.rounds, unit="selections") as bar:
            for r in range(self.rounds if names else 0):
                own, shadows = self._round(problem, names, shuffle=shuffle, seed=seed, r=r)
                bar_height = max(shadows, default=-np.inf)
                best = np.array([max(own[n] for n in unit) for unit in tested])
                hits += best > bar_height
                everything = np.sort([*best, *shadows])
                places += np.searchsorted(everything, best) / max(len(everything), 1)
                history.append({"bar": float(bar_height), "above": float((best > bar_height).sum())})
                bar.advance(1)
        # DEVIATION(Kursa and Rudnicki 2010): fields are tested once, after all rounds, and none leaves before; tests after every
        # round would need a correction for having looked. What is compared are the scores of any selector on a share of the
        # rows, not the importances of a random forest.
        p = np.minimum(binom.sf(hits - 1, self.rounds, 0.5) * max(len(tested), 1), 1.0)
        good = frozenset(n for unit, value in zip(tested, p, strict=True) if value <= self.alpha for n in unit)
        event("shadowed", fields=len(names), rounds=self.rounds, confirmed=len(good))
        score = hits + 0.999 * places / self.rounds
        return ScoredFields(
            problem=problem,
            method="shadowed",
            params=describe(self),
            scores={n: float(s) for unit, s in zip(tested, score, strict=True) for n in unit},
            wanted=good if self.strict else None,
            history=tuple(history),
            seconds=time.perf_counter() - began,
        )

    def _round(
        self, problem: Problem, names: tuple[str, ...], *, shuffle: Shuffle, seed: int, r: int
    ) -> tuple[dict[str, float], list[float]]:
        """Return the scores of the fields, and of their shadows; what the selector leaves out is below all."""
        table = problem.table
        train, start = table.part("train"), table.span("train").start
        order = random_rows(train, rng=generator(seed, "select", "shadowed", "rows", r))
        drawn = np.sort(order[: max(int(self.share * train.n_rows), 2)]) + start
        fewer = subset(table, drawn, np.arange(table.n_rows)[table.span("valid")])
        wide, shadows = shadowed_table(
            fewer, names, shuffle=shuffle, seed=seed, stream=("select", "shadowed", "shadow", r)
        )
        asked = replace(problem, table=wide, rankings={}, always_keep=(), groups=(), work=None)
        size = Size(number=len(wide.schema.names), of="fields")
        found = self.selector.search(asked, sizes=(size,), seed=derive(seed, "select", "shadowed", r))
        scores = _scores(found, size)
        if scores is None:
            raise ConfigError(f"shadowed.selector: {describe(self.selector)['use']!r} gives fields no scores")
        own = {n: scores.get(n, -np.inf) for n in names}
        return own, [scores.get(shadows[n], -np.inf) for n in names]


def _scores(found: Found, size: Size) -> dict[str, float] | None:
    """Return the fields' scores of what was found, those that are no number left out; None where it has none."""
    known = found.scores if isinstance(found, ScoredFields) else found.at(size).field_scores
    return None if known is None else {n: float(s) for n, s in known.items() if not np.isnan(s)}
