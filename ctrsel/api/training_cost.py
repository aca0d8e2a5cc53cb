"""TrainingCost: what training one learner takes, its parts one after the other; trees, nets, and mixes of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctrsel.api.costs import ASSUMED, COSTS, NetShape, tree_rounds, tree_seconds
from ctrsel.train import Learner

__all__ = ["TrainingCost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """The trainings that one fit consists of.

    Attributes:
        nets: Shape of each net, and at most how many epochs it is trained.
        trees: The learners of trees.
        unknown: How many trainings are of neither kind; they count as nothing.
    """

    nets: tuple[tuple[NetShape, int], ...]
    trees: tuple[Any, ...]
    unknown: int = 0

    @staticmethod
    def of(learner: Learner, shape: Callable[[Learner], NetShape | None]) -> TrainingCost:
        """Take a learner apart.

        Args:
            learner: The learner.
            shape: Returns a net's costs, None for what is no net.
        """
        nets: list[tuple[NetShape, int]] = []
        trees: list[Any] = []
        unknown = 0
        for part in learner.parts():
            found = shape(part)
            if found is not None:
                nets.append((found, int(getattr(part, "max_epochs", ASSUMED.epochs))))
            elif hasattr(part, "rounds"):
                trees.append(part)
            else:
                unknown += 1
        return TrainingCost(nets=tuple(nets), trees=tuple(trees), unknown=unknown)

    def seconds(self, *, train: int, valid: int, epochs: int = ASSUMED.epochs, kept: float = 1.0) -> float:
        """Seconds of one fit.

        Args:
            train: Training rows.
            valid: Validation rows.
            epochs: That nets are assumed to take.
            kept: Share of the embedding rows.
        """
        nets = sum(net.epoch(train, kept=kept) * min(epochs, most) for net, most in self.nets)
        return nets + sum(tree_seconds(learner, train + valid) for learner in self.trees)

    def memory(self, *, matrix: int, bins: int) -> int:
        """Bytes that the largest of the trainings takes beside the table: of nets with all rows as a matrix."""
        return max([net.memory + matrix for net, _ in self.nets] + [bins] * bool(self.trees) + [0])

    @property
    def test_row(self) -> float:
        """Seconds to score one test row and its share of the metrics."""
        parts = COSTS.test_row * len(self.nets) + COSTS.tree_row * len(self.trees)
        return parts or COSTS.test_row

    @property
    def state(self) -> float:
        """Seconds to score one row with all nets, forward only."""
        return sum(net.state() for net, _ in self.nets)

    @property
    def rounds(self) -> float:
        """Of all trees together."""
        return sum(tree_rounds(learner) for learner in self.trees)

    @property
    def embedding_rows(self) -> int:
        """Of all nets."""
        return sum(net.rows for net, _ in self.nets)

    @property
    def embedding_bytes(self) -> int:
        """Of all nets."""
        return sum(net.embedding_bytes for net, _ in self.nets)

    @property
    def network_bytes(self) -> int:
        """Of all nets, the embeddings left out."""
        return sum(net.backbone.parameters * 4 for net, _ in self.nets)

    @property
    def optimiser_bytes(self) -> int:
        """Of the largest net: one is trained at a time."""
        return max((net.optimiser_bytes for net, _ in self.nets), default=0)

    @property
    def multiply_adds(self) -> int:
        """Of all nets' matrix products for one row, forward."""
        return sum(net.backbone.multiply_adds for net, _ in self.nets)
