"""The stage of selection: each selector and each control at one size, each retrained in the same way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ctrsel.api.auto_size import AutoSelection, auto_select
from ctrsel.api.cache import StageCache
from ctrsel.api.plan import Plan, component_key, selection_name
from ctrsel.api.saved import load_fit, load_selection, save_fit, save_selection
from ctrsel.core.catalog import describe
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.ranking import Ranking
from ctrsel.select import CONTROLS, Outcome, Problem, Selection, Selector, Size, retrain
from ctrsel.select.size import Unit
from ctrsel.train import Fit

__all__ = ["Selecting", "started"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selecting:
    """A plan, the cache of its results, and the model that the retrained net goes on from, if there is one."""

    plan: Plan
    cache: StageCache
    start: Model | None = None

    def select(self, known: Table, rankings: tuple[Ranking, ...]) -> dict[str, tuple[Selector, Outcome]]:
        """Run each selector and each control, then retrain on each selection.

        What the first selector keeps is the size of all that follow, and all are retrained from the snapshot of the
        first one that has one, so that they differ in their values only. An automatic size is found for the first one.
        Where the config names a start that the learner can go on from, all are retrained from that, brought to each
        smaller table by value text.
        """
        with self.cache.working("select") as work:
            return self._select(known, rankings, work=work)

    def _select(
        self, known: Table, rankings: tuple[Ranking, ...], *, work: Path
    ) -> dict[str, tuple[Selector, Outcome]]:
        config, learner = self.plan.config, self.plan.learner
        problem = self._problem(known, rankings, work=work)
        basis = {"table": known.digest, "learner": describe(learner), "seed": self.plan.config.seed}
        wishes = self._wishes(rankings)
        selections: list[tuple[Selector, Selection]] = []
        size: Size | None = None
        if self.plan.size.auto:
            first = self.auto(known, rankings, work=work).selection
            selections.append((self.plan.selectors[0], first))
            size = _kept(first, self.plan.selectors[0].units[0])
        for selector in (*self.plan.selectors, *CONTROLS)[len(selections) :]:
            size = self.plan.size.of(problem) if size is None else size
            selection = self.cache.get(
                f"select/{component_key(selector)}",
                version=2,
                inputs={**basis, **wishes, "selector": describe(selector), "size": asdict(size)},
                compute=partial(selector.select, problem, size=size, seed=self.plan.config.seed),
                save=save_selection,
                load=load_selection,
            )
            if not selections:
                size = _kept(selection, size.of)
            selections.append((selector, selection))
        snapshot = next((s.snapshot for _, s in selections if s.snapshot is not None), None)
        given = self.start
        outcomes: dict[str, tuple[Selector, Outcome]] = {}
        for selector, selection in selections:
            start = {"features": selection.features.digest, "snapshot": snapshot.digest if snapshot else None}

            def compute(selection: Selection = selection) -> Fit:
                return retrain(problem, selection, snapshot=snapshot, start=given, seed=self.plan.config.seed).fit

            fit = self.cache.get(
                f"retrain/{component_key(selector)}",
                version=2,
                inputs={**basis, **start, **started(given)},
                compute=compute,
                save=save_fit,
                load=load_fit,
            )
            name = selection_name(config.select.learner, selector)
            outcomes[name] = (selector, Outcome(selection=selection, fit=fit, encoder=known.encoder))
        return outcomes

    def auto(self, known: Table, rankings: tuple[Ranking, ...], *, work: Path | None = None) -> AutoSelection:
        """Find the size for the first selector: the smallest within one standard error of the best on validation."""
        selector, problem = self.plan.selectors[0], self._problem(known, rankings, work=work)
        return self.cache.get(
            f"auto/{component_key(selector)}",
            version=1,
            inputs={
                "table": known.digest,
                "learner": describe(self.plan.learner),
                "seed": self.plan.config.seed,
                **self._wishes(rankings),
                "selector": describe(selector),
            },
            compute=partial(auto_select, problem, selector, seed=self.plan.config.seed),
            save=AutoSelection.save,
            load=AutoSelection.load,
        )

    def _problem(self, known: Table, rankings: tuple[Ranking, ...], *, work: Path | None) -> Problem:
        wishes = self.plan.config.select
        return Problem(
            table=known,
            learner=self.plan.learner,
            rankings={component_key(k): r for k, r in zip(self.plan.rankers, rankings, strict=True)},
            always_keep=wishes.always_keep,
            groups=wishes.groups,
            work=work,
        )

    def _wishes(self, rankings: tuple[Ranking, ...]) -> dict[str, list[Any]]:
        wishes = self.plan.config.select
        return {
            "always_keep": list(wishes.always_keep),
            "groups": [list(g) for g in wishes.groups],
            "rankings": [r.digest for r in rankings],
        }


def _kept(selection: Selection, unit: Unit) -> Size:
    """Return how much a selection keeps, as a size for those that stand beside it."""
    features = selection.features
    return Size(number=features.n_fields if unit == "fields" else features.n_values, of=unit)


def started(start: Model | None) -> dict[str, str]:
    """Return what a stage's inputs say of a start: nothing without one."""
    return {} if start is None else {"start": start.digest}
