"""LogisticLearner: logistic regression on one-hot values by L-BFGS, its strength of L2 chosen on the validation split.

Reference: Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads", 2007;
the solver is L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989).
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.memory import available_memory
from ctrsel.models.backbones.lr import LR
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.models.own_noise import own_noise
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.one_hot import one_hot, one_hot_bytes
from ctrsel.train.validation import validate

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.gates._contract import Gate
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["LogisticLearner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticLearner(Learner):
    """Parameters of the regression.

    The objective is sum_i w_i loss_i + (l2 / 2) ||weights||^2, weights of rows w_i scaled to the mean 1; the intercept
    is free.

    Attributes:
        l2: Strengths that are tried, in nats per squared weight, from strong to weak until one is worse than the one
            before; the one with the best validation metric is taken.
        monitor: The validation metric.
        iterations: Of L-BFGS, at most, for each strength.
        tolerance: L-BFGS stops where no entry of the gradient of the mean loss is larger.
    """

    l2: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
    monitor: Literal["auc", "log_loss"] = "auc"
    iterations: int = 300
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if not self.l2 or min(self.l2) <= 0:
            raise ConfigError(f"logistic.l2: needs at least one strength, all above 0, got {list(self.l2)}")
        if self.iterations < 1 or self.tolerance <= 0:
            raise ConfigError(
                f"logistic: needs iterations >= 1 and tolerance > 0, got {self.iterations}, {self.tolerance}"
            )
        if self.monitor not in ("auc", "log_loss"):
            raise ConfigError(f"logistic.monitor: must be 'auc' or 'log_loss', got {self.monitor!r}")

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
        """Fit strength after strength, the strongest first, each from the weights of the one before.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: Refused: the rows are seen at once, not in steps.
            start: Refused: the optimum does not depend on where the search starts.
            work: Not used: the fit starts again.
            seed: Not used: nothing is drawn.

        Raises:
            ConfigError: If a gate or a start is given, or the matrix would not fit in memory.
            DataError: If a split lacks rows, labels or a class.
        """
        began = time.perf_counter()
        if gate is not None or start is not None:
            raise ConfigError("logistic: takes neither a gate nor starting weights; use 'net' with the backbone 'lr'")
        if features is not None:
            table = table.narrow(features)
        need, have = self.memory(table), available_memory()
        if need > have:
            raise ConfigError(
                f"logistic: {table.n_rows} rows need about {need / 2**30:.1f} GiB as a one-hot matrix, "
                f"{have / 2**30:.1f} GiB are free; the learner 'net' with the backbone 'lr' reads rows in batches"
            )
        layout = Layout.of(table.encoder, history=False)
        train, valid = table.part("train"), table.part("valid")
        for t, label in enumerate(table.schema.labels):
            for name, part in (("training", train), ("validation", valid)):
                y = part.label(t)
                if not len(y) or y.min() == y.max():
                    raise DataError(f"logistic: the {name} split needs both classes of {label.name!r}")
        predictors, history, values, notes = [], [], [], []
        with progress("train", len(self.l2), unit="strengths") as bar:
            for l2, weights, intercepts, iterations in self._path(train, layout):
                predictor = _predictor(table, layout, weights, intercepts)
                scores = validate(valid, predictor.logits(valid))
                history.append(
                    {"l2": l2, "iterations": float(iterations), **{f"valid_{k}": v for k, v in scores.items()}}
                )
                predictors.append(predictor)
                if iterations >= self.iterations:
                    notes.append(f"logistic: with l2 {l2:g} L-BFGS was stopped after {self.iterations} iterations.")
                bar.advance(1, auc=scores["auc"])
                values.append(scores["auc"] if self.monitor == "auc" else -scores["log_loss"])
                if values[-1] < max(values):
                    break
        best = int(np.argmax(values))
        found = {k: history[best][f"valid_{k}"] for k in ("auc", "log_loss")}
        seconds = time.perf_counter() - began
        event("logistic", l2=history[best]["l2"], seconds=seconds, **{f"valid_{k}": v for k, v in found.items()})
        return Fit(
            model=Model(encoder=table.encoder, predictor=predictors[best], offset=math.log(table.schema.sampling_rate)),
            epochs=None,
            seconds=seconds,
            history=tuple(history),
            valid=found,
            notes=tuple(notes),
        )

    def memory(self, table: Table) -> int:
        """Estimate the bytes of the one-hot matrix and of L-BFGS."""
        return one_hot_bytes(table)

    def _path(self, train: Table, layout: Layout) -> Iterator[tuple[float, np.ndarray, np.ndarray, int]]:
        """Yield strength, weights `[V + M, T]`, intercepts `[T]` and iterations, from strong to weak."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        x = one_hot(train, layout)
        rows = None if train.weight is None else train.weight / train.weight.mean()
        # No data term moves a weight whose column is empty, so its L2 would hold it at 0: it is left out.
        used = np.unique(x.indices)
        x = x[:, used]
        labels = len(train.schema.labels)
        models: list[Any] = [
            LogisticRegression(max_iter=self.iterations, tol=self.tolerance, warm_start=True) for _ in range(labels)
        ]
        for l2 in sorted(self.l2, reverse=True):
            weights, intercepts = np.zeros((layout.total_codes + len(layout.floats), labels)), np.zeros(labels)
            iterations = 0
            for t, model in enumerate(models):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)  # it becomes a note
                    model.set_params(C=1 / l2).fit(x, train.label(t), sample_weight=rows)
                weights[used, t], intercepts[t] = model.coef_[0], model.intercept_[0]
                iterations = max(iterations, int(model.n_iter_[0]))
            yield l2, weights, intercepts, iterations


def _predictor(table: Table, layout: Layout, weights: np.ndarray, intercepts: np.ndarray) -> NetPredictor:
    """Return the net whose logits are those of the regression."""
    labels = len(intercepts)
    with own_noise(), torch.no_grad():
        net = Net(LR(), layout, width=labels, labels=labels)
        net.embedding.main.copy_(torch.from_numpy(weights[: layout.total_codes]))
        net.embedding.float_main.copy_(torch.from_numpy(weights[layout.total_codes :]))
        net.backbone.get_parameter("bias").copy_(torch.from_numpy(intercepts))
    return NetPredictor(backbone=LR(), width=labels, labels=labels, net=net)
