"""Wide & Deep: first-order weights and a perceptron on the fields' embeddings, logits added.

Reference: Cheng et al., "Wide & deep learning for recommender systems", 2016, equation 3; the form (one optimiser, no
bias in the wide part, batch normalisation) is FuxiCTR's.
"""

# DEVIATION(Wide & Deep): the wide part holds single values, no crossed columns: crosses are fields of the table here.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["WideDeep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WideDeep(Backbone):
    """Parameters of y = sum_f w_f + MLP([e_1 .. e_F]).

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
        return _WideDeep(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The first layer reads the slots side by side."""
        return {"mlp.0.weight": shape.width}


class _WideDeep(nn.Module):
    def __init__(self, params: WideDeep, shape: InputShape) -> None:
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
        return Output(logits=self.mlp(x.main.flatten(1)) + x.first_order.sum(1))  # [B, T] + [B, 1]
