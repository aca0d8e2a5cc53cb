"""NetLearner: trains a net by the protocol behind the published BARS figures, or searches with a gate.

Reference: Zhu et al., "BARS: towards open benchmarking for recommender systems", 2022: Adam, validation AUC after each
epoch, learning rate times 0.1 where it does not rise, stop after two such epochs in a row, best weights restored.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.ranges import choose, every, search
from ctrsel.core.seeds import derive
from ctrsel.data.open_rows import RowsIn
from ctrsel.data.table import Table
from ctrsel.models.backbones import CATALOG as BACKBONES
from ctrsel.models.backbones import Backbone
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates._contract import Gate
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.net_memory import net_bytes, rows_beside_a_net
from ctrsel.train.net_run import NetRun
from ctrsel.train.optimisers import CATALOG as OPTIMISERS
from ctrsel.train.optimisers import Optimiser
from ctrsel.train.optimisers.dense_adam import DenseAdam
from ctrsel.train.steps import CATALOG as STEPS
from ctrsel.train.steps import Step
from ctrsel.train.steps.bce import BCE

__all__ = ["NetLearner"]

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
        rows: Where the training rows are drawn from: "memory", "blocks" on disk, or "auto": memory if they fit there
            beside the net. Both shuffle; their orders differ.
        step: How a batch is used.
        optimiser: How gradients become steps.
    """

    backbone: Backbone = field(default_factory=DeepFM, metadata={"catalog": BACKBONES, **every()})
    width: int = field(default=16, metadata=choose(8, 16, 32))
    batch_size: int | None = field(default=None, metadata=choose(None, 512, 2048, 8192))
    learning_rate: float = field(default=1e-3, metadata=search(2e-4, 5e-3, log=True))
    embedding_l2: float = field(default=0.05, metadata=search(1e-5, 0.5, log=True))
    max_epochs: int = 30
    patience: int = 2
    lr_drop: float = 0.1
    clip: float = 10.0
    other_share: float = 0.002
    threads: int = 1
    rows: RowsIn = "auto"
    step: Step = field(default_factory=BCE, metadata={"catalog": STEPS})
    optimiser: Optimiser = field(default_factory=DenseAdam, metadata={"catalog": OPTIMISERS})

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

        if self.rows not in get_args(RowsIn):
            raise ConfigError(f"net.rows: must be one of {', '.join(get_args(RowsIn))}, got {self.rows!r}")

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
            start: A net model of the narrowed table's Encoder; its weights are the starting point.
            work: A folder from which a fit that was killed goes on; None keeps nothing.
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
        span = table.span("train")
        if span.stop - span.start < 1 or table.labels is None:
            raise DataError(f"net: the training split needs rows and labels, got {span.stop - span.start} rows")
        layout = Layout.of(table.encoder, history="history" in self.backbone.lookups)
        opened = rows_beside_a_net(table, layout, width=self.width, where=self.rows, seed=derive(seed, "net", "blocks"))
        with opened as rows, _threads(self.threads), torch.random.fork_rng(devices=[]):
            run = NetRun(self, table, rows, layout, gate=gate, start=start, seed=seed)
            return run.search(began) if gate is not None else run.train(began)

    def memory(self, table: Table) -> int:
        """Estimate the bytes of the tables, their gradient and moments."""
        layout = Layout.of(table.encoder, history="history" in self.backbone.lookups)
        return net_bytes(layout, width=self.width)

    def rows_per_step(self, rows: int) -> int:
        """Return the batch size for a number of training rows.

        Examples:
            >>> NetLearner().rows_per_step(200_000), NetLearner().rows_per_step(1_000), NetLearner(batch_size=7).rows_per_step(9)
            (4096, 32, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        return int(2 ** np.clip(math.floor(math.log2(max(rows / _BATCHES, 1))), 5, 12))


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
