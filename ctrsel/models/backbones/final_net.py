"""FinalNet: blocks of factorised interaction layers, which multiply two linear maps of their input.

Reference: Zhu et al., "FINAL: factorized interaction layer for CTR prediction", 2023 (layer, field
gates, and two blocks that learn from their mean); the form (batch normalisation before the ReLU) is FuxiCTR's.
"""

# DEVIATION(FinalNet): the targets of self-distillation are probabilities with the fixed intercept of the labels' log-odds,
# which this package adds to every net's logits.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import BatchNorm, Dropout, linear
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["FinalNet"]

Merge = Literal["concat", "sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalNet(Backbone):
    """Parameters of y = (y_1 + y_2) / 2, each y_k linear in the last layer of a block of interaction layers.

    A layer makes g and h, linear in its input, and hands on [g, g * h], or g + g * h. Training adds the cross-entropy of
    each block against the mean's probability, which is taken as given.

    Attributes:
        hidden1: Outputs of the first block's layers.
        hidden2: Outputs of the second block's layers; none = the first block alone, without distillation.
        dropout1: Share of the first block's outputs dropped in training.
        dropout2: Share of the second block's.
        merge: What a layer hands on: "concat" or "sum".
        batch_norm: Whether each layer is batch-normalised.
        relu: Whether each layer ends with a ReLU.
        field_gates: Whether the first block also reads every row times a gate, linear in the other fields' numbers at the
            same place.
    """

    hidden1: tuple[int, ...] = field(default=(400, 400), metadata=choose((400, 400), (400,), (200, 200)))
    hidden2: tuple[int, ...] = field(default=(400,), metadata=choose((400,), (400, 400), ()))
    dropout1: float = field(default=0.1, metadata=search(0.0, 0.5))
    dropout2: float = field(default=0.1, metadata=search(0.0, 0.5))
    merge: Merge = "concat"
    batch_norm: bool = True
    relu: bool = True
    field_gates: bool = field(default=True, metadata=choose(False, True))

    exact_drop: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.merge not in get_args(Merge):
            raise ConfigError(f"final_net.merge: must be one of {', '.join(get_args(Merge))}, got {self.merge!r}")
        sizes = (*self.hidden1, *self.hidden2)
        if not self.hidden1 or min(sizes) < 1 or (self.merge == "concat" and any(n % 2 for n in sizes)):
            raise ConfigError(
                "final_net: needs a layer in hidden1, and even numbers of outputs where both halves stand side by side, "
                f"got {self.hidden1} and {self.hidden2}"
            )

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _FinalNet(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """Both first layers read the slots side by side; beside a slot stands the gated one."""
        gate = {"gate.weight": 1} if self.field_gates else {}
        second = {"block2.0.linear.weight": shape.width} if self.hidden2 else {}
        return {"block1.0.linear.weight": shape.width * (2 if self.field_gates else 1), **second, **gate}

    def slot_rows(self, shape: InputShape) -> Mapping[str, int]:
        """A gate per slot."""
        return {"gate.weight": 1, "gate.bias": 1} if self.field_gates else {}


class _FinalNet(nn.Module):
    def __init__(self, params: FinalNet, shape: InputShape) -> None:
        super().__init__()
        fields, width, labels = len(shape.fields), shape.width, shape.labels
        self.gate: nn.Linear | None = None
        if params.field_gates:
            self.gate = nn.Linear(fields, fields)
            nn.init.zeros_(self.gate.weight)
            nn.init.ones_(self.gate.bias)
        inputs = fields * width
        self.block1 = _block(params, inputs * (2 if params.field_gates else 1), params.hidden1, params.dropout1)
        self.out1 = linear(params.hidden1[-1], labels)
        self.block2: nn.Sequential | None = None
        if params.hidden2:
            self.block2 = _block(params, inputs, params.hidden2, params.dropout2)
            self.out2 = linear(params.hidden2[-1], labels)

    def forward(self, x: Embedded) -> Output:
        e = x.main  # [B, F, D]
        first = e if self.gate is None else torch.cat([e, e * self._gates(e, self.gate)], 2)
        one = self.out1(self.block1(first.flatten(1)))
        if self.block2 is None:
            return Output(logits=one)
        two = self.out2(self.block2(e.flatten(1)))
        logits = (one + two) * 0.5
        if not self.training:
            return Output(logits=logits)
        shift = 0.0 if x.prior is None else x.prior
        target = torch.sigmoid(logits.detach() + shift)
        losses = {
            f"block{k}": functional.binary_cross_entropy_with_logits(y + shift, target, reduction="none")
            for k, y in ((1, one), (2, two))
        }
        return Output(logits=logits, losses=losses)

    @staticmethod
    def _gates(e: Tensor, gate: nn.Linear) -> Tensor:
        """Mix over slots: `[B, F, D]` -> `[B, F, D]`."""
        return gate.weight @ e + gate.bias[:, None]


def _block(params: FinalNet, inputs: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for outputs in hidden:
        layers.append(_Interaction(inputs, outputs, params.merge))
        if params.batch_norm:
            layers.append(BatchNorm(outputs))
        if params.relu:
            layers.append(nn.ReLU())
        if dropout:
            layers.append(Dropout(dropout))
        inputs = outputs
    return nn.Sequential(*layers)


class _Interaction(nn.Module):
    def __init__(self, inputs: int, outputs: int, merge: Merge) -> None:
        super().__init__()
        self.concat = merge == "concat"
        self.linear = linear(inputs, outputs if self.concat else 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        g, h = self.linear(x).chunk(2, dim=1)
        return torch.cat([g, g * h], 1) if self.concat else torch.addcmul(g, g, h)
