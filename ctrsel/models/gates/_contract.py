"""Gate: a factor on looked-up rows that a search can close; `GateModule` is what it builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

__all__ = ["Gate", "GateModule", "SearchPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What a gate may know of the search: table rows V, rows never to close, training rows, steps, the net's rate."""

    total_codes: int
    reserved: np.ndarray
    train_rows: int
    steps: int
    learning_rate: float


class GateModule(nn.Module, ABC):
    """A built gate; its parameters have the role "gate" and an optimiser of their own, without decay or clipping.

    Attributes:
        learning_rate: Adam's rate for its parameters.
        strength: Factor of `penalty()` in the objective, in nats per training row.
        scale: What a hard, open gate multiplies by.
    """

    learning_rate: float
    strength: float
    scale: float

    @abstractmethod
    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = False) -> Tensor:
        """Scale looked-up rows `[..., D]` of codes `[...]`; changes no state."""

    @abstractmethod
    def advance(self, progress: float) -> None:
        """Move a temperature to `progress` in [0, 1] of the search: the only place where one moves."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """Return the price of the open gates, a scalar."""

    @abstractmethod
    def kept(self) -> Tensor:
        """Return bool `[V]`: which codes stay; reserved ones always do."""

    @abstractmethod
    def scores(self) -> Tensor:
        """Return `[V]`: how strongly each code is wanted."""

    def facts(self) -> Mapping[str, float]:
        """Return numbers for the history, such as the temperature."""
        return {}


class Gate(ABC):
    """A frozen dataclass of parameters; the search takes `epochs`, and its weights go back to epoch `rewind`."""

    site: ClassVar[str] = "value"
    epochs: int
    rewind: int

    @abstractmethod
    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search; ConfigError if no gate could close in it."""
