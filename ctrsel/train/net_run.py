"""NetRun: one fit of a net, epoch by epoch, with early stopping or with a gate; a fit that was killed goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from ctrsel.models.gates._contract import FieldGateModule, Gate, GateModule, SearchPlan, ValueGateModule
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.train._contract import Fit
from ctrsel.train.best import Best
from ctrsel.train.checkpoint import Checkpoint, Saved
from ctrsel.train.fresh import fresh_net, known_odds
from ctrsel.train.hardening import fold, hard
from ctrsel.train.hardware import autocast, device_of
from ctrsel.train.moments import collect
from ctrsel.train.overfitting import one_epoch_overfitting
from ctrsel.train.pieces import in_pieces
from ctrsel.train.rewinding import Again, Kept, Rewound
from ctrsel.train.search_stop import SearchStop
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

_OBSERVED = 8192  # rows at once


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
        checkpoint: Checkpoint | None,
        processes: Processes,
        seed: int,
    ) -> None:
        self.learner, self.table, self.rows, self.seed, self.gate = learner, table, rows, seed, gate
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
        self.rewound = Best()  # weights at a gate's rewind point, if they cannot be made again
        self.stop = SearchStop(patience=0 if gate is None else gate.patience)
        self.earlier = 0.0  # seconds that were spent before a kill
        self._held_out: RowMatrix | None = None  # rows of the validation split, for a gate that learns from them
        self._held_out_stream: Iterator[Batch] | None = None

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

    def search(self, began: float, saved: Saved | None = None) -> Fit:
        """Train weights and gates together."""
        gate = self.gate
        assert gate is not None
        layout = self.net.layout
        plan = SearchPlan(
            total_codes=layout.total_codes,
            reserved=layout.reserved,
            fields=layout.slots,
            floats=len(layout.floats),
            width=self.net.embedding.width,
            train_rows=self.n,
            steps=self.per_epoch * gate.epochs,
            learning_rate=self.learner.learning_rate,
            seed=derive(self.seed, "net", "gate"),
        )
        module = self.net.gate = in_pieces(gate.build(plan).to(self.device))
        if isinstance(module, ValueGateModule):
            module.see([table.detach() for table in self.net.embedding.tables()])
        self._begin(saved)
        again = gate.rewind == 0 and self.begun is None
        with progress("search", gate.epochs * self.n, unit="rows") as bar:
            bar.advance(min(self.steps * self.batch_size, gate.epochs * self.n))
            while len(self.history) < gate.epochs and not (self.stop.over and len(self.history) > gate.rewind):
                if len(self.history) == gate.rewind and not again and not self.rewound.weights():
                    self.rewound.keep(self.net.weights())
                facts = self._epoch(bar, began, plan=plan)
                facts |= {**module.facts(), "kept": self._share(module), **self._hardened(gate, module, facts)}
        if self.stop.over:
            event("search over", epoch=len(self.history), reason=self.stop.reason)
        del self.optimiser  # its moments are as large as the tables
        return self._searched(module, began, again=again)

    def _hardened(self, gate: Gate, module: GateModule, facts: Mapping[str, float]) -> dict[str, float]:
        """Look at what a search that ended now would hand back: AUC and log-loss, and what has changed since an epoch before."""
        if isinstance(module, FieldGateModule) and (module.observes or not gate.decides):
            return {}  # its scores are read off rows at the end, or it decides nothing
        self.net.gate = hard(module)
        try:
            learner = self.learner
            predictor = NetPredictor(backbone=learner.backbone, width=learner.width, labels=self.labels, net=self.net)
            valid = validate(self.valid, self.processes.logits(predictor, self.valid))
        finally:
            self.net.gate = module
        found = {"hard_auc": valid["auc"], "hard_log_loss": valid["log_loss"], "gap": facts["valid_auc"] - valid["auc"]}
        found = self.processes.agreed(found)
        return found | self.stop.look(module.kept(), module.scores(), log_loss=found["hard_log_loss"])

    def _share(self, module: GateModule) -> float:
        """Return the share of the values, or of the fields, that is still open."""
        module.finish()
        kept = module.kept().cpu().numpy()
        if isinstance(module, ValueGateModule):
            free = np.ones(len(kept), dtype=bool)
            free[self.net.layout.reserved] = False
            kept = kept[free]
        return float(kept.mean()) if len(kept) else 1.0

    def _searched(self, module: GateModule, began: float, *, again: bool) -> Fit:
        """Harden, and say where a retraining starts."""
        module.finish()
        scale = module.scale if isinstance(module, ValueGateModule) else 1.0
        known: dict[str, Any] = {"learner": self.learner, "table": self.table, "scale": scale}
        rewound: Rewound = Again(**known, seed=self.seed) if again else Kept(**known, weights=self.rewound)
        if isinstance(module, FieldGateModule) and module.observes:
            self._observe(module)
        kept, scores = module.kept().cpu().numpy(), module.scores().cpu().numpy().astype(np.float64)
        self.net.gate = None
        if isinstance(module, ValueGateModule):
            # In place: this net is not needed any more.
            fold(self.net.weights(), scale=scale, kept=torch.from_numpy(kept), encoder=self.table.encoder)
        fit = self._fit(began, model=self._model(self.net.weights()), rewound=rewound)
        if isinstance(module, ValueGateModule):
            return replace(fit, kept=self._by_vocabulary(kept), scores=self._by_vocabulary(scores))
        slots = self.net.layout.slots
        errors = module.errors() if isinstance(module, FieldGateModule) else None
        return replace(
            fit,
            kept_fields=frozenset(name for name, k in zip(slots, kept.tolist(), strict=True) if k),
            field_scores=dict(zip(slots, scores.tolist(), strict=True)),
            field_errors=None if errors is None else dict(zip(slots, errors.cpu().double().tolist(), strict=True)),
        )

    @torch.no_grad()
    def _observe(self, module: FieldGateModule) -> None:
        """Show a gate every validation row, as they are looked up."""
        self.net.eval()
        for batch in batches(self.valid, None, size=_OBSERVED):
            module.observe(self.net.embedding(to_inputs(batch, self.device)))

    def _begin(self, saved: Saved | None) -> None:
        learner = self.learner
        self.processes.begin(self.net)
        self.optimiser = learner.optimiser.build(
            self.net, learning_rate=learner.learning_rate, embedding_l2=learner.embedding_l2, clip=learner.clip
        )
        if self.begun is not None and learner.keep_optimiser and self.gate is None:
            self.begun.go_on(self.optimiser, self.net)
        torch.manual_seed(derive(self.seed, "net", "noise"))
        if saved is not None:
            self._restore(saved)

    def _epoch(self, bar: Progress, began: float, *, plan: SearchPlan | None = None) -> dict[str, float]:
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
            self._step(batch, plan)
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

    def _step(self, batch: Batch, plan: SearchPlan | None) -> None:
        """Use one batch."""
        net = self.net
        assert batch.labels is not None
        labels = torch.from_numpy(batch.labels).to(self.device)
        weight = None if batch.weight is None else torch.from_numpy(batch.weight).to(self.device) / self.weight_mean
        self.processes.noise(self.seed, self.steps)
        gate = net.gate
        if gate is not None and plan is not None:
            gate.advance(self.steps / max(plan.steps - 1, 1))
            gate.begin(batch.rows)
        with autocast(self.device, self.learner.precision):
            loss = self.learner.step.objective(net, to_inputs(batch, self.device), labels, weight)
        price = None if gate is None else gate.price()
        objective = loss if price is None else loss + price
        self.optimiser.step(self.processes.joined(objective, loss=loss, rows=len(labels), net=net))
        self.total += self.processes.told
        self.steps += 1
        if gate is None:
            return
        if not gate.every:
            gate.update(self.processes)
        elif self.steps % gate.every == 0:
            self._learn_from_validation(gate)

    def _learn_from_validation(self, gate: GateModule) -> None:
        """Move a gate by a batch of validation rows; the net's weights stay."""
        gate.zero_grad()
        batch = self._held_out_batch(self.steps // gate.every - 1)
        assert batch.labels is not None
        labels = torch.from_numpy(batch.labels).to(self.device)
        with autocast(self.device, self.learner.precision):
            loss = self.learner.step.objective(self.net, to_inputs(batch, self.device), labels, None)
        price = gate.price()
        objective = loss if price is None else loss + price
        told = self.processes.rows, self.processes.told
        self.processes.joined(objective, loss=loss, rows=len(labels), net=self.net).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        gate.update(self.processes)
        self.processes.rows, self.processes.told = told

    def _held_out_batch(self, turn: int) -> Batch:
        """Return the batch of validation rows that a gate's turn uses; past the last one they are shuffled anew."""
        if self._held_out is None:
            self._held_out = RowMatrix(self.table, "valid")
        per_epoch = max(-(-len(self._held_out) // self.batch_size), 1)
        if self._held_out_stream is None or turn % per_epoch == 0:
            self._held_out_stream = batches(
                self.table,
                "valid",
                size=self.batch_size,
                seed=derive(self.seed, "net", "validation batches"),
                epoch=turn // per_epoch,
                rows=self._held_out,
                start=turn % per_epoch,
                part=self.processes.part,
            )
        return next(self._held_out_stream)

    def _state(self, began: float) -> Saved:
        """Return all that the rest of the fit depends on; the tensors are the fit's own."""
        stop = self.stop.state()
        parts: dict[str, Mapping[str, Tensor]] = {
            "net": self.net.state_dict(),
            "best": self.best_weights.weights(),
            "rewound": self.rewound.weights(),
            "stop": stop[1],
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
            "stop": stop[0],
            "rows": "memory" if isinstance(self.rows, RowMatrix) else "blocks",
            "seconds": self.earlier + time.perf_counter() - began,
        }
        return Saved(facts=facts, tensors={f"{p}/{k}": t for p, named in parts.items() for k, t in named.items()})

    def _restore(self, saved: Saved) -> None:
        """Go back to a state."""
        parts: dict[str, dict[str, Tensor]] = {"best": {}, "rewound": {}, "stop": {}, "optimiser": {}}
        for name, tensor in saved.tensors.items():
            part, _, key = name.partition("/")
            parts.setdefault(part, {})[key] = tensor
        self.net.load_state_dict(parts["net"])
        self.optimiser.restore(parts["optimiser"])
        if parts["rewound"]:
            self.rewound.keep(parts["rewound"])
        if parts["best"]:
            self.best_weights.keep(parts["best"])
        facts = saved.facts
        self.stop.restore(facts["stop"], parts["stop"])
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

    def _by_vocabulary(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        encoder = self.table.encoder
        return {k: rows[s : s + encoder.vocabularies[k].size].copy() for k, s in encoder.offsets.items()}
