"""AutoInt+: self-attention between the fields' embeddings, and a perceptron on the raw embeddings, logits added.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019,
equations 5-9 and section 5.5; the form is FuxiCTR's, whose published figures it can be compared with: no bias and no
ReLU in the projections, the residual is the identity where the widths agree, layer normalisation before the ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import Dropout, linear, mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["AutoIntPlus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoIntPlus(Backbone):
    """Parameters of AutoInt+.

    Attributes:
        layers: How many attention layers.
        attention_width: Their output width, over all heads together.
        heads: How many heads.
        residual: Whether a layer's input is added to its output.
        layer_norm: Whether a layer's sum is layer-normalised, before the ReLU.
        scale: Whether scores are divided by the square root of a head's width.
        attention_dropout: Share of the attention weights dropped in training.
        hidden: Units of the perceptron's hidden layers; none = AutoInt without the "+".
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    layers: int = field(default=3, metadata=search(1, 4))
    attention_width: int = field(default=128, metadata=choose(32, 64, 128))
    heads: int = field(default=4, metadata=choose(1, 2, 4))
    residual: bool = True
    layer_norm: bool = True
    scale: bool = True
    attention_dropout: float = 0.0
    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.1, metadata=search(0.0, 0.5))

    # A slot that is zero still takes a share of the softmax: removing it changes the other slots' mixture.
    exact_drop: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.layers < 1 or self.heads < 1 or self.attention_width % self.heads:
            raise ConfigError(
                "autoint_plus: needs at least one layer and an attention_width that the heads divide, "
                f"got {self.layers} layers, width {self.attention_width}, {self.heads} heads"
            )

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _AutoIntPlus(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The last attention layer and the perceptron read the slots side by side."""
        deep = {"mlp.0.weight": shape.width} if self.hidden else {}
        return {"out.weight": self.attention_width, **deep}


class _Attention(nn.Module):
    def __init__(self, params: AutoIntPlus, inputs: int) -> None:
        super().__init__()
        width = params.attention_width
        self.heads = params.heads
        self.query = linear(inputs, width, bias=False)
        self.key = linear(inputs, width, bias=False)
        self.value = linear(inputs, width, bias=False)
        self.res = linear(inputs, width, bias=False) if params.residual and inputs != width else None
        self.residual = params.residual
        self.norm = nn.LayerNorm(width) if params.layer_norm else None
        self.drop = Dropout(params.attention_dropout)
        self.factor = 1 / math.sqrt(width // params.heads) if params.scale else 1.0

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights, `[B, F, D]` -> `[B, H, F, F]`; each row sums to 1."""
        q, k = self._split(self.query(x)), self._split(self.key(x))
        return torch.softmax(q @ k.transpose(-1, -2) * self.factor, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.drop(self.weights(x)) @ self._split(self.value(x))  # [B, H, F, A / H]
        out = mixed.transpose(1, 2).flatten(2)  # [B, F, A]
        if self.residual:
            out = out + (x if self.res is None else self.res(x))
        if self.norm is not None:
            out = self.norm(out)
        return torch.relu(out)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, x.shape[2] // self.heads).transpose(
            1, 2
        )  # [B, F, A] -> [B, H, F, A / H]


class _AutoIntPlus(nn.Module):
    def __init__(self, params: AutoIntPlus, shape: InputShape) -> None:
        super().__init__()
        width = params.attention_width
        inputs = [shape.width, *[width] * (params.layers - 1)]
        self.attention = nn.Sequential(*(_Attention(params, n) for n in inputs))
        self.out = linear(len(shape.fields) * width, shape.labels)
        self.mlp = (
            mlp(
                len(shape.fields) * shape.width,
                params.hidden,
                shape.labels,
                batch_norm=params.batch_norm,
                dropout=params.dropout,
            )
            if params.hidden
            else None
        )

    def forward(self, x: Embedded) -> Output:
        logits = self.out(self.attention(x.main).flatten(1))
        if self.mlp is not None:
            logits = logits + self.mlp(x.main.flatten(1))
        return Output(logits=logits)
