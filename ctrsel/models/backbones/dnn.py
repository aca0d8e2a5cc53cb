"""DNN: a perceptron on the fields' embeddings side by side.

Reference: Covington, Adams and Sargin, "Deep neural networks for YouTube recommendations", 2016 (embeddings side by side,
then ReLU layers); the form (batch normalisation, Xavier normal weights) is FuxiCTR's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["DNN"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DNN(Backbone):
    """Parameters of y = MLP([e_1 .. e_F]).

    Attributes:
        hidden: Units of the hidden layers.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.2, metadata=search(0.0, 0.5))

    exact_drop: ClassVar[bool] = True

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _DNN(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The first layer reads the slots side by side."""
        return {"mlp.0.weight": shape.width}


class _DNN(nn.Module):
    def __init__(self, params: DNN, shape: InputShape) -> None:
        super().__init__()
        self.mlp = mlp(
            len(shape.fields) * shape.width,
            params.hidden,
            shape.labels,
            batch_norm=params.batch_norm,
            dropout=params.dropout,
        )

    def forward(self, x: Embedded) -> Output:
        return Output(logits=self.mlp(x.main.flatten(1)))  # [B, F, D] -> [B, F * D] -> [B, T]
