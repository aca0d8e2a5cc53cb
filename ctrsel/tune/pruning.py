"""Pruning: a trial is ended where it is worse than half of its kind were when they had got as far.

Reference: Golovin et al., "Google Vizier: a service for black-box optimization", 2017, section 3.2.2 (the median rule),
here among trials of one learner only: an epoch of a net and ten trees have nothing to do with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

__all__ = ["KindPruner"]

_LEAST = 4  # trials of its kind that came to an end, before any is pruned


class KindPruner(BasePruner):
    """Compare a trial's best so far with the bests that finished trials of the same learner had at that step.

    Args:
        quantile: Which of theirs it must reach, 0.5 = the median.
        warmup: Steps in which nothing is pruned.
    """

    def __init__(self, *, quantile: float = 0.5, warmup: int = 1) -> None:
        self.quantile, self.warmup = quantile, warmup

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to end it."""
        step, sign = trial.last_step, 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        if step is None or len(trial.intermediate_values) <= self.warmup:
            return False
        kind = trial.user_attrs.get("learner")
        bests = [
            max(seen)
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if other.user_attrs.get("learner") == kind
            and (seen := [sign * v for s, v in other.intermediate_values.items() if s <= step])
        ]
        if len(bests) < _LEAST:
            return False
        mine = max(sign * v for v in trial.intermediate_values.values())
        return bool(mine < np.quantile(bests, self.quantile))
