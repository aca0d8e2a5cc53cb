"""NetRun: one fit of a net, epoch by epoch, with early stopping or with a gate."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive
from ctrsel.data.batches import batches
from ctrsel.models.embedding import to_inputs
from ctrsel.models.gates._contract import Gate, SearchPlan
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.train._contract import Fit
from ctrsel.train.hardening import folded
from ctrsel.train.intercept import log_odds
from ctrsel.train.settling import centre, settle
from ctrsel.train.validation import validate
from ctrsel.train.watch import report

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout
    from ctrsel.train.net import NetLearner

__all__ = ["NetRun"]


class NetRun:
    """One fit: the net, its data and what happened so far."""

    def __init__(
        self,
        learner: NetLearner,
        table: Table,
        rows: Rows,
        layout: Layout,
        *,
        gate: Gate | None,
        start: Model | None,
        seed: int,
    ) -> None:
        self.learner, self.table, self.rows, self.seed, self.gate = learner, table, rows, seed, gate
        self.labels = len(table.schema.labels)
        span = table.span("train")
        assert table.labels is not None
        self.n = span.stop - span.start
        self.batch_size = learner.rows_per_step(self.n)
        self.weight_mean = 1.0 if table.weight is None else float(np.mean(table.weight[span]))
        if not self.weight_mean > 0:
            raise DataError(f"net: the training rows' weights must have a mean above 0, got {self.weight_mean}")
        torch.manual_seed(derive(seed, "net", "weights"))
        self.net = Net(learner.backbone, layout, width=learner.width, labels=self.labels)
        if start is None:
            untrained = layout.untrained(table.encoder, other_share=learner.other_share)
            self.net.embedding.zero_rows(torch.from_numpy(untrained))
            weight = None if table.weight is None else table.weight[span]
            self.net.prior.copy_(torch.from_numpy(log_odds(table.labels[span], weight=weight)))
        else:
            self.net.set_weights(self._checked(start))
        self.valid = table.part("valid")
        self.history: list[dict[str, float]] = []
        self.steps = 0  # done so far

    def train(self, began: float) -> Fit:
        """Train with early stopping."""
        learner, net = self.learner, self.net
        self._begin()
        best, best_weights, failed = -math.inf, self._copy(), 0
        with progress("train", learner.max_epochs, unit="epochs") as bar:
            for epoch in range(learner.max_epochs):
                facts = self._epoch(epoch)
                bar.advance(1, auc=facts["valid_auc"])
                if facts["valid_auc"] > best + 1e-6:
                    best, best_weights, failed = facts["valid_auc"], self._copy(), 0
                    continue
                failed += 1
                self.optimiser.lower(learner.lr_drop, floor=1e-6)
                if failed >= learner.patience:
                    break
        net.set_weights(best_weights)
        centre(net, self.rows, seed=derive(self.seed, "net", "centre"))
        return self._fit(began, model=self._model(self._copy()))

    def search(self, began: float) -> Fit:
        """Train weights and gates together."""
        gate = self.gate
        assert gate is not None
        per_epoch = -(-self.n // self.batch_size)
        layout = self.net.layout
        plan = SearchPlan(
            total_codes=layout.total_codes,
            reserved=layout.reserved,
            train_rows=self.n,
            steps=per_epoch * gate.epochs,
            learning_rate=self.learner.learning_rate,
        )
        module = self.net.gate = gate.build(plan)
        self._begin()
        snapshot: Model | None = None
        free = np.ones(layout.total_codes, dtype=bool)
        free[layout.reserved] = False
        with progress("search", gate.epochs, unit="epochs") as bar:
            for epoch in range(gate.epochs):
                if epoch == gate.rewind:
                    snapshot = self._model(folded(self._copy(), module, self.table.encoder, hard=False))
                facts = self._epoch(epoch, plan=plan)
                kept = module.kept().numpy()
                facts |= {**module.facts(), "kept": float(kept[free].mean()) if free.any() else 1.0}
                bar.advance(1, auc=facts["valid_auc"], kept=facts["kept"])
        model = self._model(folded(self._copy(), module, self.table.encoder, hard=True))
        return self._fit(
            began,
            model=model,
            snapshot=snapshot,
            kept=self._by_vocabulary(module.kept().numpy()),
            scores=self._by_vocabulary(module.scores().numpy().astype(np.float64)),
        )

    def _begin(self) -> None:
        learner = self.learner
        self.optimiser = learner.optimiser.build(
            self.net, learning_rate=learner.learning_rate, embedding_l2=learner.embedding_l2, clip=learner.clip
        )
        torch.manual_seed(derive(self.seed, "net", "noise"))

    def _epoch(self, epoch: int, *, plan: SearchPlan | None = None) -> dict[str, float]:
        learner, net, began = self.learner, self.net, time.perf_counter()
        rate = self.optimiser.learning_rate
        net.train()
        total = 0.0
        stream = batches(
            self.table,
            "train",
            size=self.batch_size,
            seed=derive(self.seed, "net", "batches"),
            epoch=epoch,
            other_share=learner.other_share,
            rows=self.rows,
        )
        for batch in stream:
            assert batch.labels is not None
            labels = torch.from_numpy(batch.labels)
            weight = None if batch.weight is None else torch.from_numpy(batch.weight).div_(self.weight_mean)
            gate = net.gate
            if gate is not None and plan is not None:
                gate.advance(self.steps / max(plan.steps - 1, 1))
            loss = learner.step.objective(net, to_inputs(batch), labels, weight)
            total += float(loss.detach()) * len(labels)
            self.optimiser.step(loss if gate is None else loss + gate.strength * gate.penalty())
            self.steps += 1
        if not math.isfinite(total):
            raise DataError(f"net: the loss is no number after epoch {epoch + 1}; lower learning_rate {rate:.3g}")
        trained = time.perf_counter()
        settle(net, self.rows, seed=derive(self.seed, "net", "settle"))
        logits = NetPredictor(backbone=learner.backbone, width=learner.width, labels=self.labels, net=net)
        valid = validate(self.valid, logits.logits(self.valid))
        facts = {
            "epoch": float(epoch + 1),
            "lr": rate,
            "loss": total / self.n,
            "valid_auc": valid["auc"],
            "valid_log_loss": valid["log_loss"],
            "rows_per_second": self.n / max(trained - began, 1e-9),
        }
        self.history.append(facts)
        event("epoch", **facts)
        report(len(self.history), auc=valid["auc"], log_loss=valid["log_loss"])
        return facts

    def _fit(
        self,
        began: float,
        *,
        model: Model,
        snapshot: Model | None = None,
        kept: Mapping[str, np.ndarray] | None = None,
        scores: Mapping[str, np.ndarray] | None = None,
    ) -> Fit:
        return Fit(
            model=model,
            epochs=len(self.history),
            seconds=time.perf_counter() - began,
            history=tuple(self.history),
            valid=validate(self.valid, model.predictor.logits(self.valid)),
            snapshot=snapshot,
            kept=kept,
            scores=scores,
        )

    def _model(self, weights: Mapping[str, Tensor]) -> Model:
        learner = self.learner
        predictor = NetPredictor.of(
            self.table.encoder, weights, backbone=learner.backbone, width=learner.width, labels=self.labels
        )
        return Model(encoder=self.table.encoder, predictor=predictor, offset=math.log(self.table.schema.sampling_rate))

    def _copy(self) -> dict[str, Tensor]:
        return {k: v.detach().clone() for k, v in self.net.weights().items()}

    def _by_vocabulary(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        encoder = self.table.encoder
        return {k: rows[s : s + encoder.vocabularies[k].size].copy() for k, s in encoder.offsets.items()}

    def _checked(self, start: Model) -> Mapping[str, Tensor]:
        learner, predictor = self.learner, start.predictor
        if not isinstance(predictor, NetPredictor):
            raise ConfigError(f"net: start must be a net model, got kind {predictor.kind!r}")
        if start.encoder.digest != self.table.encoder.digest:
            raise ConfigError(
                f"net: start must be of the table's encoder {self.table.encoder.digest}, got {start.encoder.digest}"
            )
        if predictor.backbone != learner.backbone or predictor.width != learner.width:
            raise ConfigError(
                f"net: start must have the learner's backbone and width, got {predictor.backbone}, {predictor.width}"
            )
        return predictor.net.weights()
