"""Step: how one batch becomes an objective; the loop owns epochs, optimisers and schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from ctrsel.models.embedding import Inputs
from ctrsel.models.network import Net

__all__ = ["Step"]


class Step(ABC):
    """A frozen dataclass of parameters."""

    @abstractmethod
    def objective(self, net: Net, inputs: Inputs, labels: Tensor, weight: Tensor | None) -> Tensor:
        """Return a scalar to minimise, in nats per row.

        Shape:
            labels `[B, T]`, weight `[B]` with mean 1 over the training rows, or None.
        """
