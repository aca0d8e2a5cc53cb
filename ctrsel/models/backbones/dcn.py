"""DCN: a cross network and a perceptron on the fields' embeddings, read out together.

Reference: Wang et al., "Deep & cross network for ad click predictions", 2017, equations 3-6; the form (a bias per cross
layer, batch normalisation in the perceptron alone) is FuxiCTR's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["DCN"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DCN(Backbone):
    """Parameters of x_{l+1} = x_0 (w_l . x_l) + b_l + x_l and y = v . [x_L, deep(x_0)] + c, x_0 = [e_1 .. e_F].

    A slot that is zero in every row still holds the cross layers' biases, so it cannot be removed exactly.

    Attributes:
        cross_layers: L.
        hidden: Units of the perceptron's hidden layers; none = the cross network alone.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    cross_layers: int = field(default=3, metadata=search(1, 6))
    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.2, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        if self.cross_layers < 1:
            raise ConfigError(f"dcn.cross_layers: must be at least 1, got {self.cross_layers}")

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _DCN(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The cross network, its readout and the first layer read the slots side by side."""
        names = ("cross_weight", "cross_bias", "readout", *(("mlp.0.weight",) if self.hidden else ()))
        return dict.fromkeys(names, shape.width)


class _DCN(nn.Module):
    def __init__(self, params: DCN, shape: InputShape) -> None:
        super().__init__()
        inputs, layers, labels = len(shape.fields) * shape.width, params.cross_layers, shape.labels
        self.cross_weight = nn.Parameter(torch.empty(layers, inputs).normal_(std=math.sqrt(2 / (inputs + 1))))
        self.cross_bias = nn.Parameter(torch.zeros(layers, inputs))
        # One linear layer reads both parts; it stands in two pieces, drawn as one.
        std = math.sqrt(2 / (inputs + sum(params.hidden[-1:]) + labels))
        self.readout = nn.Parameter(torch.empty(labels, inputs).normal_(std=std))
        if params.hidden:
            self.mlp: nn.Sequential | None = mlp(
                inputs, params.hidden, labels, batch_norm=params.batch_norm, dropout=params.dropout
            )
            last = self.mlp[-1]
            assert isinstance(last, nn.Linear)
            nn.init.normal_(last.weight, std=std)
        else:
            self.mlp = None
            self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, x: Embedded) -> Output:
        x0 = x.main.flatten(1)
        logits = self._cross(x0)
        return Output(logits=logits + (self.bias if self.mlp is None else self.mlp(x0)))

    def _cross(self, x0: Tensor) -> Tensor:
        """Return what the readout sees of x_L: `[B, F * D]` -> `[B, T]`.

        Every x_l is a multiple of x_0 plus a constant, x_l = a_l x_0 + c_l with a_{l+1} = a_l (1 + w_l . x_0) + w_l . c_l
        and c_{l+1} = c_l + b_l: one matrix product and a number per row and layer stand for vectors.
        """
        layers = len(self.cross_weight)
        seen = x0 @ torch.cat([self.cross_weight, self.readout]).t()  # [B, L + T]
        constants = torch.cat([torch.zeros_like(self.cross_bias[:1]), self.cross_bias.cumsum(0)])  # [L + 1, F * D]
        shifts = (self.cross_weight * constants[:-1]).sum(1)  # [L]
        factor = torch.ones_like(seen[:, 0])
        for layer in range(layers):
            factor = torch.addcmul(factor + shifts[layer], factor, seen[:, layer])
        return factor[:, None] * seen[:, layers:] + self.readout @ constants[-1]
