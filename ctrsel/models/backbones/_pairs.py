"""Sums and inner products over all pairs of slots, without a loop over pairs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["InnerProducts", "bi_interaction", "pair_sum", "pairs"]


def pairs(fields: int) -> int:
    """Return how many pairs F slots have."""
    return fields * (fields - 1) // 2


def pair_sum(e: Tensor) -> Tensor:
    """Return the sum of inner products over all pairs of slots, `[B, F, D]` -> `[B]` (Rendle, 2010, lemma 3.1)."""
    if not torch.is_grad_enabled():
        return _summed(e)[0]
    out: Tensor = _PairSum.apply(e)  # type: ignore[no-untyped-call]  # torch does not annotate it
    return out


def _summed(e: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum over pairs `[B]`, and that over slots `[B, D]`."""
    total = e.sum(1)
    own: Tensor = torch.linalg.vector_norm(e.flatten(1), dim=1).square()
    return ((total * total).sum(1) - own) * 0.5, total


class _PairSum(torch.autograd.Function):
    """In half of the passes over memory that autograd's own steps take: the gradient of e_f is the sum of the others."""

    @staticmethod
    def forward(ctx: Any, e: Tensor) -> Tensor:
        pairs, total = _summed(e)
        ctx.save_for_backward(e, total)
        return pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (g,), (e, total) = grads, ctx.saved_tensors
        of_all = (total * g[:, None])[:, None].expand_as(e)
        gradient: Tensor = torch.addcmul(of_all, e, g[:, None, None], value=-1)
        return gradient


def bi_interaction(e: Tensor) -> Tensor:
    """Return the sum of entry-wise products over all pairs of slots, `[B, F, D]` -> `[B, D]`."""
    total = e.sum(1)
    return (total * total - (e * e).sum(1)) * 0.5


class InnerProducts(nn.Module):
    """Inner products of all pairs of slots.

    Shape:
        `[B, F, D]` -> `[B, F (F - 1) / 2]`, pairs in the order (0, 1), (0, 2), ..., (F - 2, F - 1).

    Args:
        fields: F.
    """

    entries: Tensor

    def __init__(self, fields: int) -> None:
        super().__init__()
        i, j = torch.triu_indices(fields, fields, 1)
        self.register_buffer("entries", i * fields + j, persistent=False)

    def forward(self, e: Tensor) -> Tensor:
        """Multiply all slots with all, then take the upper triangle."""
        # Both halves of the products cost less than picking the slots of each pair: a quarter to a twentieth.
        return (e @ e.transpose(1, 2)).flatten(1).index_select(1, self.entries)
