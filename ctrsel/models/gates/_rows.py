"""RowGate: the base of value gates whose work touches the batch's rows only; skipped steps are made up at the next touch.

A dense gate moves all V parameters in every step, most of them by its penalty alone. Here a value's parameter moves when a
batch has the value: first by all the steps that skipped it, then by its own. The parameters are buffers: there is no
gradient of V numbers. What moves a gate is recorded by occurrence (a code, and the derivative of the loss with respect to
its gate), joined over processes, and added up by code.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrsel.models.gates._contract import Exchange, SearchPlan, ValueGateModule

__all__ = ["AddUp", "DriftingRows", "RowGate", "Sums", "added_up"]

Sums = tuple[
    Tensor, Tensor, Tensor
]  # distinct codes int64 [k], and per code the sums of gradients and of their squares [k]
AddUp = Callable[[Tensor, Tensor, Tensor], Sums]  # of codes [n], gradients [n] and a place for notes, int32 [V], all -1

_PIECE = 1 << 20  # values brought up to date at once


def added_up(codes: Tensor, gradients: Tensor, place: Tensor) -> Sums:
    """Add gradients and their squares up by code; training puts a compiled form in place of this one.

    Examples:
        >>> added_up(torch.tensor([7, 3, 7]), torch.tensor([1.0, 2.0, 3.0]), torch.full((9,), -1, dtype=torch.int32))
        (tensor([3, 7]), tensor([2., 4.]), tensor([ 4., 10.]))
    """
    distinct, inverse = torch.unique(codes, return_inverse=True)
    sums = gradients.new_zeros(2, len(distinct))
    sums[0].index_add_(0, inverse, gradients)
    sums[1].index_add_(0, inverse, gradients.square())
    return distinct, sums[0], sums[1]


class RowGate(ValueGateModule):
    """A value gate g(w) with a number w a value, brought up to date where a batch needs it.

    A subclass says how w becomes a gate (`opened`), where steps without the value take it (`now`, `brought`, `finish`), and how
    a step with the value moves it (`moved`).

    Args:
        plan: Of the search.
        start: Where w starts, and stays for reserved codes.
        held: For how many steps gates are held at their start.
        held_out: Share of occurrences that rows do not learn from and that alone move gates; 0 = all are both.

    Attributes:
        w: float32 `[V]`: as it was after step `seen`.
        seen: int32 `[V]`.
        clock: Steps done.
        add_up: Adds occurrences up by code.
    """

    w: Tensor
    seen: Tensor
    clock: Tensor
    reserved: Tensor
    place: Tensor

    def __init__(self, plan: SearchPlan, *, start: float, held: int = 0, held_out: float = 0.0) -> None:
        super().__init__()
        self.start = start
        self.held_out = held_out
        self._rows: Tensor | None = None
        self.held = held
        self.add_up: AddUp = added_up
        self.register_buffer("reserved", torch.from_numpy(plan.reserved))
        self.register_buffer("w", torch.full((plan.total_codes,), start))
        self.register_buffer("seen", torch.full((plan.total_codes,), self.held, dtype=torch.int32))
        self.register_buffer("clock", torch.tensor(0))
        self.register_buffer("place", torch.full((plan.total_codes,), -1, dtype=torch.int32), persistent=False)
        self.seen[self.reserved] = torch.iinfo(torch.int32).max  # no step is ever due
        # Codes, gates and which occurrences rows learn from, of a training pass, until `update`.
        self._pass: list[tuple[Tensor, Tensor, Tensor | None]] = []

    @abstractmethod
    def opened(self, w: Tensor) -> Tensor:
        """Return the gates of parameters that are up to date."""

    @abstractmethod
    def now(self, codes: Tensor | None = None) -> Tensor:
        """Return the parameters of some values, or of all, as they are after the steps that are due; nothing moves."""

    @abstractmethod
    def brought(self, codes: Tensor, due: Tensor) -> Tensor:
        """Return the parameters of distinct values after so many steps that are due, int32 `[k]`, before they move by their own."""

    def bring(self, codes: Tensor) -> None:
        """Bring the values of a training pass up to date where they are, if `now` is dear."""

    @abstractmethod
    def moved(self, codes: Tensor, w: Tensor, sums: Tensor, squares: Tensor, *, skipped: Tensor, rows: int) -> Tensor:
        """Return the parameters of touched values after a step.

        Args:
            codes: int64 `[k]`, distinct.
            w: `[k]`, up to date before this step.
            sums: `[k]`: of the derivatives of the loss, a mean over rows, with respect to the gate.
            squares: `[k]`: sums of their squares.
            skipped: int32 `[k]`: the steps that were due.
            rows: Of the batch.
        """

    def is_open(self, w: Tensor) -> Tensor:
        """Say which gates a search that ended now would keep."""
        return w > 0

    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = False, other: Tensor | None = None) -> Tensor:
        """Scale rows; a training pass is recorded for `update`."""
        if hard:
            w = self.now(codes)
            return _scaled(x, self.is_open(w).to(x.dtype) * self.scale, other if other is None else other * self.scale)
        if not (self.training and torch.is_grad_enabled()):
            return _scaled(x, self.opened(self.now(codes)).to(x.dtype), other)
        gate, learns = next(((gate, learns) for known, gate, learns in self._pass if known is codes), (None, None))
        if gate is None:
            with torch.no_grad():
                self.bring(codes)
                gate = self.opened(self.now(codes)).to(x.dtype)
            gate.requires_grad_()
            learns = self._learns(codes)
            self._pass.append((codes, gate, learns))
        out: Tensor = _Scaled.apply(x, gate, other, learns)  # type: ignore[no-untyped-call]  # torch does not annotate it
        return out

    def begin(self, rows: np.ndarray) -> None:
        """Note the rows: which of their values are held out is decided by row and slot."""
        if self.held_out:
            self._rows = torch.from_numpy(rows).to(self.w.device)

    def _learns(self, codes: Tensor) -> Tensor | None:
        """Say from which occurrences rows learn, bool of the codes' shape; None = from all, and gates as well."""
        if self._rows is None:
            return None
        slots = torch.arange(codes.shape[-1], device=codes.device)
        if codes.dim() == 2 and len(codes) == len(self._rows):
            slots = self._rows[:, None] * 0x1F123BB5 + slots
        mixed = (slots + 1) * 0x2545F4914F6CDD1D
        mixed = (mixed ^ (mixed >> 29)) * 0x1B03738712FAD5C9
        return ((mixed >> 33) & 0xFFFF) >= round(self.held_out * 0x10000)

    def due(self, seen: Tensor) -> Tensor:
        """Return how many steps are due after those that were done or held."""
        return (int(self.clock) - seen).clamp_(min=0)

    @torch.no_grad()
    def update(self, exchange: Exchange) -> None:
        """Move the values of the recorded occurrences; the others are moved when they are next needed."""
        found = [
            (codes.reshape(-1), gate.grad.reshape(-1)) if learns is None else (codes[~learns], gate.grad[~learns])
            for codes, gate, learns in self._pass
            if gate.grad is not None
        ]
        self._pass = []
        codes = torch.cat([c for c, _ in found]) if found else self.seen.new_zeros(0, dtype=torch.int64)
        gradients = torch.cat([g for _, g in found]).to(self.w.dtype) if found else self.w.new_zeros(0)
        codes, gradients = exchange.occurrences(codes, gradients)
        if int(self.clock) >= self.held:
            touched, sums, squares = self.add_up(codes, gradients, self.place)
            free = self.seen[touched] <= self.clock  # not reserved
            touched, sums, squares = touched[free], sums[free], squares[free]
            skipped = self.due(self.seen[touched])
            w = self.brought(touched, skipped)
            self.w[touched] = self.moved(touched, w, sums, squares, skipped=skipped, rows=exchange.rows)
            self.seen[touched] = int(self.clock) + 1
        self.clock += 1

    def kept(self) -> Tensor:
        return self.is_open(self.now())

    def scores(self) -> Tensor:
        return self.now().clone()


