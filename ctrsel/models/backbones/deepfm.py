"""DeepFM: a factorization machine and a perceptron on the same embeddings, logits added.

Reference: Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", 2017, equations 1-4;
the form (no bias in the first order, batch normalisation) is FuxiCTR's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.backbones._pairs import pair_sum
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["DeepFM"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFM(Backbone):
    """Parameters of DeepFM: y = sum_f w_f + sum_{i<j} <e_i, e_j> + MLP([e_1 .. e_F]).

    Attributes:
        hidden: Units of the hidden layers.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.2, metadata=search(0.0, 0.5))

    lookups: ClassVar[tuple[str, ...]] = ("main", "first_order")
    exact_drop: ClassVar[bool] = True

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _DeepFM(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The first layer reads the slots side by side."""
        return {"mlp.0.weight": shape.width}


class _DeepFM(nn.Module):
    def __init__(self, params: DeepFM, shape: InputShape) -> None:
        super().__init__()
        self.mlp = mlp(
            len(shape.fields) * shape.width,
            params.hidden,
            shape.labels,
            batch_norm=params.batch_norm,
            dropout=params.dropout,
        )

    def forward(self, x: Embedded) -> Output:
        assert x.first_order is not None
        shared = x.first_order.sum((1, 2)) + pair_sum(x.main)  # [B]
        deep = self.mlp(x.main.flatten(1))  # [B, F, D] -> [B, F * D] -> [B, T]
        return Output(logits=deep + shared[:, None])
