"""The work of a comparison of selectors: searches, trainings and, at the end, the test rows, within a budget of seconds.

Several processes may share it. What one of them has claimed the others pass by, and wait for only when nothing else is left
to be done before a decision; what a process that ended had claimed another one does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ctrsel.api.compared import FULL, Figures
from ctrsel.api.contestants import Contest
from ctrsel.api.judging import Cell, Cells
from ctrsel.api.min_counts import MinCount, counted
from ctrsel.api.protocol import Protocol
from ctrsel.api.searching import Search, Searched, Searches
from ctrsel.core.catalog import describe
from ctrsel.core.claims import TakenError, claimed
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.selection_comparison import ComparedCell
from ctrsel.select import Problem, Size
from ctrsel.train import Learner

__all__ = ["ComparisonRun", "plain"]


@dataclass(kw_only=True)
class ComparisonRun:
    """The work on one table within a budget.

    Attributes:
        protocol: What is held equal.
        contest: Who takes part.
        known: Training and validation rows.
        cells: What was trained.
        searches: What was searched.
        claims: A folder that says what is being trained by whom.
        until: When the budget ends, monotonic seconds; None = never.
        screened: By name the area of the first stage.
    """

    protocol: Protocol
    contest: Contest
    known: Table
    cells: Cells
    searches: Searches
    claims: Path
    until: float | None
    screened: dict[str, float] = field(default_factory=dict)
    _slow: dict[str, float] = field(default_factory=dict)
    _found: dict[tuple[str, int], Searched] = field(default_factory=dict)

    @property
    def left(self) -> float | None:
        """Seconds that are left, None for no limit."""
        return None if self.until is None else self.until - time.monotonic()

    @property
    def problem(self) -> Problem:
        """The table as selectors see it."""
        p = self.protocol
        return Problem(table=self.known, learner=self._learner, always_keep=p.always_keep, groups=p.groups)

    @property
    def _learner(self) -> Learner:
        return self.protocol.learner or next(iter(self.protocol.judges.values()))

    @property
    def total(self) -> int:
        """How many values or fields there are."""
        return self.problem.n_values if self.protocol.unit == "values" else len(self.known.schema.names)

    def sizes(self) -> dict[float, Size]:
        """Return the sizes by share.

        Raises:
            ConfigError: If two shares come to the same size, or one to none.
        """
        numbers = [int(s * self.total + 1e-9) for s in self.protocol.shares]
        if len(set(numbers)) < len(numbers) or numbers[0] < 1:
            shares, unit = list(self.protocol.shares), self.protocol.unit
            raise ConfigError(f"compare: the sizes {shares} of {self.total:,} {unit} are {numbers}; name others")
        return {s: Size(number=n, of=self.protocol.unit) for s, n in zip(self.protocol.shares, numbers, strict=True)}

    def judge(self, features: FeatureSet, judge: str, *, seed: int, wait: bool = True) -> Cell | None:
        """Return a cell.

        Args:
            features: What the judge sees.
            judge: Its name.
            seed: Of the training.
            wait: Whether to wait where another process is training the same.

        Returns:
            None where it is not known and does not fit into the budget any more.

        Raises:
            TakenError: If another process is at it and is not to be waited for.
        """
        learner, set_ = self.protocol.judges[judge], plain(features)
        found = self.cells.find(self.known, set_, learner, seed=seed)
        if found is None and (self.left is None or self.left > 0):
            self.claims.mkdir(parents=True, exist_ok=True)
            key = self.cells.key(self.known, set_, learner, seed=seed)
            with claimed(self.claims / key, seconds=self.left if wait else 0.0) as mine:
                if not mine and not wait:
                    raise TakenError(key)
                found = self.cells.find(self.known, set_, learner, seed=seed)
                if found is None and mine and self.affords(judge):
                    found = self.cells.judge(self.known, set_, learner, seed=seed)
        if found is not None:
            self._slow[judge] = max(self._slow.get(judge, 0.0), found.seconds)
        return found

    def affords(self, judge: str) -> bool:
        """Whether what is left of the budget is more than this judge's longest training took."""
        return self.left is None or self.left > self._slow.get(judge, 0.0)

    def min_count(self) -> MinCount:
        """Find the minimum count that is best on validation, by the first judge and seed."""
        judge, losses, sets = next(iter(self.protocol.judges)), dict[int, float](), dict[str, float]()
        for count in self.protocol.min_counts:
            features = counted(self.known, count, always_keep=self.protocol.always_keep)
            if not features.n_values:
                continue
            cell = self.judge(features, judge, seed=self.protocol.seeds[0])
            if cell is None:  # whatever came next would be about another table when the rest is known
                self.until = time.monotonic()
                break
            if cell.features not in sets:
                sets[cell.features] = losses[count] = cell.valid_log_loss
        # Of counts that keep the same the smallest stands for all, and of equal losses the larger count, since it has
        # dropped what the judge does not use; where none was run, nothing is dropped.
        chosen = min(losses, key=lambda c: (losses[c], -c)) if losses else 1
        event("min_count", chosen=chosen)
        features = counted(self.known, chosen, always_keep=self.protocol.always_keep)
        return MinCount(chosen=chosen, features=features, losses=losses)

    def search(self, name: str, seed: int, *, begin: bool = True, wait: bool = True) -> Searched | None:
        """Return what a contestant found; None where it is not known and must not begin, or the budget ended it.

        Args:
            name: The contestant's.
            seed: Of the search.
            begin: Whether it may begin where it is not known.
            wait: Whether to wait where another process is at it.

        Raises:
            TakenError: If another process is at it and is not to be waited for.
        """
        if (name, seed) in self._found:
            return self._found[name, seed]
        search = Search(
            selector=self.contest.specs[name],
            learner=describe(self._learner),
            sizes=tuple(self.sizes().values()),
            seed=seed,
            always_keep=self.protocol.always_keep,
            groups=self.protocol.groups,
        )
        found = self.searches.get(self.known, search, seconds=self.left if begin else 0.0, wait=wait)
        if found is not None:
            self._found[name, seed] = found
        return found

    def set_of(self, name: str, share: float, seed: int, *, begin: bool = True, wait: bool = True) -> FeatureSet | None:
        """Return what a contestant keeps at a size; arguments as in `search`."""
        if name == FULL:
            return self.problem.everything()
        found = self.search(name, seed, begin=begin, wait=wait)
        return None if found is None else found.sets.get(self.sizes()[share])

    def stages(self) -> tuple[str, ...]:
        """Run both stages as far as the budget goes; return the selectors that went on."""
        p, (first, *_) = self.protocol, self.protocol.judges
        seed = p.seeds[0]
        self.sizes()
        taking_part = [
            n for n in (FULL, *self.contest.controls, *self.contest.selectors) if n not in self.contest.refused
        ]
        self._train([(n, s, first, seed) for n in taking_part for s in (p.screened if n != FULL else (1.0,))])
        figures = self.figures(())
        for name in (*self.contest.controls, *self.contest.selectors):
            area = figures.area(name, first, seed, "valid", shares=p.screened)
            if area is not None:
                self.screened[name] = area
        rated = [n for n in self.contest.selectors if n in self.screened]
        refusals = {n: why for n in self.contest.selectors if (why := self.refusal(n, seed)) is not None}
        if len(refusals) == len(self.contest.selectors):
            raise ConfigError(
                f"compare: no selector can be tried: {'; '.join(f'{n}: {w}' for n, w in refusals.items())}"
            )
        finalists = tuple(sorted(rated, key=lambda n: -self.screened[n])[: p.best])
        event("first stage", on=", ".join(finalists), of=len(self.contest.selectors))
        self._train(self._second(finalists))
        return finalists

    def refusal(self, name: str, seed: int) -> str | None:
        """Return why a selector does not take part; None where it does, or was not searched with."""
        if name in self.contest.refused:
            return self.contest.refused[name]
        found = self.search(name, seed, begin=False)
        return None if found is None else found.refused

    def _train(self, wanted: Sequence[tuple[str, float, str, int]]) -> None:
        """Train what is wanted (contestant, share, judge, seed) and not known."""
        while wanted:
            taken = [w for w in wanted if not self._attempt(*w, wait=False)]
            if len(taken) == len(wanted):  # other processes are at all that is left
                self._attempt(*taken.pop(0), wait=True)
            wanted = taken

    def _attempt(self, name: str, share: float, judge: str, seed: int, *, wait: bool) -> bool:
        """Do one training, as far as the budget allows; return False where another process is at it."""
        try:
            features = self.set_of(name, share, seed, wait=wait)
            if features is not None:
                self.judge(features, judge, seed=seed, wait=wait)
        except TakenError:
            return False
        return True

    def _second(self, finalists: Sequence[str]) -> list[tuple[str, float, str, int]]:
        p = self.protocol
        return [
            (name, share, judge, seed)
            for seed in p.seeds
            for judge in p.judges
            for name in (FULL, *self.contest.controls, *finalists)
            for share in (p.shares if name != FULL else (1.0,))
        ]

    def planned(self, finalists: Sequence[str]) -> list[tuple[str, float, str, int]]:
        """Return the cells of both stages."""
        p = self.protocol
        made, second = self._second(finalists), (FULL, *self.contest.controls, *finalists)
        others = [n for n in self.contest.selectors if n not in second and n not in self.contest.refused]
        return [*made, *((n, s, next(iter(p.judges)), p.seeds[0]) for n in others for s in p.screened)]

    def figures(self, finalists: Sequence[str]) -> Figures:
        """Return what is known of the planned cells; nothing is trained."""
        cells = {}
        for name, share, judge, seed in self.planned(finalists):
            features = self.set_of(name, share, seed, begin=False)
            if features is None and self._refuses(name, share, seed):
                continue
            found = None
            if features is not None:
                found = self.cells.find(self.known, plain(features), self.protocol.judges[judge], seed=seed)
            cells[name, share, judge, seed] = _cell(found, name=name, share=share, judge=judge, seed=seed)
        sizes = self.sizes()
        return Figures(
            cells=cells,
            shares=tuple(sizes),
            numbers=tuple(s.number for s in sizes.values()),
            judges=tuple(self.protocol.judges),
            seeds=self.protocol.seeds,
            margin=self.protocol.margin,
        )

    def _refuses(self, name: str, share: float, seed: int) -> bool:
        """Whether a search is known that keeps nothing at a size: no budget would change that."""
        return name in self.contest.refused or self.search(name, seed, begin=False) is not None

    def read_test(self, table: Table, finalists: Sequence[str], *, folder: Path) -> None:
        """Read the test rows once for each model of the second stage; the full model's scores are kept for the others."""
        p = self.protocol
        for seed in p.seeds:
            for learner in p.judges.values():
                full: np.ndarray | None = None
                for name in (FULL, *self.contest.controls, *finalists):
                    for share in p.shares if name != FULL else (1.0,):
                        features = self.set_of(name, share, seed, begin=False)
                        if features is None or self.cells.find(self.known, plain(features), learner, seed=seed) is None:
                            continue
                        key = self.cells.key(self.known, plain(features), learner, seed=seed)
                        kept = folder / "full" / f"{key}.npy" if name == FULL else None
                        self.cells.read_test(
                            table, plain(features), learner, seed=seed, full=full, known=self.known, keep=kept
                        )
                        if kept is not None:
                            full = _full_scores(kept)


def plain(features: FeatureSet) -> FeatureSet:
    """Return the decision without who made it, so that equal sets are one."""
    return replace(features, method="set", params={}, evidence=(), scores=None, field_scores=None, other="learned")


def _cell(found: Cell | None, *, name: str, share: float, judge: str, seed: int) -> ComparedCell:
    if found is None:
        return ComparedCell(contestant=name, share=share, judge=judge, seed=seed)
    return ComparedCell(
        contestant=name,
        share=share,
        judge=judge,
        seed=seed,
        run=True,
        valid_auc=found.valid_auc,
        valid_log_loss=found.valid_log_loss,
        test_auc=found.test_auc,
        test_log_loss=found.test_log_loss,
        test_error=found.test_error,
        seconds=found.seconds,
        bytes=found.bytes,
        pruned_auc=found.pruned_auc,
    )


def _full_scores(path: Path) -> np.ndarray | None:
    """Read the full model's test scores; None where they were read by a command that kept them elsewhere."""
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return found
