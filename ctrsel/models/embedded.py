"""Embedded: what a backbone receives; it never sees codes or gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Embedded", "InputShape", "Output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShape:
    """What a backbone is built for.

    Attributes:
        fields: Names of the F slots of `Embedded.main`, in order.
        histories: Per padded history the slot whose vocabulary it shares (the target item), None without one.
        floats: Names of the M fields of `Embedded.floats`; they have a slot as well.
        width: D.
        labels: T.
    """

    fields: tuple[str, ...]
    width: int
    histories: Mapping[str, int | None] = field(default_factory=dict)
    floats: tuple[str, ...] = ()
    labels: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The looked-up rows of one batch.

    Shape:
        B rows, F slots, D width, L longest history of the batch, M fields that stay floats.

    Attributes:
        main: `[B, F, D]`; a list field is the mean of its values, a float is its value times a learned vector.
        first_order: `[B, F, 1]`, the same from the table of width 1; None unless the backbone asks for it.
        history: Per history `[B, L, D]`, zero where padded; empty unless the backbone asks for it.
        history_mask: Per history bool `[B, L]`, False where padded.
        floats: `[B, M]`, standardised, 0 where missing.
        prior: `[T]`, what the net adds to the logits, for losses that need the whole log-odds; None = zeros.
    """

    main: Tensor
    first_order: Tensor | None
    floats: Tensor
    history: Mapping[str, Tensor] = field(default_factory=dict)
    history_mask: Mapping[str, Tensor] = field(default_factory=dict)
    prior: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a backbone returns: logits `[B, T]`, and auxiliary losses of each row by name, `[B, T]` nats."""

    logits: Tensor
    losses: Mapping[str, Tensor] = field(default_factory=dict)
