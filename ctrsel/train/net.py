"""NetLearner: trains a net by the protocol behind the published BARS figures, or searches with a gate.

Reference: Zhu et al., "BARS: towards open benchmarking for recommender systems", 2022: Adam, validation AUC after each
epoch, learning rate times 0.1 where it does not rise, stop after two such epochs in a row, best weights restored.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from ctrsel.core.artifact import digest_json
from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import logger
from ctrsel.core.ranges import choose, every, search
from ctrsel.core.seeds import derive
from ctrsel.data.open_rows import RowsIn
from ctrsel.data.table import Table
from ctrsel.models.backbones import CATALOG as BACKBONES
from ctrsel.models.backbones import Backbone
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.cost import backbone_cost
from ctrsel.models.gates._contract import Gate
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.own_noise import own_noise
from ctrsel.records.feature_set import FeatureSet
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.checkpoint import Checkpoint
from ctrsel.train.hardware import DeviceName, Precision, torch_threads
from ctrsel.train.net_memory import net_bytes, rows_beside_a_net
from ctrsel.train.net_run import NetRun
from ctrsel.train.net_search import NetSearch
from ctrsel.train.optimisers import CATALOG as OPTIMISERS
from ctrsel.train.optimisers import Optimiser
from ctrsel.train.optimisers.dense_adam import DenseAdam
from ctrsel.train.parallel import Processes
from ctrsel.train.steps import CATALOG as STEPS
from ctrsel.train.steps import Step
from ctrsel.train.steps.bce import BCE
from ctrsel.train.together import everywhere

__all__ = ["NetLearner"]

_LARGE = 1_000_000  # embedding rows, from which on a step over all of them takes longer than the rest of a step
_BATCHES = 48  # an epoch has at least about so many steps, unless batches are at their smallest


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLearner(Learner):
    """Parameters of training.

    Attributes:
        backbone: The network behind the embedding.
        width: D, numbers per embedding row.
        init_std: Standard deviation of the numbers that the tables begin with; nets of products alone, such as `fm`, hardly
            leave the published 1e-4, since the gradient of a product of two small numbers is small.
        batch_size: Rows a step; None = the power of two from 32 to 4096 that gives an epoch at least 48 steps.
        learning_rate: Adam's, at the start.
        embedding_l2: r of (r / 2) * ||E||^2 over the whole tables, nats per row; published settings range from 1e-5
            (tens of millions of rows) to 0.1; the default suits tables of 10,000 to a million rows. A row that n merged values
            share counts n times.
        max_epochs: At most so many; 1 is one pass, at one learning rate, as over new days from a `start`.
        patience: Stop after so many epochs in a row without a higher validation AUC.
        lr_drop: Factor of the learning rate after an epoch without a higher validation AUC.
        clip: Largest gradient norm.
        other_share: Share of the value occurrences that train row `OTHER` in fields where no training row has it, so that
            a value that is new when serving meets a trained row; 0 leaves that row zero.
        threads: Of torch, while this learner runs; "auto" measures at the start what the machine has to give, and then
            the last digits of a result depend on it.
        device: "cpu", "cuda", or "auto": a GPU where torch finds one.
        precision: Of the products of a training step: "float32", "bfloat16", or "auto": bfloat16 where the device has
            instructions for it. Weights, losses and all scoring stay float32.
        checkpoint_minutes: How often a fit with a `work` folder saves where it stands.
        rows: Where the training rows are drawn from: "memory", "blocks" on disk, or "auto": memory if they fit there
            beside the net. Both shuffle; their orders differ.
        step: How a batch is used.
        optimiser: How gradients become steps.
        keep_optimiser: Whether the model keeps the optimiser's state, two more numbers a weight or so, and a fit goes on from
            that of its start, if it has one; the optimiser must be of the same kind then.
    """

    backbone: Backbone = field(default_factory=DeepFM, metadata={"catalog": BACKBONES, **every()})
    width: int = field(default=16, metadata=choose(8, 16, 32))
    init_std: float = 1e-4
    batch_size: int | None = field(default=None, metadata=choose(None, 512, 2048, 8192))
    learning_rate: float = field(default=1e-3, metadata=search(2e-4, 5e-3, log=True))
    embedding_l2: float = field(default=0.05, metadata=search(1e-5, 0.5, log=True))
    max_epochs: int = 30
    patience: int = 2
    lr_drop: float = 0.1
    clip: float = 10.0
    other_share: float = 0.002
    threads: int | Literal["auto"] = 1
    device: DeviceName = "auto"
    precision: Precision = "float32"
    checkpoint_minutes: float = 10.0
    rows: RowsIn = "auto"
    step: Step = field(default_factory=BCE, metadata={"catalog": STEPS})
    optimiser: Optimiser = field(default_factory=DenseAdam, metadata={"catalog": OPTIMISERS})
    keep_optimiser: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "batch_size", "max_epochs", "patience", "threads"):
            if getattr(self, name) not in (None, "auto") and getattr(self, name) < 1:
                raise ConfigError(f"net.{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip", "init_std"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"net.{name}: must be above 0, got {getattr(self, name)}")
        if self.embedding_l2 < 0 or not 0 < self.lr_drop <= 1 or not 0 <= self.other_share < 1:
            raise ConfigError(
                "net: needs embedding_l2 >= 0, 0 < lr_drop <= 1 and 0 <= other_share < 1, got "
                f"{self.embedding_l2}, {self.lr_drop}, {self.other_share}"
            )

        if self.checkpoint_minutes < 0:
            raise ConfigError(f"net.checkpoint_minutes: must be at least 0, got {self.checkpoint_minutes}")
        for name, known in (("rows", RowsIn), ("device", DeviceName), ("precision", Precision)):
            if getattr(self, name) not in get_args(known):
                raise ConfigError(
                    f"net.{name}: must be one of {', '.join(get_args(known))}, got {getattr(self, name)!r}"
                )

    @property
    def starts_from(self) -> tuple[str, ...]:
        """Nets; those of another Encoder are brought to the table's (see `ctrsel.models.transfer`)."""
        return ("net",)

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
        """Train until validation AUC stops to rise, or search with a gate for exactly its epochs.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: Search with it: weights and gates are trained together on the training split.
            start: A net model whose weights are the starting point; of another Encoder by value text (see
                `ctrsel.models.transfer`).
            work: A folder from which a fit that was killed goes on; None keeps nothing.
            seed: Of weights, row order and dropout.

        Raises:
            ConfigError: If the gate's site is not offered, `start` does not fit, or the net would not fit in memory.
            DataError: If a split lacks rows, labels or a class, or the loss stops being a number.
        """
        given = {"features": features, "gate": gate, "start": start, "work": work, "seed": seed}
        return everywhere(NetLearner._fit, self, table, **given)

    def _fit(
        self,
        table: Table,
        *,
        features: FeatureSet | None,
        gate: Gate | None,
        start: Model | None,
        work: Path | None,
        seed: int,
        processes: Processes,
    ) -> Fit:
        """Do one process's part of a fit, which is all of it where there is one."""
        began = time.perf_counter()
        if features is not None:
            table = table.narrow(features)
        if gate is not None and gate.site not in self.backbone.sites:
            raise ConfigError(
                f"net: the backbone offers gates on {', '.join(self.backbone.sites)}, not on {gate.site!r}"
            )
        histories = Layout.of(table.encoder, history="history" in self.backbone.lookups).histories
        if gate is not None and gate.site == "field" and histories:
            raise ConfigError(
                f"net: a gate on fields needs every field in a slot, but the backbone is given {histories[0][0]!r} as it is; "
                "search with one that averages lists, such as deepfm"
            )
        span = table.span("train")
        if span.stop - span.start < 1 or table.labels is None:
            raise DataError(f"net: the training split needs rows and labels, got {span.stop - span.start} rows")
        checkpoint = None
        if work is not None and processes.rank == 0:
            checkpoint = self._checkpoint(work, table, gate=gate, start=start, seed=seed)
        saved = processes.agreed(None if checkpoint is None else checkpoint.load())
        # Rows in memory and in blocks are drawn in different orders: a fit that goes on must go on with its own.
        where: RowsIn = self.rows if saved is None else saved.facts["rows"]
        layout = Layout.of(table.encoder, history="history" in self.backbone.lookups)
        if layout.total_codes > _LARGE and not self.optimiser.sparse and processes.rank == 0:
            logger().warning(
                f"{describe(self.optimiser)['use']} moves all {layout.total_codes:,} embedding rows in every step; the "
                "optimisers lazy_adam and lazy_adagrad move those of the batch, in a fraction of the time and memory"
            )
        opened = rows_beside_a_net(
            table,
            layout,
            width=self.backbone.row_width(self.width, labels=len(table.schema.labels)),
            optimiser=self.optimiser,
            where=where,
            processes=processes,
            seed=derive(seed, "net", "blocks"),
        )
        with opened as rows, torch_threads(self.threads, sharers=processes.sharers), own_noise():
            given = (self, table, rows, layout)
            more: dict[str, Any] = {"start": start, "checkpoint": checkpoint, "processes": processes, "seed": seed}
            if gate is not None:
                return NetSearch(*given, gate=gate, **more).search(began, saved)
            return NetRun(*given, **more).train(began, saved)

    def _checkpoint(self, work: Path, table: Table, *, gate: Gate | None, start: Model | None, seed: int) -> Checkpoint:
        """Return where a fit of just these arguments keeps its state."""
        arguments = [
            describe(self),
            table.digest,
            None if gate is None else describe(gate),
            None if start is None else start.digest,
            seed,
            torch.__version__,
        ]
        return Checkpoint(folder=work / "net", key=digest_json(arguments), minutes=self.checkpoint_minutes)

    def memory(self, table: Table) -> int:
        """Estimate the bytes of the tables, their gradient and moments."""
        layout = Layout.of(table.encoder, history="history" in self.backbone.lookups)
        width = self.backbone.row_width(self.width, labels=len(table.schema.labels))
        return net_bytes(layout, width=width, optimiser=self.optimiser)

    def multiply_adds(self, table: Table) -> int:
        """Return what one row costs the net, forward, its embedding left out."""
        layout = Layout.of(table.encoder, history="history" in self.backbone.lookups)
        labels = len(table.schema.labels)
        width = self.backbone.row_width(self.width, labels=labels)
        return backbone_cost(self.backbone, layout.shape(width=width, labels=labels)).multiply_adds

    def rows_per_step(self, rows: int) -> int:
        """Return the batch size for a number of training rows.

        Examples:
            >>> NetLearner().rows_per_step(200_000), NetLearner().rows_per_step(1_000), NetLearner(batch_size=7).rows_per_step(9)
            (4096, 32, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        return int(2 ** np.clip(math.floor(math.log2(max(rows / _BATCHES, 1))), 5, 12))
