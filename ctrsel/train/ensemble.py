"""EnsembleLearner: trains other learners, some seeds of each, and weighs their log-odds on the validation rows.

References: Wolpert, "Stacked generalization", 1992; Breiman, "Stacked regressions", 1996 (weights that are not negative);
Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles",
2017 (nets that differ in their seed only, averaged).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.ranges import choose, search
from ctrsel.core.seeds import derive
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.model import Model
from ctrsel.stats.folds import cross_fitted, folds_of
from ctrsel.stats.log_odds_maps import Beta
from ctrsel.stats.mixing import Mixture, mix
from ctrsel.train import CATALOG
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.finished import finished
from ctrsel.train.net import NetLearner
from ctrsel.train.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

    from ctrsel.data.table import Table
    from ctrsel.models._contract import Predictor
    from ctrsel.models.gates._contract import Gate
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.stats._checks import Bools

__all__ = ["EnsembleLearner"]


def _trees_and_a_net() -> tuple[Learner, ...]:
    return BoostedLearner(), NetLearner()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleLearner(Learner):
    """Parameters of the mix.

    The seeds of one learner differ by chance only, so they share one weight: what is fitted is a weight per learner and
    label. The weights are not negative and have the least log-loss on the validation rows; a learner of weight 0 is left
    out. One member is trained at a time.

    DEVIATION(Breiman 1996): members are trained on the training split and weighed on the validation split, which also
    stopped them, in place of cross-validated members on all rows; the reported figures are cross-fitted, so that no row
    is scored by weights that it took part in.

    Attributes:
        members: The learners.
        seeds: How many trainings of each; one whose seed decides nothing is kept once.
        slopes: 1 weighs log-odds, and attributions add up as they do. 2 weighs what a learner says for and what it says
            against by themselves, as beta calibration does (w ln p - v ln(1 - p), Kull et al., 2017): it mends learners
            that are surer on one side than on the other.
        ridge: What draws the weights to equal ones, nats per squared unit of weight in total, about so many rows' worth.
        folds: Of the cross-fitting of the reported figures.
    """

    members: tuple[Learner, ...] = field(default_factory=_trees_and_a_net, metadata={"catalog": CATALOG})
    seeds: int = 1
    slopes: Literal[1, 2] = field(default=1, metadata=choose(1, 2))
    ridge: float = field(default=1.0, metadata=search(0.1, 1000.0, log=True))
    folds: int = 5

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigError("ensemble.members: needs at least one learner")
        if self.slopes not in (1, 2):
            raise ConfigError(f"ensemble.slopes: must be 1 or 2, got {self.slopes}")
        if self.seeds < 1 or self.folds < 2 or not self.ridge > 0:
            raise ConfigError(
                f"ensemble: needs seeds >= 1, folds >= 2 and ridge > 0, got {self.seeds}, {self.folds}, {self.ridge}"
            )

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
        """Train the members one after the other, then weigh them.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: Refused: members would close different values.
            start: Refused: members start afresh.
            work: A folder with a subfolder per member; those that are finished there are not trained again.
            seed: Of everything drawn; each member has its own seed, derived from it by place and number.

        Raises:
            ConfigError: If a gate or a start is given, or a member refuses its parameters.
            DataError: If a split lacks rows, labels or a class.
        """
        began = time.perf_counter()
        if gate is not None or start is not None:
            raise ConfigError("ensemble: takes neither a gate nor starting weights; give them to a learner by itself")
        if features is not None:
            table = table.narrow(features)
        valid = table.part("valid")
        fits, columns = [], []
        for place in range(len(self.members)):
            group, scores = self._seeds_of(place, table, valid, work=work, seed=seed)
            fits.append(group)
            columns.append(np.mean(scores, axis=0, dtype=np.float64))
        mixtures, unseen = self._weighed(valid, np.stack(columns, axis=2), seed=derive(seed, "ensemble", "folds"))
        slopes = np.stack([m.weights for m in mixtures], axis=1)  # [slopes x learners, T]
        slopes = slopes.reshape(self.slopes, len(self.members), -1)
        weights = slopes.mean(axis=0)  # [learners, T]
        model = self._model(table, fits, slopes, np.array([m.intercept for m in mixtures]))
        scored = validate(valid, unseen)
        at_hand = validate(valid, model.predictor.logits(valid))
        history = [
            {
                "member": float(i),
                "training": float(k),
                "weight": float(weights[i, 0]) / len(group),
                "valid_auc": fit.valid["auc"],
                "valid_log_loss": fit.valid["log_loss"],
            }
            for i, group in enumerate(fits)
            for k, fit in enumerate(group)
        ]
        history.append({"valid_auc": scored["auc"], "valid_log_loss": scored["log_loss"]})
        seconds = time.perf_counter() - began
        event("ensemble", members=len(history) - 1, seconds=seconds, **{f"valid_{k}": v for k, v in scored.items()})
        return Fit(
            model=model,
            epochs=None,
            seconds=seconds,
            history=tuple(history),
            valid=scored,
            unseen=unseen,
            notes=(
                f"{self._told(fits, weights[:, 0])}; intercept {mixtures[0].intercept:+.3f}",
                f"weights were fitted on the validation rows (log-loss {at_hand['log_loss']:.5f} there); its figures are of "
                f"weights cross-fitted in {self.folds} folds (log-loss {scored['log_loss']:.5f})",
            ),
        )

    def memory(self, table: Table) -> int | None:
        """Estimate the bytes of the largest member's training; one is trained at a time."""
        found = [member.memory(table) for member in self.members]
        return None if None in found else max(bytes_ for bytes_ in found if bytes_ is not None)

    def parts(self) -> tuple[Learner, ...]:
        """Return the members, each as often as it is trained."""
        return tuple(part for member in self.members for _ in range(self.seeds) for part in member.parts())

    def _seeds_of(
        self, place: int, table: Table, valid: Table, *, work: Path | None, seed: int
    ) -> tuple[list[Fit], list[np.ndarray]]:
        """Train one learner with its seeds, until one changes nothing; return the fits and their log-odds `[N, T]`."""
        fits, scores = list[Fit](), list[np.ndarray]()
        for number in range(self.seeds):
            fit = finished(self.members[place], table, seed=derive(seed, "ensemble", place, number), work=work)
            found = fit.model.predictor.logits(valid) if fit.unseen is None else fit.unseen
            if any(np.array_equal(found, other) for other in scores):
                event("ensemble", member=place, note="its seed decides nothing: kept once")
                break
            fits.append(replace(fit, rewound=None, unseen=None))
            scores.append(found)
        return fits, scores

    def _weighed(self, valid: Table, columns: np.ndarray, *, seed: int) -> tuple[list[Mixture], np.ndarray]:
        """Return a mixture per label, and the log-odds `[N, T]` of mixtures that did not see the row."""
        assert valid.labels is not None
        mixtures, unseen = [], np.empty(columns.shape[:2])
        centre = np.full(self.slopes * len(self.members), 1 / len(self.members))  # the plain average
        for t in range(columns.shape[1]):
            labels, logits, weight = valid.label(t), self._sides(columns[:, t]), valid.weight

            def fit(
                rows: Bools,
                labels: np.ndarray = labels,
                logits: np.ndarray = logits,
                weight: np.ndarray | None = weight,
            ) -> Mixture:
                some = None if weight is None else weight[rows]
                return mix(labels[rows], logits[rows], centre=centre, ridge=self.ridge, weight=some)

            folds = folds_of(labels, valid.row, folds=self.folds, seed=seed, groups=valid.group)
            mixtures.append(fit(np.ones(valid.n_rows, dtype=bool)))
            unseen[:, t] = cross_fitted(fit, logits, folds)
        return mixtures, unseen

    def _sides(self, logits: np.ndarray) -> np.ndarray:
        """Return what is weighed `[N, slopes x learners]`: log-odds, or ln p and -ln(1 - p), which add up to them."""
        if self.slopes == 1:
            return logits
        return np.concatenate([-np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits)], axis=1)

    def _model(self, table: Table, fits: list[list[Fit]], slopes: np.ndarray, intercept: np.ndarray) -> Model:
        used = (slopes > 0).sum(axis=(0, 2)) > 0
        used[0] |= not used.any()  # where nothing helps, a member stands with weight 0
        members: list[Predictor] = []
        weights: list[np.ndarray] = []
        for place in np.flatnonzero(used):
            group = tuple(fit.model.predictor for fit in fits[place])
            even = np.full((len(group), slopes.shape[2]), 1 / len(group))
            if self.slopes == 1:
                members += group
                weights += list(even * slopes[0, place])
                continue
            alone = len(group) == 1
            mean = (
                group[0] if alone else EnsemblePredictor(members=group, weights=even, intercept=np.zeros_like(even[0]))
            )
            maps = tuple(Beta(low=float(low), high=float(high), shift=0.0) for low, high in slopes[:, place].T)
            members.append(CalibratedPredictor(base=mean, maps=maps))
            weights.append(np.ones_like(even[0]))
        predictor = EnsemblePredictor(members=tuple(members), weights=np.stack(weights), intercept=intercept)
        return Model(encoder=table.encoder, predictor=predictor, offset=math.log(table.schema.sampling_rate))

    def _told(self, fits: list[list[Fit]], weights: np.ndarray) -> str:
        names = [str(describe(member)["use"]) for member in self.members]
        parts = [f"{n} {w:.3f} ({len(g)})" for n, w, g in zip(names, weights, fits, strict=True)]
        return f"weights by learner (and how often it was trained): {', '.join(parts)}"
