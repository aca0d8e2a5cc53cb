"""Optimiser: the rule by which gradients become steps, and Updates: the rule at work on one net."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrsel.models.network import Net

__all__ = ["Optimiser", "Updates"]


class Optimiser(ABC):
    """A frozen dataclass of parameters.

    Attributes:
        sparse: Whether the gradients of tables with a row per code hold the batch's rows only.
    """

    sparse: ClassVar[bool] = False

    @abstractmethod
    def build(
        self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float, shared: Tensor | None = None
    ) -> Updates:
        """Begin on a net: its parameters' role decides what is done with them; a gate moves itself.

        Args:
            net: The net, on the device where it stays.
            learning_rate: Of embedding and network parameters.
            embedding_l2: r of (r / 2) * ||E||^2 over the tables, nats per row.
            clip: Largest norm of the gradient of embedding and network parameters together.
            shared: How many values share each row of the tables, float32 `[V]`; None = one each.
        """

    @abstractmethod
    def table_bytes(self, codes: int, width: int) -> int:
        """Return the bytes that gradients and moments of the tables take beside the weights."""


class Updates(ABC):
    """An optimiser at work."""

    learning_rate: float  # the present one, of embedding and network parameters

    def lower(self, factor: float, *, floor: float) -> None:
        """Multiply the rate of embedding and network parameters."""
        self.learning_rate = max(self.learning_rate * factor, floor)

    @abstractmethod
    def step(self, objective: Tensor) -> None:
        """Differentiate, add the L2 of the tables, clip and step."""

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """Return all that a later `restore` needs to go on exactly; the tensors are its own."""

    def owners(self) -> Mapping[str, nn.Parameter]:
        """Return whose moments the tensors of `state` are, for those that are one parameter's or have a row per code.

        A key is that of `state`; a number and a dot before it are the parameter's place. What is left out here does not
        go on with a net on another Encoder.
        """
        return {}

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Copy in what `state` of the same optimiser on a net of the same form returned."""
