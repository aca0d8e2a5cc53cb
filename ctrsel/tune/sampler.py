"""Sampler: what a trial tries, drawn from a stream of its own, so that a study that was interrupted goes on the same way.

Reference: Bergstra et al., "Algorithms for hyper-parameter optimization", 2011 (TPE); Falkner et al., "BOHB", 2018, for
its form over several parameters at once.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler, TPESampler

from ctrsel.core.seeds import derive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["NumberedSampler"]


class NumberedSampler(BaseSampler):
    """TPE over the parameters of each part together, seeded anew by each trial's number.

    Args:
        seed: Of all draws.
        startup: Trials that come to an end before TPE is asked; the first are drawn evenly.
    """

    def __init__(self, seed: int, *, startup: int = 10) -> None:
        self._seed, self._startup = seed, startup
        self._now = self._of(-1)

    def _of(self, number: int) -> TPESampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `group` counts as experimental
            # Parameters that stand together (those of one backbone, say) are drawn together; trials that are still
            # running count as bad ones (the constant liar), so that workers do not try the same thing.
            return TPESampler(
                seed=derive(self._seed, "tune", number) % (1 << 32),
                n_startup_trials=self._startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin the stream of a trial."""
        self._now = self._of(trial.number)
        self._now.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return dict(self._now.infer_relative_search_space(study, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw it."""
        return dict(self._now.sample_relative(study, trial, search_space))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw what no finished trial had."""
        return self._now.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Nothing is kept between trials."""
