"""Batch normalisation over rows that are divided among processes: the moments, and what comes back, are of all of them.

Reference: Ioffe and Szegedy, "Batch normalization", 2015, with the gradient of section 3; parts of a batch are put
together as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Across", "joint_moments", "joint_norm"]


class Across(Protocol):
    """The processes among which the rows of a batch are divided."""

    def gathered(self, part: Tensor) -> Tensor:
        """Return every process's part: `[K]` -> `[processes, K]`."""
        ...

    def summed(self, part: Tensor) -> Tensor:
        """Return the sum of every process's part."""
        ...


@torch.no_grad()
def joint_moments(x: Tensor, across: Across) -> tuple[int, Tensor, Tensor]:
    """Return rows, means and variances (over all rows) of the columns of all processes' parts.

    Shape:
        `[B, D]`, another B in each process, 0 too -> number, `[D]`, `[D]`.
    """
    width = x.shape[1]
    mean = x.sum(0) / max(len(x), 1)
    told = torch.cat([x.new_tensor([float(len(x))]), mean, (x - mean).square().sum(0)])
    parts = across.gathered(told)  # [P, 1 + 2 D]
    rows, means, squares = parts[:, :1], parts[:, 1 : 1 + width], parts[:, 1 + width :]
    n = rows.sum().clamp(min=1)
    mean = (rows * means).sum(0) / n
    var = (squares + rows * (means - mean).square()).sum(0) / n
    return int(rows.sum()), mean, var


class _JointNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, affine: Tensor, moments: Tensor, joint: tuple[int, Across]) -> Tensor:
        weight, bias = affine.unbind()
        mean, scale = moments.unbind()
        normal = (x - mean) * scale
        ctx.save_for_backward(normal, weight, scale)
        ctx.joint = joint
        return normal * weight + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        normal, weight, scale = ctx.saved_tensors
        (g,), (n, across) = grads, ctx.joint
        of_affine = torch.stack([(g * normal).sum(0), g.sum(0)])
        # The moments depend on every process's rows, so each row's gradient has a part of every process's.
        mean_gx, mean_g = across.summed(of_affine) / n
        of_x = (g - mean_g - normal * mean_gx) * (weight * scale)
        return of_x, of_affine, None, None


def joint_norm(
    x: Tensor, weight: Tensor, bias: Tensor, *, n: int, mean: Tensor, var: Tensor, eps: float, across: Across
) -> Tensor:
    """Normalise this process's rows by the moments of all, which gradients go through.

    Shape:
        `[B, D]` -> `[B, D]`.

    Args:
        x: This process's rows.
        weight: `[D]`; its gradient is this process's part.
        bias: `[D]`; the same.
        n: Rows of all processes.
        mean: `[D]`, of all.
        var: `[D]`, of all.
        eps: Added to the variance.
        across: The processes; every one must come here, and back, in the same order.
    """
    affine, moments = torch.stack([weight, bias]), torch.stack([mean, torch.rsqrt(var + eps)])
    out: Tensor = _JointNorm.apply(x, affine, moments, (n, across))  # type: ignore[no-untyped-call]  # torch does not annotate it
    return out
