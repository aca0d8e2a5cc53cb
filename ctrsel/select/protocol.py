"""The protocol: every selection is retrained in the same way and stands beside its controls at the same size."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.models.model import Model
from ctrsel.select._contract import Selection, Selector
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.problem import Problem
from ctrsel.select.random import RandomValues
from ctrsel.train import Fit

__all__ = ["CONTROLS", "Outcome", "retrain"]

CONTROLS: tuple[Selector, ...] = (RandomValues(), MostFrequent())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A selection and the model that was retrained on it."""

    selection: Selection
    fit: Fit


def retrain(
    problem: Problem, selection: Selection, *, snapshot: Model | None = None, start: Model | None = None, seed: int
) -> Outcome:
    """Retrain the problem's learner on the physically smaller table.

    Args:
        problem: The table and the learner.
        selection: What is kept.
        snapshot: Weights before the selection was known, from which every contender starts in the same way, so that a
            control differs in its values only; None starts afresh.
        start: A model of any Encoder to go on from in place of the snapshot, such as the champion of the day before.
        seed: The training's seed.
    """
    if start is None and snapshot is not None:
        start = snapshot.narrow(selection.features)
    fit = problem.learner.fit(problem.table, selection.features, start=start, work=problem.work, seed=seed)
    return Outcome(selection=selection, fit=fit)
