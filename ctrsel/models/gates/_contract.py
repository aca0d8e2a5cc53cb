"""Gate: a factor on looked-up rows, or on fields, that a search can close; `GateModule` is what it builds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.models.embedded import Embedded

__all__ = [
    "Alone",
    "Exchange",
    "FieldGateModule",
    "Gate",
    "GateModule",
    "SearchPlan",
    "Site",
    "ValueGateModule",
    "scaled",
]

Site = Literal["value", "field"]

_ENOUGH = 2_000_000  # rows that a search goes through in all where its usual epochs would be more
_FEWEST = 3  # epochs: a gate is held for a share of them, moves, and is decided


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What a gate may know of the search.

    Attributes:
        total_codes: V, rows of the table.
        reserved: Rows never to close, int64.
        fields: Names of the F slots, those of fields that stay floats last.
        floats: How many of the slots stay floats.
        width: D, numbers of an embedding row.
        train_rows: Rows of an epoch.
        steps: Of the whole search, if nothing ends it early.
        learning_rate: The net's.
        seed: Of what a gate draws while it is trained.
    """

    total_codes: int
    reserved: np.ndarray
    fields: tuple[str, ...] = ()
    floats: int = 0
    width: int = 1
    train_rows: int
    steps: int
    learning_rate: float
    seed: int = 0


class Exchange(Protocol):
    """The processes that train together, as far as a gate has to know them.

    Attributes:
        rows: Of the last step's whole batch: a gradient times it is one of a row's own loss, in nats.
    """

    rows: int

    def occurrences(self, codes: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Put what all processes have behind each other, as gradients of the mean over the rows of the whole batch.

        Shape:
            codes int64 `[n]`, gradients `[n]`.
        """


@dataclass(slots=True)
class Alone:
    """One process, which has all there is."""

    rows: int = 1

    def occurrences(self, codes: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is given."""
        return codes, gradients


class GateModule(nn.Module, ABC):
    """A built gate. It moves itself: no optimiser of the net's touches it.

    A step is `advance`, `begin`, the net's forward pass through the gate, the backward pass of the objective, to which `price` is
    added, the move of the net's weights, and `update`. All that it remembers between steps is in its parameters and
    buffers, so that a search goes on from a checkpoint. A parameter's `grad` is that of the whole batch, over all processes.

    Attributes:
        every: A gate that learns from validation rows has a batch of them after every so many steps, and is updated only
            then; 0 = it learns from the training batches.
    """

    every: int = 0

    @abstractmethod
    def advance(self, progress: float) -> None:
        """Move a temperature to `progress` in [0, 1] of the search: the only place where one moves."""

    def begin(self, rows: np.ndarray) -> None:
        """Get to know which rows of the table the next training pass is about, int64 `[B]`."""

    def price(self) -> Tensor | None:
        """Return what is added to the objective, nats per row; None = nothing, or the price is part of `update`."""
        return None

    @abstractmethod
    def update(self, exchange: Exchange) -> None:
        """Move by the gradients of the last backward pass, and forget them."""

    def finish(self) -> None:
        """Do what is due, such as steps that were put off: called before `kept`, `scores` and a snapshot are asked for."""

    @abstractmethod
    def kept(self) -> Tensor:
        """Return bool `[V]` or `[F]`: what stays; reserved codes always do."""

    @abstractmethod
    def scores(self) -> Tensor:
        """Return `[V]` or `[F]`: how strongly each is wanted."""

    def facts(self) -> Mapping[str, float]:
        """Return numbers for the history, such as the temperature."""
        return {}


class ValueGateModule(GateModule):
    """A gate on values.

    Attributes:
        scale: What a hard, open gate multiplies by.
        toward_other: Whether a closing gate moves a row towards row `OTHER` of its vocabulary, which is what a dropped value
            gets, instead of towards zero.
    """

    scale: float
    toward_other: bool = False

    @abstractmethod
    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = False, other: Tensor | None = None) -> Tensor:
        """Scale looked-up rows `[..., D]` of codes `[...]`; changes nothing but what `update` needs of a training pass.

        Args:
            x: The rows.
            codes: Whose they are; the same tensor for each table that they are looked up in, the rows of width D first.
            hard: Whether gates are open or closed.
            other: Rows `OTHER` of the vocabularies, such that they can be broadcast to `x`; only with `toward_other`; None
                = zeros.
        """

    def see(self, tables: Sequence[Tensor]) -> None:
        """Get to know the tables that it scales, as they are trained, the rows of width D first; before the first step."""


