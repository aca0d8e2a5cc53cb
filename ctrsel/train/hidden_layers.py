"""Hidden layers in one piece while training: linear, batch normalisation, ReLU and dropout, with few passes over the activations.

Reference: Ioffe and Szegedy, "Batch normalization", 2015, with the gradient of section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrsel.train import _hidden_loops as loops

__all__ = ["hidden", "in_one_piece"]


def in_one_piece(x: Tensor) -> bool:
    """Whether a training batch can go through `hidden`: float32 in memory, not traced, at least two rows."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 2
        and len(x) > 1
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def hidden(x: Tensor, layer: nn.Linear, norm: nn.BatchNorm1d | None, dropout: float) -> Tensor | None:
    """Return dropout(ReLU(norm(layer(x)))) of a training batch; a norm's running moments follow as torch's do.

    Under a norm the layer's bias is part of the running mean only, since the norm takes it out: its gradient is exactly 0.
    The backward pass can be taken once.

    Shape:
        `[B, K]` -> `[B, D]`.

    Args:
        x: The batch.
        layer: From K to D.
        norm: Of width D, with weight and bias; None for none.
        dropout: Share of the numbers that are dropped, below 1.

    Returns:
        The numbers, or None where `in_one_piece` does not allow this batch.
    """
    if not in_one_piece(x):
        return None
    bias = layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
    columns = bias[None] if norm is None else torch.stack([bias, norm.weight, norm.bias])
    out: Tensor = _Hidden.apply(x, layer.weight, columns, (norm, dropout))  # type: ignore[no-untyped-call]  # torch does not annotate it
    return out


class _Hidden(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, columns: Tensor, how: tuple[nn.BatchNorm1d | None, float]
    ) -> Tensor:
        norm, dropout = how
        y = torch.mm(x, weight.t())
        affine = columns.numpy().astype(np.float64)
        if norm is None:
            mean, spread = np.zeros(y.shape[1]), np.ones(y.shape[1])
            factor, offset = spread, affine[0]
        else:
            mean, var = _moments(y.numpy())
            _follow(norm, len(y), mean + affine[0], var)
            spread = np.sqrt(var + norm.eps)
            factor = affine[1] / spread
            offset = affine[2] - mean * factor
        threshold = round(dropout * 2**32)
        keep = 1 - threshold / 2**32
        out = torch.empty_like(y)
        both = np.stack([factor / keep, offset / keep]).astype(np.float32)
        if threshold:
            lanes = torch.randint(1, 2**32, (y.shape[1],)).numpy().astype(np.uint32)
            loops.activate_dropped(y.numpy(), both, lanes, threshold, out.numpy())
        else:
            loops.activate(y.numpy(), both, out.numpy())
        ctx.save_for_backward(x, weight, y, out)
        ctx.facts = (norm is not None, mean, spread, factor, keep)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y, out = ctx.saved_tensors
        normed, mean, spread, factor, keep = ctx.facts
        g = grads[0].contiguous().numpy()
        found = np.empty((2, y.shape[1]))
        loops.backward_sums(g, out.numpy(), y.numpy(), mean.astype(np.float32), found)
        sums, products = found[0] / keep, found[1] / keep / spread
        if normed:
            of_columns = np.stack([np.zeros_like(sums), products, sums])
            slope = -factor * products / spread / len(y)
            constant = -factor * sums / len(y) - slope * mean
        else:
            of_columns = sums[None]
            slope = constant = np.zeros_like(sums)
        of_y = torch.empty_like(y)
        three = np.stack([factor / keep, constant, slope]).astype(np.float32)
        loops.backward(g, out.numpy(), y.numpy(), three, of_y.numpy())
        of_x = torch.mm(of_y, weight) if ctx.needs_input_grad[0] else None
        return of_x, torch.mm(of_y.t(), x), _float(of_columns), None


def _moments(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances of the columns, float64 `[D]`."""
    sums = np.empty((2, y.shape[1]))
    loops.moments(y, sums)
    total, squares = sums / len(y)
    return y[0] + total, np.maximum(squares - total * total, 0.0)


def _follow(norm: nn.BatchNorm1d, rows: int, mean: np.ndarray, var: np.ndarray) -> None:
    """Move the running moments towards a batch's."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(_float(mean), share)
    norm.running_var.lerp_(_float(var * (rows / (rows - 1))), share)


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
