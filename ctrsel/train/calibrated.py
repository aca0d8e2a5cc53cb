"""CalibratedLearner: trains another learner, then maps its log-odds so that probabilities are observed rates.

References: Platt, "Probabilistic outputs for support vector machines", 1999; Kull, Silva Filho and Flach, "Beta
calibration", 2017; Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
2002; He et al., "Practical lessons from predicting clicks on ads at Facebook", 2014 (predicted over observed).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.seeds import derive
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.model import Model
from ctrsel.stats.folds import cross_fitted, folds_of
from ctrsel.stats.recalibration import cross_fitted_losses, recalibrate
from ctrsel.train import CATALOG
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.net import NetLearner
from ctrsel.train.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

    from ctrsel.data.table import Table
    from ctrsel.models.gates._contract import Gate
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.stats._checks import Bools, Floats
    from ctrsel.stats.log_odds_maps import LogOddsMap

__all__ = ["CalibratedLearner"]

Method = Literal["auto", "none", "platt", "beta", "isotonic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedLearner(Learner):
    """Parameters of the calibration.

    A map per label is fitted on the validation rows, to the log-odds before the offset for sampled negatives: sampling
    shifts all log-odds alike, so a model that is calibrated on the sampled rows is calibrated on the original ones.

    Attributes:
        learner: What is trained.
        method: Platt (a line), beta (two slopes), isotonic, none, or auto: the one of least cross-fitted log-loss, the
            simpler one of equals, so that the figure is never worse than without.
        folds: Of the cross-fitting, by which `auto` chooses and the reported figures are made.
    """

    learner: Learner = field(default_factory=NetLearner, metadata={"catalog": CATALOG})
    method: Method = "auto"
    folds: int = 5

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(f"calibrated.method: must be one of {', '.join(get_args(Method))}, got {self.method!r}")
        if self.folds < 2:
            raise ConfigError(f"calibrated.folds: must be at least 2, got {self.folds}")

    @property
    def starts_from(self) -> tuple[str, ...]:
        """What the learner starts from, calibrated or not."""
        kinds = self.learner.starts_from
        return (*kinds, CalibratedPredictor.kind) if kinds else ()

    def fit(
        self,
        table: Table,
        features: FeatureSet | None = None,
        *,
        gate: Gate | None = None,
        start: Model | None = None,
        work: Path | None = None,
        seed: int,
    ) -> Fit:
        """Train the learner, then fit the maps.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: The learner searches with it; what a search finds is retrained, so it is not calibrated.
            start: Where the learner starts; of a calibrated model the predictor behind the maps.
            work: The learner's.
            seed: The learner's, unchanged: calibrated or not, the same weights.

        Raises:
            ConfigError: What the learner refuses.
            DataError: If a split lacks rows, labels or a class.
        """
        began = time.perf_counter()
        if features is not None:
            table = table.narrow(features)
        if start is not None and isinstance(start.predictor, CalibratedPredictor):
            start = replace(start, predictor=start.predictor.base)
        found = self.learner.fit(table, gate=gate, start=start, work=work, seed=seed)
        if gate is not None:
            return found
        valid, base = table.part("valid"), found.model.predictor
        raw = base.logits(valid) if found.unseen is None else found.unseen
        fitted = [self._mapped(valid, raw, t, seed=derive(seed, "calibrated", "folds")) for t in range(raw.shape[1])]
        predictor = CalibratedPredictor(base=base, maps=tuple(made for made, _ in fitted))
        unseen = np.stack([log_odds for _, log_odds in fitted], axis=1)
        scored = validate(valid, unseen)
        seconds = time.perf_counter() - began
        methods = ", ".join(predictor.methods)
        event("calibrated", methods=methods, seconds=seconds, **{f"valid_{k}": v for k, v in scored.items()})
        note = (
            f"calibrated on the validation rows by {methods}; log-loss there {found.valid['log_loss']:.5f} before, "
            f"{scored['log_loss']:.5f} after, cross-fitted in {self.folds} folds"
        )
        return replace(
            found,
            model=replace(found.model, predictor=predictor),
            seconds=seconds,
            history=(*found.history, {"valid_auc": scored["auc"], "valid_log_loss": scored["log_loss"]}),
            valid=scored,
            notes=(*found.notes, note),
            unseen=unseen,
        )

    def memory(self, table: Table) -> int | None:
        """Estimate the bytes of the learner's training."""
        return self.learner.memory(table)

    def parts(self) -> tuple[Learner, ...]:
        """Return what the learner is made of."""
        return self.learner.parts()

    def _mapped(self, valid: Table, raw: np.ndarray, label: int, *, seed: int) -> tuple[LogOddsMap, Floats]:
        """Return one label's map, and the log-odds `[N]` of maps that did not see the row."""
        labels, logits = valid.label(label), raw[:, label].astype(np.float64)
        weight = valid.weight
        folds = folds_of(labels, valid.row, folds=self.folds, seed=seed, groups=valid.group)
        method: str = self.method
        if method == "auto":
            losses = cross_fitted_losses(labels, logits, folds, weight=weight)
            method = min(losses, key=lambda name: losses[name])  # of equals the first, which is the simplest
            event("calibration", label=label, chosen=method, **{f"log_loss_{k}": v for k, v in losses.items()})

        def fit(rows: Bools) -> LogOddsMap:
            some = None if weight is None else weight[rows]
            return recalibrate(method, labels[rows], logits[rows], weight=some)

        return fit(np.ones(len(labels), dtype=bool)), cross_fitted(fit, logits, folds)