class FieldGateModule(GateModule):
    """A gate on fields.

    Attributes:
        observes: Whether its scores are read off rows: `observe` is given every validation row once, when the search is over.
    """

    observes: bool = False

    @abstractmethod
    def forward(self, embedded: Embedded) -> Embedded:
        """Scale the fields of a batch; see `scaled`."""

    def observe(self, embedded: Embedded) -> None:
        """Take note of some rows for `scores`."""

    def errors(self) -> Tensor | None:
        """Return `[F]`: the standard errors of `scores`, where they are means over rows."""
        return None


class Gate(ABC):
    """A frozen dataclass of parameters; the search takes `epochs_on` its rows, and its weights go back to epoch `rewind`.

    Attributes:
        site: Where it sits.
        usual_epochs: T where `epochs` is None and rows are few.
        decides: Whether what is not in `kept` is not wanted; False for a gate that only puts fields in order.
        ordered: Whether the scores of a gate on values say which of two open ones is wanted more.
    """

    site: ClassVar[Site] = "value"
    decides: ClassVar[bool] = True
    ordered: ClassVar[bool] = False
    usual_epochs: ClassVar[int] = 3
    epochs: int | None
    rewind: int
    patience: int = 0  # epochs in a row with hardly a change in what is kept, after which a search ends; 0 = never

    @abstractmethod
    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search; ConfigError if no gate could close in it."""

    def epochs_on(self, rows: int) -> int:
        """Return T, the epochs of a search on a table of so many training rows.

        That is `epochs`, if given. If not, it is as many as take the search through two million rows, from 3 to `usual_epochs`:
        a gate moves by steps, of which an epoch of a large table has as many as several epochs of a small one, while a net
        is trained for about as many epochs on either, so that more of them would only make the search dear.

        Example:
            >>> from ctrsel.models.gates.lpfs import LPFS
            >>> [LPFS().epochs_on(rows) for rows in (100_000, 500_000, 1_000_000)], LPFS(epochs=5).epochs_on(1_000_000)
            ([6, 4, 3], 5)
        """
        if self.epochs is not None:
            return self.epochs
        return max(min(self.usual_epochs, math.ceil(_ENOUGH / max(rows, 1))), _FEWEST)

    def check_search(self, name: str) -> None:
        """Refuse epochs, a rewind point and a patience with which nothing can be searched.

        Raises:
            ConfigError: If so.
        """
        most = _FEWEST if self.epochs is None else self.epochs
        if most < 1 or not 0 <= self.rewind < most:
            given = f"epochs {self.epochs}" if self.epochs is not None else f"no epochs ({_FEWEST} at least)"
            raise ConfigError(
                f"{name}: needs epochs >= 1 and 0 <= rewind < epochs, got {given} and rewind {self.rewind}"
            )
        if self.patience < 0:
            raise ConfigError(f"{name}.patience: must be at least 0, got {self.patience}")

    def reaching(self, number: int) -> Gate:
        """Return the gate for a search of which at most so many fields will be asked for."""
        return self


def scaled(embedded: Embedded, weights: Tensor) -> Embedded:
    """Multiply every slot by a weight: its row, its first order and, where it stays a float, its number.

    Args:
        embedded: A batch.
        weights: `[F]`, or `[B, F]` for weights of each row.
    """
    w = weights if weights.dim() == 2 else weights[None]
    floats = embedded.floats.shape[1]
    return replace(
        embedded,
        main=embedded.main * w[..., None],
        first_order=None if embedded.first_order is None else embedded.first_order * w[..., None],
        floats=embedded.floats * w[:, w.shape[1] - floats :] if floats else embedded.floats,
    )
