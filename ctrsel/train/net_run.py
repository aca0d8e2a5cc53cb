"""NetRun: one fit of a net, epoch by epoch, with early stopping; a fit that was killed goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.errors import DataError
from ctrsel.core.log import Progress, event, logger, progress
from ctrsel.core.seeds import derive
from ctrsel.data.batches import Batch, batches
from ctrsel.data.rows import RowMatrix
from ctrsel.models.embedding import to_inputs
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.train._contract import Fit
from ctrsel.train.best import Best
from ctrsel.train.checkpoint import Checkpoint, Saved
from ctrsel.train.fresh import fresh_net, known_odds
from ctrsel.train.hardware import autocast, device_of
from ctrsel.train.moments import collect
from ctrsel.train.overfitting import one_epoch_overfitting
from ctrsel.train.pieces import in_pieces
from ctrsel.train.rewinding import Rewound
from ctrsel.train.settling import centre, settle
from ctrsel.train.starting import Begun, begin_from
from ctrsel.train.validation import validate
from ctrsel.train.watch import report

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout
    from ctrsel.train.net import NetLearner
    from ctrsel.train.parallel import Processes

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
        start: Model | None,
        checkpoint: Checkpoint | None,
        processes: Processes,
        seed: int,
    ) -> None:
        self.learner, self.table, self.rows, self.seed = learner, table, rows, seed
        self.checkpoint, self.processes = checkpoint, processes
        self.device = device_of(learner.device)
        self.labels = len(table.schema.labels)
        span = table.span("train")
        assert table.labels is not None
        self.n = int(span.stop - span.start)
        self.batch_size = learner.rows_per_step(self.n)
        self.weight_mean = 1.0 if table.weight is None else float(np.mean(table.weight[span]))
        if not self.weight_mean > 0:
            raise DataError(f"net: the training rows' weights must have a mean above 0, got {self.weight_mean}")
        self.net = fresh_net(learner, table, layout, seed=seed)
        self.notes: tuple[str, ...] = ()
        self.begun: Begun | None = None
        if start is None:
            self.net.prior.copy_(known_odds(table))
        else:
            self.begun = begin_from(start, self.net, learner=learner, table=table, rows=rows, seed=seed)
            self.notes = self.begun.notes
        self.net.to(self.device)
        in_pieces(self.net)
        self.valid = table.part("valid")
        self.history: list[dict[str, float]] = []
        self.steps = 0  # done so far
        self.total = 0.0  # of the present epoch: the loss summed over its rows
        self.best, self.failed, self.best_weights = -math.inf, 0, Best()
        self.earlier = 0.0  # seconds that were spent before a kill

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-self.n // self.batch_size)

    def train(self, began: float, saved: Saved | None = None) -> Fit:
        """Train with early stopping."""
        learner, net = self.learner, self.net
        self._begin(saved)
        with progress("train", learner.max_epochs * self.n, unit="rows at most") as bar:
            bar.advance(min(self.steps * self.batch_size, learner.max_epochs * self.n))
            while len(self.history) < learner.max_epochs and self.failed < learner.patience:
                facts = self._epoch(bar, began)
                if facts["valid_auc"] > self.best + 1e-6:
                    self.best, self.failed = facts["valid_auc"], 0
                    self.best_weights.keep(net.weights())
                else:
                    self.failed += 1
                    self.optimiser.lower(learner.lr_drop, floor=1e-6)
        moments = collect(self.optimiser, net) if learner.keep_optimiser else {}
        del self.optimiser  # its moments are as large as the tables
        self.best_weights.into(net.weights())
        centre(net, self.rows, seed=derive(self.seed, "net", "centre"))
        warning = one_epoch_overfitting(self.history)
        if warning:
            logger().warning(warning)
        model = self._model(net.weights())
        if isinstance(model.predictor, NetPredictor):
            model.predictor.moments = moments
        return self._fit(began, model=model, notes=(*self.notes, *((warning,) if warning else ())))

    def _begin(self, saved: Saved | None) -> None:
        learner = self.learner
        self.processes.begin(self.net)
        shared = self.net.layout.shared(self.table.encoder)
        self.optimiser = learner.optimiser.build(
            self.net,
            learning_rate=learner.learning_rate,
            embedding_l2=learner.embedding_l2,
            clip=learner.clip,
            shared=None if shared is None else torch.from_numpy(shared),
        )
        if self.begun is not None and learner.keep_optimiser and self.net.gate is None:
            self.begun.go_on(self.optimiser, self.net)
        torch.manual_seed(derive(self.seed, "net", "noise"))
        if saved is not None:
            self._restore(saved)

    def _epoch(self, bar: Progress, began: float) -> dict[str, float]:
        """Go through the training rows once, or through what is left of them, and validate."""
        learner, net, started = self.learner, self.net, time.perf_counter()
        epoch, rate = len(self.history), self.optimiser.learning_rate
        first = self.steps - epoch * self.per_epoch
        net.train()
        stream = batches(
            self.table,
            "train",
            size=self.batch_size,
            seed=derive(self.seed, "net", "batches"),
            epoch=epoch,
            other_share=learner.other_share,
            rows=self.rows,
            start=first,
            part=self.processes.part,
        )
        for batch in stream:
            self._step(batch)
            bar.advance(
                self.processes.rows, epoch=epoch + 1, **({"auc": self.history[-1]["valid_auc"]} if epoch else {})
            )
            if self.checkpoint is not None and self.checkpoint.due:
                self.checkpoint.save(self._state(began))
        if not math.isfinite(self.total):
            raise DataError(f"net: the loss is no number after epoch {epoch + 1}; lower learning_rate {rate:.3g}")
        trained = time.perf_counter()
        settle(net, self.rows, seed=derive(self.seed, "net", "settle"), processes=self.processes)
        predictor = NetPredictor(backbone=learner.backbone, width=learner.width, labels=self.labels, net=net)
        valid = validate(self.valid, self.processes.logits(predictor, self.valid))
        facts = {
            "epoch": float(epoch + 1),
            "lr": rate,
            "loss": self.total / self.n,
            "valid_auc": valid["auc"],
            "valid_log_loss": valid["log_loss"],
            "rows_per_second": max(self.n - first * self.batch_size, 0) / max(trained - started, 1e-9),
        }
        facts = self.processes.agreed(facts)
        self.total = 0.0
        self.history.append(facts)
        event("epoch", **facts)
        report(len(self.history), auc=valid["auc"], log_loss=valid["log_loss"])
        return facts

    def _step(self, batch: Batch) -> None:
        """Use one batch."""
        net = self.net
        assert batch.labels is not None
        labels = torch.from_numpy(batch.labels).to(self.device)
        weight = None if batch.weight is None else torch.from_numpy(batch.weight).to(self.device) / self.weight_mean
        self.processes.noise(self.seed, self.steps)
        self._before(batch)
        with autocast(self.device, self.learner.precision):
            loss = self.learner.step.objective(net, to_inputs(batch, self.device), labels, weight)
        self.optimiser.step(self.processes.joined(self._priced(loss), loss=loss, rows=len(labels), net=net))
        self.total += self.processes.told
        self.steps += 1
        self._after()

    def _before(self, batch: Batch) -> None:
        """Do what a step begins with."""

    def _priced(self, loss: Tensor) -> Tensor:
        """Return the objective of a loss."""
        return loss

    def _after(self) -> None:
        """Do what a step ends with."""

    def _state(self, began: float) -> Saved:
        """Return all that the rest of the fit depends on; the tensors are the fit's own."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "net": self.net.state_dict(),
            "best": self.best_weights.weights(),
            "optimiser": self.optimiser.state(),
            "noise": {"cpu": torch.get_rng_state()},
        }
        if self.device.type == "cuda":
            parts["noise"] = {**parts["noise"], "cuda": torch.cuda.get_rng_state(self.device)}
        facts: dict[str, Any] = {
            "history": self.history,
            "steps": self.steps,
            "total": self.total,
            "best": self.best if math.isfinite(self.best) else None,
            "failed": self.failed,
            "rows": "memory" if isinstance(self.rows, RowMatrix) else "blocks",
            "seconds": self.earlier + time.perf_counter() - began,
        }
        return Saved.of(facts, parts)

    def _restore(self, saved: Saved) -> None:
        """Go back to a state."""
        parts: dict[str, dict[str, Tensor]] = {"best": {}, "optimiser": {}, **saved.parts()}
        self.net.load_state_dict(parts["net"])
        self.optimiser.restore(parts["optimiser"])
        if parts["best"]:
            self.best_weights.keep(parts["best"])
        facts = saved.facts
        self.history = [dict(h) for h in facts["history"]]
        self.steps, self.total, self.failed = facts["steps"], facts["total"], facts["failed"]
        self.best = -math.inf if facts["best"] is None else facts["best"]
        self.earlier = facts["seconds"]
        torch.set_rng_state(parts["noise"]["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(parts["noise"]["cuda"], self.device)
        event("train goes on", epoch=len(self.history) + 1, steps=self.steps)

    def _fit(
        self,
        began: float,
        *,
        model: Model,
        rewound: Rewound | None = None,
        notes: tuple[str, ...] = (),
    ) -> Fit:
        return Fit(
            model=model,
            epochs=len(self.history),
            seconds=self.earlier + time.perf_counter() - began,
            history=tuple(self.history),
            valid=self._valid(model),
            rewound=rewound,
            notes=notes,
        )

    def _valid(self, model: Model) -> dict[str, float]:
        """Measure the model that is handed back; all processes have the same one, and each scores its part."""
        assert isinstance(model.predictor, NetPredictor)
        return validate(self.valid, self.processes.logits(model.predictor, self.valid))

    def _model(self, weights: Mapping[str, Tensor]) -> Model:
        learner = self.learner
        predictor = NetPredictor.of(
            self.table.encoder, weights, backbone=learner.backbone, width=learner.width, labels=self.labels
        )
        return Model(encoder=self.table.encoder, predictor=predictor, offset=math.log(self.table.schema.sampling_rate))