class DriftingRows(RowGate):
    """A value gate whose steps without the value have a closed form."""

    @abstractmethod
    def drifted(self, w: Tensor, steps: Tensor) -> Tensor:
        """Return the parameters after so many steps without the value, int32 of the same shape."""

    def now(self, codes: Tensor | None = None) -> Tensor:
        if codes is None:
            w, seen = self.w, self.seen
        else:
            flat = codes.reshape(-1)
            w, seen = self.w.gather(0, flat).view(codes.shape), self.seen.gather(0, flat).view(codes.shape)
        return self.drifted(w, self.due(seen))

    def brought(self, codes: Tensor, due: Tensor) -> Tensor:
        return self.drifted(self.w[codes], due)

    @torch.no_grad()
    def finish(self) -> None:
        """Bring all values up to date."""
        for at in range(0, len(self.w), _PIECE):
            part = slice(at, at + _PIECE)
            due = self.due(self.seen[part])
            self.settle(part, due)
            self.w[part] = self.drifted(self.w[part], due)
            self.seen[part] += due

    def settle(self, part: slice, due: Tensor) -> None:
        """Bring a part of what a subclass keeps beside `w` up to date."""


def _scaled(x: Tensor, gate: Tensor, other: Tensor | None) -> Tensor:
    return x * gate[..., None] if other is None else torch.lerp(other.expand_as(x), x, gate[..., None])


class _Scaled(torch.autograd.Function):
    """other + gate * (x - other), with gradients of all three in as few passes as torch needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, other: Tensor | None, learns: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, gate, other, learns)
        return _scaled(x, gate, other)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        (grad,) = grads
        x, gate, other, learns = ctx.saved_tensors
        to_x = grad * (gate if learns is None else gate * learns)[..., None]
        to_gate = torch.linalg.vecdot(grad, x)
        if other is None:
            return to_x, to_gate, None, None
        to_gate -= torch.linalg.vecdot(grad, other.expand_as(x))
        to_other = grad * (1 - gate)[..., None]
        return to_x, to_gate, to_other.sum_to_size(other.shape), None
