"""NetLearner: trains a net by the protocol behind the published BARS figures, or searches with a gate.

Reference: Zhu et al., "BARS: towards open benchmarking for recommender systems", 2022: Adam, validation AUC after each
epoch, learning rate times 0.1 where it does not rise, stop after two such epochs in a row, best weights restored.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive, generator
from ctrsel.data.batches import batches
from ctrsel.data.table import Table
from ctrsel.models.backbones import CATALOG as BACKBONES
from ctrsel.models.backbones import Backbone
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedding import to_inputs
from ctrsel.models.gates._contract import Gate, SearchPlan
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.records.feature_set import FeatureSet
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.hardening import folded
from ctrsel.train.intercept import intercept_shift
from ctrsel.train.norms import settle_norms
from ctrsel.train.optimisers import Optimiser
from ctrsel.train.steps import CATALOG as STEPS
from ctrsel.train.steps import Step
from ctrsel.train.steps.bce import BCE
from ctrsel.train.validation import validate

__all__ = ["NetLearner"]

_SETTLE_ROWS = 16384  # training rows that the batch norms are settled on
_CENTRE_ROWS = 200_000  # training rows that the intercept is set on
_BATCHES = 48  # an epoch has at least about so many steps, unless batches are at their smallest


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLearner(Learner):
    """Parameters of training.

    Attributes:
        backbone: The network behind the embedding.
        width: D, numbers per embedding row.
        batch_size: Rows a step; None = the power of two from 32 to 4096 that gives an epoch at least 48 steps.
        learning_rate: Adam's, at the start.
        embedding_l2: r of (r / 2) * ||E||^2 over the whole tables, nats per row; published settings range from 1e-5
            (tens of millions of rows) to 0.1; the default suits tables of 10,000 to a million rows.
        max_epochs: At most so many.
        patience: Stop after so many epochs in a row without a higher validation AUC.
        lr_drop: Factor of the learning rate after an epoch without a higher validation AUC.
        clip: Largest gradient norm.
        other_share: Share of the value occurrences that train row `OTHER` in fields where no training row has it, so that
            a value that is new when serving meets a trained row; 0 leaves that row zero.
        threads: Of torch, while this learner runs.
        step: How a batch is used.
    """

    backbone: Backbone = field(default_factory=DeepFM, metadata={"catalog": BACKBONES})
    width: int = 16
    batch_size: int | None = None
    learning_rate: float = 1e-3
    embedding_l2: float = 0.05
    max_epochs: int = 30
    patience: int = 2
    lr_drop: float = 0.1
    clip: float = 10.0
    other_share: float = 0.002
    threads: int = 1
    step: Step = field(default_factory=BCE, metadata={"catalog": STEPS})

    def __post_init__(self) -> None:
        for name in ("width", "batch_size", "max_epochs", "patience", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"net.{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"net.{name}: must be above 0, got {getattr(self, name)}")
        if self.embedding_l2 < 0 or not 0 < self.lr_drop <= 1 or not 0 <= self.other_share < 1:
            raise ConfigError(
                "net: needs embedding_l2 >= 0, 0 < lr_drop <= 1 and 0 <= other_share < 1, got "
                f"{self.embedding_l2}, {self.lr_drop}, {self.other_share}"
            )

    def fit(
        self,
        table: Table,
        features: FeatureSet | None = None,
        *,
        gate: Gate | None = None,
        start: Model | None = None,
        seed: int,
    ) -> Fit:
        """Train until validation AUC stops to rise, or search with a gate for exactly its epochs.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: Search with it: weights and gates are trained together on the training split.
            start: A net model of the narrowed table's Encoder; its weights are the starting point.
            seed: Of weights, row order and dropout.

        Raises:
            ConfigError: If the gate's site is not offered, `start` does not fit, or the net would not fit in memory.
            DataError: If a split lacks rows, labels or a class, or the loss stops being a number.
        """
        began = time.perf_counter()
        if features is not None:
            table = table.narrow(features)
        if gate is not None and gate.site not in self.backbone.sites:
            raise ConfigError(
                f"net: the backbone offers gates on {', '.join(self.backbone.sites)}, not on {gate.site!r}"
            )
        with _threads(self.threads), torch.random.fork_rng(devices=[]):
            run = _Run(self, table, gate=gate, start=start, seed=seed)
            return run.search(began) if gate is not None else run.train(began)

    def rows_per_step(self, rows: int) -> int:
        """Return the batch size for a number of training rows.

        Examples:
            >>> NetLearner().rows_per_step(200_000), NetLearner().rows_per_step(1_000), NetLearner(batch_size=7).rows_per_step(9)
            (4096, 32, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        return int(2 ** np.clip(math.floor(math.log2(max(rows / _BATCHES, 1))), 5, 12))


class _Run:
    """One fit: the net, its data and what happened so far."""

    def __init__(self, learner: NetLearner, table: Table, *, gate: Gate | None, start: Model | None, seed: int) -> None:
        self.learner, self.table, self.seed, self.gate = learner, table, seed, gate
        self.labels = len(table.schema.labels)
        span = table.span("train")
        self.n = span.stop - span.start
        if self.n < 1 or table.labels is None:
            raise DataError(f"net: the training split needs rows and labels, got {self.n} rows")
        self.batch_size = learner.rows_per_step(self.n)
        layout = Layout.of(table.encoder, history="history" in learner.backbone.lookups)
        self._check_memory(layout)
        torch.manual_seed(derive(seed, "net", "weights"))
        self.net = Net(learner.backbone, layout, width=learner.width, labels=self.labels)
        if start is None:
            untrained = layout.untrained(table.encoder, other_share=learner.other_share)
            self.net.embedding.zero_rows(torch.from_numpy(untrained))
            self.net.prior.copy_(torch.from_numpy(_log_odds(table)))
        else:
            self.net.set_weights(self._checked(start))
        self.valid = table.part("valid")
        self.matrix = table.matrix("train")
        self.weight_mean = 1.0 if table.weight is None else float(np.mean(table.weight[span]))
        if not self.weight_mean > 0:
            raise DataError(f"net: the training rows' weights must have a mean above 0, got {self.weight_mean}")
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
        self._centre()
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
        self.optimiser = Optimiser(
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
            matrix=self.matrix,
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
        self._settle()
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
        return facts

    def _settle(self) -> None:
        """Settle the batch norms on the same few training rows after every epoch; a batch of one row has no variance."""
        rows = min(self.n, _SETTLE_ROWS)
        if rows < 2:
            return
        picked = (
            np.sort(generator(self.seed, "net", "settle").permutation(self.n)[:rows]) + self.table.span("train").start
        )
        some = batches(self.table.take(picked), None, size=min(rows, _SETTLE_ROWS // 4))
        settle_norms(self.net, (to_inputs(b) for b in some if len(b.rows) > 1))

    def _centre(self) -> None:
        """Shift each label's intercept so that evaluation-mode predictions on training rows add up to the positives."""
        learner = self.learner
        picked = np.arange(self.n)
        if self.n > _CENTRE_ROWS:
            picked = np.sort(generator(self.seed, "net", "centre").permutation(self.n)[:_CENTRE_ROWS])
        some = self.table.take(picked + self.table.span("train").start)
        assert some.labels is not None
        predictor = NetPredictor(backbone=learner.backbone, width=learner.width, labels=self.labels, net=self.net)
        logits = predictor.logits(some)
        shifts = [intercept_shift(some.labels[:, t], logits[:, t], weight=some.weight) for t in range(self.labels)]
        self.net.prior.add_(torch.tensor(shifts, dtype=self.net.prior.dtype))

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

    def _check_memory(self, layout: Layout) -> None:
        import psutil

        rows = layout.total_codes * (self.learner.width + 1) * 4
        need = rows * 6 + self.n * len(layout.code_fields) * 4  # weights, gradient, two moments, best, copy; the matrix
        have = psutil.virtual_memory().available
        if need > have:
            raise ConfigError(
                f"net: {layout.total_codes} embedding rows of width {self.learner.width} need {need / 2**30:.1f} GiB to "
                f"train, {have / 2**30:.1f} GiB are free; raise min_count or lower width"
            )


def _log_odds(table: Table) -> np.ndarray:
    """Return the log-odds of the labels' weighted training means, float32 `[T]`; within [-15, 15] for one class."""
    span = table.span("train")
    assert table.labels is not None
    rate = np.average(
        table.labels[span].astype(np.float64), axis=0, weights=None if table.weight is None else table.weight[span]
    )
    rate = np.clip(rate, 3e-7, 1 - 3e-7)
    return np.asarray(np.log(rate) - np.log1p(-rate), dtype=np.float32)


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
