"""Interacting layers: multi-head self-attention between slots.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019,
equations 5-8; the form is FuxiCTR's: no bias and no ReLU in the projections, the residual is the identity where the widths
agree, layer normalisation before the ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones._mlp import Dropout, linear

__all__ = ["Attention", "AttentionForm", "AttentionLayers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionForm:
    """Parameters of interacting layers.

    Attributes:
        layers: How many.
        width: Their output width, over all heads together.
        heads: How many heads.
        residual: Whether a layer's input is added to its output.
        layer_norm: Whether a layer's sum is layer-normalised, before the ReLU.
        scale: Whether scores are divided by the square root of a head's width.
        dropout: Share of the attention weights dropped in training.
    """

    layers: int
    width: int
    heads: int
    residual: bool
    layer_norm: bool
    scale: bool
    dropout: float

    def check(self, name: str) -> None:
        """Raise a ConfigError that names the backbone if such layers cannot be built."""
        if self.layers < 1 or self.heads < 1 or self.width % self.heads:
            raise ConfigError(
                f"{name}: needs at least one layer and an attention_width that the heads divide, "
                f"got {self.layers} layers, width {self.width}, {self.heads} heads"
            )

    def build(self, inputs: int) -> AttentionLayers:
        """Return the layers for slots of width `inputs`."""
        return AttentionLayers(*(Attention(self, n) for n in [inputs, *[self.width] * (self.layers - 1)]))


class Attention(nn.Module):
    """One interacting layer, `[B, F, inputs]` -> `[B, F, A]`."""

    def __init__(self, form: AttentionForm, inputs: int) -> None:
        super().__init__()
        self.heads = form.heads
        self.query = linear(inputs, form.width, bias=False)
        self.key = linear(inputs, form.width, bias=False)
        self.value = linear(inputs, form.width, bias=False)
        self.res = linear(inputs, form.width, bias=False) if form.residual and inputs != form.width else None
        self.residual = form.residual
        self.norm = nn.LayerNorm(form.width) if form.layer_norm else None
        self.drop = Dropout(form.dropout)
        self.factor = 1 / math.sqrt(form.width // form.heads) if form.scale else 1.0

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights, `[B, F, D]` -> `[B, H, F, F]`; each row sums to 1."""
        q, k = self._split(self.query(x)), self._split(self.key(x))
        return torch.softmax(q @ k.transpose(-1, -2) * self.factor, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the slots."""
        mixed = self.drop(self.weights(x)) @ self._split(self.value(x))  # [B, H, F, A / H]
        out = mixed.transpose(1, 2).flatten(2)  # [B, F, A]
        if self.residual:
            out = out + (x if self.res is None else self.res(x))
        if self.norm is not None:
            out = self.norm(out)
        return torch.relu(out)

    def _split(self, x: Tensor) -> Tensor:
        # [B, F, A] -> [B, H, F, A / H]
        return x.view(*x.shape[:2], self.heads, x.shape[2] // self.heads).transpose(1, 2)


class AttentionLayers(nn.Sequential):
    """Interacting layers one after another.

    Attributes:
        piece: A way to take all layers and what reads them in one piece while training, which may return None where it
            cannot; None = one after another. A trainer that has one sets it, so that what is served knows nothing of it.
    """

    piece: Callable[[AttentionLayers, nn.Linear, Tensor], Tensor | None] | None = None

    def read(self, out: nn.Linear, x: Tensor) -> Tensor:
        """Return what a linear layer reads from the slots after all layers: `[B, F, D]` -> `[B, T]`."""
        done = self.piece(self, out, x) if self.training and self.piece is not None else None
        if done is not None:
            return done
        logits: Tensor = out(self(x).flatten(1))
        return logits
