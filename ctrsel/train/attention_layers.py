"""Interacting layers in one piece while training: loops over rows between the matrix products.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019,
equations 5-8, whose gradients are written out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrsel.models.backbones._attention import Attention, AttentionLayers
from ctrsel.models.backbones._mlp import drop_factors
from ctrsel.train._attention_loops import mixtures, mixtures_back, scores, scores_back

__all__ = ["interacted"]

_PART = 1024  # rows worked on at once


def interacted(layers: AttentionLayers, out: nn.Linear, x: Tensor) -> Tensor | None:
    """Return what a linear layer reads from the slots after all layers: `[B, F, D]` -> `[B, T]`.

    On one thread and in single precision the layers are loops over rows, which take a fraction of the time and memory of
    torch's batched products of such small matrices; the results differ by rounding. Elsewhere it returns None.
    """
    loops = x.device.type == "cpu" and x.dtype == torch.float32 and torch.get_num_threads() == 1
    if not loops or torch.is_autocast_enabled("cpu"):
        return None
    own = tuple(layer for layer in layers if isinstance(layer, Attention))
    none = x.new_empty(0)
    weights: list[Tensor] = []
    for layer in own:
        weights += [_joined(layer), *((none, none) if layer.norm is None else (layer.norm.weight, layer.norm.bias))]
    logits: Tensor = _Interact.apply(x.contiguous(), own, out.weight, out.bias, *weights)  # type: ignore[no-untyped-call]  # torch does not annotate it
    return logits


def _joined(layer: Attention) -> Tensor:
    """The projections one below the other, `[3 A or 4 A, D]`, with the scores' factor in the queries'."""
    parts = [layer.query.weight * layer.factor, layer.key.weight, layer.value.weight]
    return torch.cat(parts if layer.res is None else [*parts, layer.res.weight])


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the gradient of a layer needs of a part of the rows."""

    x: Tensor
    projected: Tensor  # [B, F, 3 or 4, H, A / H]
    weights: Tensor  # [B, H, F, F]
    factors: Tensor | None  # of dropout
    used: Tensor  # weights times factors
    normal: Tensor
    scale: Tensor
    out: Tensor


class _Interact(torch.autograd.Function):
    """All layers and the linear readout, a part of the rows at a time, forwards and backwards.

    A layer is one product of all projections and loops over the rows (see `_attention_loops`). Parts keep the arrays small
    enough for the allocator to hand the same memory out again, which costs a fraction of memory new from the system.
    """

    @staticmethod
    def forward(
        ctx: Any, main: Tensor, layers: tuple[Attention, ...], readout: Tensor, bias: Tensor, *weights: Tensor
    ) -> Tensor:
        ctx.save_for_backward(main, readout, *weights)
        ctx.layers, ctx.kept = layers, []
        logits = main.new_empty(len(main), len(readout))
        for rows in _parts(main):
            x, kept = main[rows], []
            for i, layer in enumerate(layers):
                done = _forth(x, layer, *weights[3 * i : 3 * i + 3])
                x = done.out
                kept.append(done)
            torch.addmm(bias, x.flatten(1), readout.t(), out=logits[rows])
            ctx.kept.append(kept if any(ctx.needs_input_grad) else [])
        return logits

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        main, readout, *weights = ctx.saved_tensors
        g, layers = grads[0], ctx.layers
        of_main, of_readout = torch.empty_like(main), torch.zeros_like(readout)
        sums = [torch.zeros_like(w, dtype=torch.float64 if w.dim() == 1 else w.dtype) for w in weights]
        for rows, kept in zip(_parts(main), ctx.kept, strict=True):
            of_readout.addmm_(g[rows].t(), kept[-1].out.flatten(1))
            down = (g[rows] @ readout).view(kept[-1].out.shape)
            for i in reversed(range(len(layers))):
                down = _back(down, kept.pop(), layers[i], weights[3 * i : 3 * i + 2], sums[3 * i : 3 * i + 3])
            of_main[rows] = down
        return of_main, None, of_readout, g.sum(0), *(s.to(w.dtype) for s, w in zip(sums, weights, strict=True))


def _parts(main: Tensor) -> list[slice]:
    return [slice(i, min(i + _PART, len(main))) for i in range(0, len(main), _PART)]


def _forth(x: Tensor, layer: Attention, joined: Tensor, gain: Tensor, bias: Tensor) -> _Kept:
    rows, fields, _ = x.shape
    width = layer.query.weight.shape[0]
    shape = (rows, fields, len(joined) // width, layer.heads, width // layer.heads)
    projected = (x.flatten(0, 1) @ joined.t()).view(shape)
    weights = x.new_empty(rows, layer.heads, fields, fields)
    scores(_array(projected), _array(weights))
    weights = torch.softmax(weights, dim=-1)
    factors = drop_factors(weights, round(layer.drop.p * 65536)) if layer.training and layer.drop.p else None
    used = weights if factors is None else weights * factors
    out = x.new_empty(rows, fields, width)
    normal, scale = torch.empty_like(out) if len(gain) else out[:0], x.new_empty(rows, fields)
    residual = x if layer.residual and layer.res is None else x[:0]
    norm = (_array(gain), _array(bias), 0.0 if layer.norm is None else layer.norm.eps)
    mixtures(_array(projected), _array(used), _array(residual), norm, _array(normal), _array(scale), _array(out))
    return _Kept(x, projected, weights, factors, used, normal, scale, out)


def _back(down: Tensor, kept: _Kept, layer: Attention, weights: Sequence[Tensor], sums: Sequence[Tensor]) -> Tensor:
    """Add to the sums of the weights' gradients; the gradient of `out` (overwritten) -> the gradient of `x`."""
    joined, gain = weights
    of_projected, of_weights = torch.empty_like(kept.projected), torch.empty_like(kept.weights)
    p, of_p = _array(kept.projected), _array(of_projected)
    forth = (_array(kept.out), _array(kept.normal), _array(kept.scale), _array(gain))
    of_norm = (_array(sums[1]), _array(sums[2]))
    mixtures_back(p, _array(kept.used), forth, _array(down), of_norm, of_p, _array(of_weights))
    if kept.factors is not None:
        of_weights *= kept.factors
    of_scores = torch.ops.aten._softmax_backward_data(of_weights, kept.weights, -1, down.dtype)
    scores_back(p, _array(of_scores), of_p)
    flat = of_projected.flatten(0, 1).flatten(1)
    sums[0].addmm_(flat.t(), kept.x.flatten(0, 1))
    identity = layer.residual and layer.res is None
    up = down.flatten(0, 1).addmm_(flat, joined) if identity else flat @ joined
    return up.view(kept.x.shape)


def _array(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.detach().numpy()
    return found
