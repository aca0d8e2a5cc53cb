"""Costs: what a unit of work of each stage takes, and the seconds that follow from it.

All constants are CPU seconds on one thread of a 2.1 GHz server core with AVX-512, rounded up, as printed by
`python benchmarks/stage_costs.py` on the demo's 299,285 rows; the assumptions say what a run cannot know before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ctrsel.models.cost import BackboneCost

__all__ = [
    "ASSUMED",
    "COSTS",
    "MEMORY",
    "Assumed",
    "Costs",
    "Memory",
    "NetShape",
    "speedup",
    "tree_rounds",
    "tree_seconds",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """CPU seconds per unit."""

    ingest_cell: float = 1.6e-7  # row x column, reading, vocabularies and codes
    text_cell: float = 1.5e-7  # row x column more, where a text format is parsed
    audit_cell: float = 8e-8  # row x field
    count_cell: float = 2e-8  # training row x field, counts and exact information
    tree_row_round: float = 4.5e-8  # training or validation row x round x log2(leaves), for tens of fields
    embedded: float = 1.25e-8  # training row x slot x width x epoch: lookups, first order, pairs, validation
    multiply_add: float = 1.3e-10  # training row x forward multiply-add x epoch, forward and backward
    table_step: float = 8e-9  # embedding weight x step: dense Adam, L2 and clipping touch the whole table
    gate_share: float = 0.05  # of a search, on top of training
    test_row: float = 8e-6  # x model: scoring, AUC, bootstrap
    tree_row: float = 1.3e-5  # the same for trees
    latency: float = 0.5  # x model: timing 1,000 raw rows
    tree_explained: float = 1.9e-7  # explained row x field x round
    states: float = 0.4  # share of the states of a permutation walk that differ from the one before
    report: float = 1.0
    register: float = 12.0
    start: float = 5.0  # importing the libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What early stopping decides: seen were 7, 4 and 15 epochs, 240, 430 and 2,000 rounds on the demo, Criteo and frappe."""

    epochs: int = 7  # of a net on all values
    retrain_epochs: int = 7  # of a net on selected values
    rounds: float = 25.0  # of trees, divided by their learning rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes, measured in the same way."""

    base: int = 350 << 20  # the libraries
    raw: float = 4.0  # x the raw frame: read, joined, sorted into splits, encoded
    weights: int = 6  # copies of a net's weights: values, gradient, two moments, best, narrowed
    activations: int = 6  # copies of a batch's activations
    tree_bin: int = 3  # x training cell: the columns as LightGBM takes them, and its bins


COSTS, ASSUMED, MEMORY = Costs(), Assumed(), Memory()


def speedup(threads: int) -> float:
    """Return how much faster some threads are than one, on a machine that they share.

    Examples:
        >>> speedup(1), round(speedup(2), 2)
        (1.0, 1.52)
    """
    import psutil

    return float(min(max(threads, 1), psutil.cpu_count() or 1) ** 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetShape:
    """What a net's training costs.

    Attributes:
        slots: F.
        width: D.
        rows: Of the embedding table.
        backbone: Its cost per row.
        batch: Rows a step.
        threads: Of the training.
    """

    slots: int
    width: int
    rows: int
    backbone: BackboneCost
    batch: int
    threads: int

    @property
    def embedding_bytes(self) -> int:
        """Bytes of the tables, first order included, float32."""
        return self.rows * (self.width + 1) * 4

    @property
    def optimiser_bytes(self) -> int:
        """Bytes of the gradient, the two moments and the copies of all weights."""
        return (MEMORY.weights - 1) * (self.embedding_bytes + self.backbone.parameters * 4)

    @property
    def memory(self) -> int:
        """Bytes that training needs beside the table: weights, optimiser state, one batch."""
        batch = self.batch * (self.slots * (self.width + 1) + 4 * int(self.backbone.multiply_adds**0.5)) * 4
        return self.embedding_bytes + self.backbone.parameters * 4 + self.optimiser_bytes + batch * MEMORY.activations

    def epoch(self, train_rows: int, *, kept: float = 1.0) -> float:
        """Seconds of one training epoch, with a share of the embedding rows."""
        row = COSTS.embedded * self.slots * self.width + COSTS.multiply_add * self.backbone.multiply_adds
        steps = -(-train_rows // self.batch)
        table = COSTS.table_step * self.rows * kept * (self.width + 1) * steps
        return (row * train_rows + table) / speedup(self.threads)

    def state(self) -> float:
        """Seconds to score one row: forward only, one thread."""
        return (COSTS.embedded * self.slots * self.width + COSTS.multiply_add * self.backbone.multiply_adds) / 3


def tree_rounds(learner: Any) -> float:
    """Return how many rounds trees are assumed to take."""
    return min(float(learner.rounds), ASSUMED.rounds / float(learner.learning_rate))


def tree_seconds(learner: Any, rows: int) -> float:
    """Return the seconds to grow trees.

    Args:
        learner: With `rounds`, `learning_rate`, `leaves` and `threads`.
        rows: Training and validation rows.
    """
    each = COSTS.tree_row_round * rows * math.log2(learner.leaves)
    return each * tree_rounds(learner) / speedup(learner.threads)
