"""Work: the stages that a single command needs, each computed once or found in the run's folder."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ctrsel.api.account import outcome_account
from ctrsel.api.cache import StageCache
from ctrsel.api.plan import Plan, component_key
from ctrsel.api.stages import Stages
from ctrsel.core.errors import unknown_name
from ctrsel.data.as_of import table_as_of
from ctrsel.data.table import Table
from ctrsel.rank import ModelRanker
from ctrsel.records.audit import Audit
from ctrsel.records.ranking import Ranking
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.records.size_choice import SizeChoice
from ctrsel.select import CONTROLS, Outcome, Selector
from ctrsel.train import Fit

__all__ = ["Work"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """A plan's stages on one table.

    Attributes:
        stages: The stages.
        saved: A saved table's folder, used in place of an ingest.
        saves: Whether the run's folder is there to stay, as with a config.
    """

    stages: Stages
    saved: Path | None = None
    saves: bool = False

    @staticmethod
    def of(plan: Plan, *, folder: Path, saved: Path | None = None, saves: bool = False) -> Work:
        """Work on a plan, with its finished stages in a folder."""
        cache = StageCache(folder=folder, version=importlib.metadata.version("ctrsel"))
        cache.sweep()
        return Work(stages=Stages(plan=plan, cache=cache), saved=saved, saves=saves)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.stages.plan

    @cached_property
    def plain(self) -> Table:
        """The ingested table."""
        as_of = self.plan.config.data.as_of
        if self.saved is None:
            return self.stages.ingest()
        return Table.load(self.saved) if as_of is None else table_as_of(self.saved, as_of)

    @cached_property
    def table(self) -> Table:
        """The ingested table, with the crosses of the config."""
        return self.stages.cross(self.plain).table

    @cached_property
    def usable(self) -> Table:
        """The table without the fields that must never be used."""
        return self.plan.usable(self.table)

    @cached_property
    def known(self) -> Table:
        """What may be trained on: usable fields, no test rows."""
        return self.usable.without("test")

    def audit(self) -> Audit:
        """Audit the table; a leak that is not accepted ends the command."""
        return self.stages.audit(self.plain)

    def train(self, names: Sequence[str] | None = None) -> dict[str, Fit]:
        """Train the named learners, or all."""
        chosen = dict(self.plan.learners)
        for name in names or ():
            if name not in chosen:
                raise unknown_name("learner", name, chosen, place="--learner")
        if names:
            chosen = {name: chosen[name] for name in names}
        return replace(self.stages, plan=replace(self.plan, learners=chosen)).train(self.known)

    def rank(self) -> tuple[Ranking, ...]:
        """Rank the fields; trees that a ranker can explain are trained first, as in a run."""
        trees = [name for name, learner in self.plan.learners.items() if component_key(learner) == "boosted"]
        needed = any(isinstance(r, ModelRanker) for r in self.plan.rankers)
        return self.stages.rank(self.table.without("test"), self.train(trees) if trees and needed else {})

    def select(self) -> dict[str, tuple[Selector, Outcome]]:
        """Run the selectors and the controls, each retrained."""
        return self.stages.select(self.known, self._rankings)

    def size_choice(self) -> SizeChoice | None:
        """How the size was found, if it was left open; after `select` it is at hand."""
        return self.stages.auto(self.known, self._rankings).choice if self.plan.size.auto else None

    @cached_property
    def _rankings(self) -> tuple[Ranking, ...]:
        return self.rank()

    def account(self, selector: Selector, outcome: Outcome) -> SelectionAccount | None:
        """Say why each field and value went; None for a control."""
        if selector in CONTROLS:
            return None
        wishes = self.plan.config.select
        return outcome_account(self.known, outcome, wishes=wishes, whole=self.table.schema, seed=self.stages.seed)

    @property
    def reused(self) -> list[str]:
        """Names of the stages that an earlier command had finished."""
        return [s["name"] for s in self.stages.cache.stages if s["reused"]]
