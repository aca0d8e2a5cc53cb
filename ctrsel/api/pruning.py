"""Selection without retraining: full models, narrowed to what the contestants keep and not trained again, on validation."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ctrsel.api.comparison_run import ComparisonRun, plain
from ctrsel.core.errors import ConfigError
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.train import Learner

__all__ = ["prune"]


def prune(run: ComparisonRun, finalists: Sequence[str]) -> None:
    """Measure what retraining adds: narrow each full model to each set of the second stage, and read validation.

    Where the models of an earlier command are gone, since it has read test, they are trained again as the budget allows.

    Args:
        run: The comparison after its second stage; its cells are added to.
        finalists: The selectors that went on.
    """
    names = (*run.contest.controls, *finalists)
    for seed in run.protocol.seeds:
        for judge, learner in run.protocol.judges.items():
            if not learner.starts_from:  # trees split on codes that are no more
                continue
            sets = [run.set_of(n, s, seed, begin=False) for n in names for s in run.protocol.shares]
            wanted = [plain(f) for f in sets if f is not None and _due(run, plain(f), learner, seed=seed)]
            full = _full(run, judge, learner, seed=seed) if wanted else None
            if full is None:
                continue
            for features in wanted:
                with contextlib.suppress(ConfigError):  # a backbone that cannot do without a field
                    run.cells.prune(run.known, features, learner, seed=seed, full=full)


def _due(run: ComparisonRun, features: FeatureSet, learner: Learner, *, seed: int) -> bool:
    cell = run.cells.find(run.known, features, learner, seed=seed)
    return cell is not None and cell.pruned_auc is None


def _full(run: ComparisonRun, judge: str, learner: Learner, *, seed: int) -> Model | None:
    """Return the full model; None where it was never trained, or the budget does not allow it once more."""
    everything = plain(run.problem.everything())
    if run.cells.find(run.known, everything, learner, seed=seed) is None:
        return None
    kept = run.cells.model(run.known, everything, learner, seed=seed)
    if kept is None and run.affords(judge):
        return learner.fit(run.known, everything, seed=seed).model
    return kept
