"""NetSearch: a fit that trains weights and a gate together, until its epochs are over or its mind is made up."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive
from ctrsel.data.batches import Batch, batches
from ctrsel.data.rows import RowMatrix
from ctrsel.models.embedding import to_inputs
from ctrsel.models.gates._contract import FieldGateModule, Gate, GateModule, SearchPlan, ValueGateModule
from ctrsel.models.net import NetPredictor
from ctrsel.train._contract import Fit
from ctrsel.train.best import Best
from ctrsel.train.checkpoint import Saved
from ctrsel.train.hardening import better_half, fold, hard
from ctrsel.train.hardware import autocast
from ctrsel.train.net_run import NetRun
from ctrsel.train.pieces import in_pieces
from ctrsel.train.rewinding import Again, Kept, Rewound
from ctrsel.train.search_stop import SearchStop
from ctrsel.train.validation import validate

__all__ = ["NetSearch"]

_OBSERVED = 8192  # rows at once


class NetSearch(NetRun):
    """One search; see `NetRun` for its arguments."""

    plan: SearchPlan

    def __init__(self, *given: Any, gate: Gate, **more: Any) -> None:
        super().__init__(*given, **more)
        self.gate, self.epochs = gate, gate.epochs_on(self.n)
        self.rewound = Best()  # weights at the gate's rewind point, if they cannot be made again
        self.stop = SearchStop(patience=gate.patience)
        self._held_out: RowMatrix | None = None  # rows of the validation split, for a gate that learns from them
        self._held_out_stream: Iterator[Batch] | None = None

    def search(self, began: float, saved: Saved | None = None) -> Fit:
        """Train weights and gates together."""
        gate, layout = self.gate, self.net.layout
        self.plan = SearchPlan(
            total_codes=layout.total_codes,
            reserved=layout.reserved,
            fields=layout.slots,
            floats=len(layout.floats),
            width=self.net.embedding.width,
            train_rows=self.n,
            steps=self.per_epoch * self.epochs,
            learning_rate=self.learner.learning_rate,
            seed=derive(self.seed, "net", "gate"),
        )
        module = self.net.gate = in_pieces(gate.build(self.plan).to(self.device))
        if isinstance(module, ValueGateModule):
            module.see([table.detach() for table in self.net.embedding.tables()])
        self._begin(saved)
        again = gate.rewind == 0 and self.begun is None
        with progress("search", self.epochs * self.n, unit="rows") as bar:
            bar.advance(min(self.steps * self.batch_size, self.epochs * self.n))
            while len(self.history) < self.epochs and not (self.stop.over and len(self.history) > gate.rewind):
                if len(self.history) == gate.rewind and not again and not self.rewound.weights():
                    self.rewound.keep(self.net.weights())
                facts = self._epoch(bar, began)
                facts |= {**module.facts(), "kept": self._share(module), **self._hardened(gate, module, facts)}
        if self.stop.over:
            event("search over", epoch=len(self.history), reason=self.stop.reason)
        del self.optimiser  # its moments are as large as the tables
        return self._searched(module, began, again=again)

    def _hardened(self, gate: Gate, module: GateModule, facts: Mapping[str, float]) -> dict[str, float]:
        """Look at what a search that ended now would hand back: AUC and log-loss, and what has changed since an epoch before."""
        scores, hardened = module.scores(), hard(module)
        if isinstance(module, FieldGateModule) and not gate.decides:
            # It puts fields in order and leaves open how many are kept: the better half stands for that.
            scores = self._observed(module).scores() if module.observes else scores
            hardened = better_half(scores)
        self.net.gate = hardened
        try:
            learner = self.learner
            predictor = NetPredictor(backbone=learner.backbone, width=learner.width, labels=self.labels, net=self.net)
            valid = validate(self.valid, self.processes.logits(predictor, self.valid))
        finally:
            self.net.gate = module
        found = {"hard_auc": valid["auc"], "hard_log_loss": valid["log_loss"], "gap": facts["valid_auc"] - valid["auc"]}
        found = self.processes.agreed(found)
        return found | self.stop.look(hardened.kept(), scores, log_loss=found["hard_log_loss"])

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
            module = self._observed(module)
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
    def _observed(self, module: FieldGateModule) -> FieldGateModule:
        """Return a gate like this one that has seen every validation row, as they are looked up."""
        self.net.eval()
        seen = copy.deepcopy(module)
        for batch in batches(self.valid, None, size=_OBSERVED):
            seen.observe(self.net.embedding(to_inputs(batch, self.device)))
        return seen

    def _before(self, batch: Batch) -> None:
        gate = self.net.gate
        assert gate is not None
        gate.advance(self.steps / max(self.plan.steps - 1, 1))
        gate.begin(batch.rows)

    def _priced(self, loss: Tensor) -> Tensor:
        assert self.net.gate is not None
        price = self.net.gate.price()
        return loss if price is None else loss + price

    def _after(self) -> None:
        gate = self.net.gate
        assert gate is not None
        if not gate.every:
            gate.update(self.processes)
        elif self.steps % gate.every == 0:
            self._learn_from_validation(gate)
        if self.steps % self.per_epoch == 0:
            gate.finish()  # an epoch is looked at: all validation rows would bring the same values up to date

    def _learn_from_validation(self, gate: GateModule) -> None:
        """Move a gate by a batch of validation rows; the net's weights stay."""
        gate.zero_grad()
        batch = self._held_out_batch(self.steps // gate.every - 1)
        assert batch.labels is not None
        labels = torch.from_numpy(batch.labels).to(self.device)
        with autocast(self.device, self.learner.precision):
            loss = self.learner.step.objective(self.net, to_inputs(batch, self.device), labels, None)
        told = self.processes.rows, self.processes.told
        self.processes.joined(self._priced(loss), loss=loss, rows=len(labels), net=self.net).backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
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
        saved, (facts, tensors) = super()._state(began), self.stop.state()
        return saved.with_more({"stop": facts}, {"rewound": self.rewound.weights(), "stop": tensors})

    def _restore(self, saved: Saved) -> None:
        super()._restore(saved)
        parts = saved.parts()
        if "rewound" in parts:
            self.rewound.keep(parts["rewound"])
        self.stop.restore(saved.facts["stop"], parts.get("stop", {}))

    def _by_vocabulary(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        encoder = self.table.encoder
        return {k: rows[s : s + encoder.vocabularies[k].size].copy() for k, s in encoder.offsets.items()}
