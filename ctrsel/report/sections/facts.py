"""Facts that several sections need: the records of the run side by side, read once."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.records.evaluation import Metric
from ctrsel.records.evidence import Evidence
from ctrsel.records.review import Review
from ctrsel.records.run import Contender, Run
from ctrsel.report.numbers import interval, plain
from ctrsel.report.table import Cell, number

__all__ = ["Facts", "full_net", "metric_cell", "one_seed", "tone"]

ROLES = {"reference": "reference", "full": "full net", "selected": "selected", "control": "control"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page is made from."""

    run: Run
    evidence: Evidence
    review: Review | None = None

    @property
    def chosen(self) -> Contender:
        """The small model that the verdict is about."""
        return self.run.chosen

    @property
    def full(self) -> Contender | None:
        """The net on all values, None if there is none or nothing smaller was chosen."""
        return full_net(self.run)


def full_net(run: Run) -> Contender | None:
    """Return the unselected contender of the chosen one's learner, None if that is the chosen one itself."""
    chosen = run.chosen
    found = [c for c in run.contenders if c.selector is None and c.name != chosen.name]
    same = [c for c in found if c.learner == chosen.learner]
    return next(iter(same or [c for c in found if c.role == "full"]), None)


def one_seed(run: Run) -> bool:
    """Whether every contender was trained with the same single seed, so that differences are only indicative."""
    return len({c.seed for c in run.contenders}) <= 1


def tone(run: Run, contender: Contender) -> str:
    """Return the class of colours a contender is drawn in."""
    return "chosen" if contender.name == run.verdict.chosen else contender.role


def metric_cell(metric: Metric | None, digits: int = 4) -> Cell:
    """Write a metric with its interval under it."""
    if metric is None:
        return number(plain(None))
    return number(plain(metric.value, digits), metric.value, small=interval(metric, digits))
