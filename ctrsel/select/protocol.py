"""The protocol: every selection is retrained in the same way and stands beside its controls at the same size."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.core.errors import DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.encoder import Encoder
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
    """A selection and the model that was retrained on it.

    Attributes:
        selection: What is kept.
        fit: The retrained model.
        encoder: Whose codes the selection decides on; None where nobody needs it.
    """

    selection: Selection
    fit: Fit
    encoder: Encoder | None = None

    @property
    def feature_set(self) -> AppliedFeatureSet:
        """The feature set with the texts that it keeps, which turns raw rows into the kept columns.

        Raises:
            DataError: If the outcome does not know the Encoder.
        """
        if self.encoder is None:
            raise DataError("this outcome does not know the encoder; use AppliedFeatureSet.of(features, encoder)")
        return AppliedFeatureSet.of(self.selection.features, self.encoder)


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
    return Outcome(selection=selection, fit=fit, encoder=problem.table.encoder)
