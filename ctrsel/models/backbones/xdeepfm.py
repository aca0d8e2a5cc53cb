"""xDeepFM: first-order weights, a compressed interaction network and a perceptron, logits added.

Reference: Lian et al., "xDeepFM: combining explicit and implicit feature interactions for recommender systems", 2018
(the compressed interaction network); the form (a bias per feature map, no activation between them) is FuxiCTR's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear, mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["XDeepFM"]

_CHUNK = 2_000_000  # bytes of products made at once: they stay in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class XDeepFM(Backbone):
    """Parameters of y = sum_f w_f + CIN(E) + MLP([e_1 .. e_F]).

    Layer k of the CIN has H_k maps of width D, x^k_h = sum_ij W^k_hij (x^{k-1}_i * e_j) + b^k_h, products by element; the
    sums over D of all layers' maps are read by one linear layer.

    Attributes:
        maps: H_1, H_2, ...
        hidden: Units of the perceptron's hidden layers; none = first order and CIN alone.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    maps: tuple[int, ...] = field(default=(64,), metadata=choose((32,), (64,), (64, 64), (32, 32, 32)))
    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.2, metadata=search(0.0, 0.5))

    lookups: ClassVar[tuple[str, ...]] = ("main", "first_order")
    exact_drop: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.maps or min(self.maps) < 1:
            raise ConfigError(f"xdeepfm.maps: needs a layer, with at least one map each, got {self.maps}")

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _XDeepFM(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The maps before the first are the slots; the first hidden layer reads the slots side by side."""
        deep = {"mlp.0.weight": shape.width} if self.hidden else {}
        return {"cin.weights.0": 1, **deep}

    def slot_rows(self, shape: InputShape) -> Mapping[str, int]:
        """Every layer multiplies by the slots."""
        return {f"cin.weights.{k}": 1 for k in range(len(self.maps))}


class _XDeepFM(nn.Module):
    def __init__(self, params: XDeepFM, shape: InputShape) -> None:
        super().__init__()
        fields, labels = len(shape.fields), shape.labels
        self.cin = _CIN(fields, params.maps, labels)
        self.mlp: nn.Sequential | None = None
        if params.hidden:
            inputs = fields * shape.width
            self.mlp = mlp(inputs, params.hidden, labels, batch_norm=params.batch_norm, dropout=params.dropout)

    def forward(self, x: Embedded) -> Output:
        assert x.first_order is not None
        logits = self.cin(x.main) + x.first_order.sum(1)  # [B, T] + [B, 1]
        return Output(logits=logits if self.mlp is None else logits + self.mlp(x.main.flatten(1)))


class _CIN(nn.Module):
    """`[B, F, D]` -> `[B, T]`; weights of layer k are `[F, H_k, H_{k-1}]`, H_0 = F."""

    def __init__(self, fields: int, maps: tuple[int, ...], labels: int) -> None:
        super().__init__()
        before = (fields, *maps[:-1])
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(fields, new, old).normal_(std=math.sqrt(2 / (fields * old + new))))
            for old, new in zip(before, maps, strict=True)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(new)) for new in maps)
        self.out = linear(sum(maps), labels)

    def forward(self, main: Tensor) -> Tensor:
        rows, fields, width = main.shape
        pooled = []
        e = main.transpose(1, 2).reshape(rows * width, fields)  # [B * D, F]
        x = e
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = compressed(x, e, weight) + bias  # [B * D, H]
            pooled.append(x.view(rows, width, len(bias)).sum(1))
        # Of the last maps only the sums over D are needed: those of all products are inner products.
        last = self.weights[-1].permute(1, 0, 2).flatten(1)  # [H, F * H_before]
        inner = main @ x.view(rows, width, x.shape[1])  # [B, F, H_before]
        pooled.append(inner.flatten(1) @ last.t() + self.biases[-1] * width)
        out: Tensor = self.out(torch.cat(pooled, 1))
        return out


def compressed(x: Tensor, e: Tensor, weight: Tensor) -> Tensor:
    """Return sum_ij w_jhi x_i e_j per row: `[R, I]`, `[R, J]` and `[J, H, I]` -> `[R, H]`."""
    out: Tensor = _Compress.apply(x, e, weight.permute(1, 0, 2).flatten(1))  # type: ignore[no-untyped-call]  # torch does not annotate it
    return out


class _Compress(torch.autograd.Function):
    """The products of a part of the rows at a time, made again for the gradient: `[R, J * I]` is never whole."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, e: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, e, weight)
        out = x.new_empty(len(x), len(weight))
        for part in _parts(x, weight):
            torch.mm(_products(x[part], e[part]), weight.t(), out=out[part])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, e, weight = ctx.saved_tensors
        gx, ge, gw = torch.empty_like(x), torch.empty_like(e), torch.zeros_like(weight)
        for part in _parts(x, weight):
            g, a, b = grads[0][part], x[part], e[part]
            gw.addmm_(g.t(), _products(a, b))
            of_products = (g @ weight).view(len(a), b.shape[1], a.shape[1])  # [R, J, I]
            torch.bmm(b[:, None], of_products, out=gx[part][:, None])
            torch.bmm(of_products, a[:, :, None], out=ge[part][:, :, None])
        return gx, ge, gw


def _products(x: Tensor, e: Tensor) -> Tensor:
    return (e[:, :, None] * x[:, None]).flatten(1)


def _parts(x: Tensor, weight: Tensor) -> list[slice]:
    step = max(1, _CHUNK // (4 * max(weight.shape[1], 1)))
    return [slice(i, min(i + step, len(x))) for i in range(0, len(x), step)]
