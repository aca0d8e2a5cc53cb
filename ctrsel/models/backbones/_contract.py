"""Backbone: a network without its embedding table; the component is its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ctrsel.models.embedded import InputShape
from ctrsel.models.slots import Columns

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Backbone"]


class Backbone(ABC):
    """A frozen dataclass of parameters.

    Attributes:
        lookups: What it reads of "main", "first_order" and "history".
        sites: Where a gate may sit: "value" is a factor on the looked-up rows of a value, "field" one on a slot.
        exact_drop: Whether a slot that is zero in every row can be removed without changing any logit.
    """

    lookups: ClassVar[tuple[str, ...]] = ("main",)
    sites: ClassVar[tuple[str, ...]] = ("value", "field")
    exact_drop: ClassVar[bool] = False

    @abstractmethod
    def build(self, shape: InputShape) -> nn.Module:
        """Return a module whose `forward(Embedded)` is an `Output`; it is initialised by `torch`'s current seed."""

    def slot_columns(self, shape: InputShape) -> Mapping[str, Columns] | None:
        """Return, per parameter whose input columns (last axis) belong to slots, what stands there; None = unknown.

        A number n is short for F blocks of n columns in slot order; see `ctrsel.models.slots` for pairs and mixtures.
        """
        return None

    def slot_rows(self, shape: InputShape) -> Mapping[str, Columns]:
        """Return the same for the first axis, of weights whose outputs belong to slots and of biases."""
        return {}

    def row_width(self, width: int, *, labels: int) -> int:
        """Return how many numbers a row of the embedding table has where `width` was asked for."""
        return width
