"""What gates share whose weights are each row's own: they read their scores off rows when the search is over."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, FieldGateModule, SearchPlan, scaled

__all__ = ["RowWeights"]


class RowWeights(FieldGateModule):
    """A network from a row's embeddings to a weight per field; its score is the mean weight over the observed rows.

    Args:
        plan: Of the search.
        every: See `GateModule`.
        warmup: Share of the search in which all weights are 1 while the net trains.
    """

    observes = True
    started: Tensor
    rows: Tensor
    total: Tensor
    squares: Tensor

    def __init__(self, plan: SearchPlan, *, every: int, warmup: float) -> None:
        super().__init__()
        self.every, self.warmup = every, warmup
        fields = len(plan.fields)
        self.register_buffer("started", torch.tensor(not warmup))
        self.register_buffer("rows", torch.zeros((), dtype=torch.float64))
        self.register_buffer("total", torch.zeros(fields, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(fields, dtype=torch.float64))

    def learn_by(self, plan: SearchPlan, *, rate: float | None) -> None:
        """Begin to learn with all parameters there are."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        self.adam = Adam(parameters, rate=plan.learning_rate if rate is None else rate)

    @abstractmethod
    def weights(self, main: Tensor) -> Tensor:
        """Return the weights `[B, F]` of rows `[B, F, D]`."""

    def forward(self, embedded: Embedded) -> Embedded:
        return scaled(embedded, self.weights(embedded.main)) if self.started else embedded

    @torch.no_grad()
    def advance(self, progress: float) -> None:
        self.started.fill_(progress >= self.warmup)

    def update(self, exchange: Exchange) -> None:
        """Move the network; before it is used it has no gradient."""
        self.adam.step()

    @torch.no_grad()
    def observe(self, embedded: Embedded) -> None:
        """Add up the weights of some rows."""
        w = self.weights(embedded.main).double()
        self.rows += len(w)
        self.total += w.sum(0)
        self.squares += w.square().sum(0)

    def kept(self) -> Tensor:
        """A row's weights close no field for all rows."""
        return torch.ones_like(self.total, dtype=torch.bool)

    def scores(self) -> Tensor:
        """The mean weight over the observed rows, float64."""
        return self.total / self.rows.clamp(min=1)

    def errors(self) -> Tensor:
        """The standard error of the mean weight, as if rows were independent."""
        n = self.rows.clamp(min=2)
        variance = (self.squares / n - (self.total / n).square()).clamp(min=0) * n / (n - 1)
        return (variance / n).sqrt()
