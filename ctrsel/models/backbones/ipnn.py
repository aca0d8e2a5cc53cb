"""IPNN: a perceptron on the fields' embeddings and on the inner products of all their pairs.

Reference: Qu et al., "Product-based neural networks for user response prediction", 2016, sections 3.1 and 3.2; the form
(products go into the first layer as they are) is FuxiCTR's, whose published figures it can be compared with.
"""

# DEVIATION(PNN): inner products of pairs i < j go into the first layer with free weights; the paper has a factorised
# weight matrix over all F x F products per hidden unit.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.backbones._pairs import InnerProducts, pairs
from ctrsel.models.embedded import Embedded, InputShape, Output
from ctrsel.models.slots import Columns, PerPair, PerSlot

__all__ = ["IPNN"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IPNN(Backbone):
    """Parameters of y = MLP([e_1 .. e_F, <e_1, e_2> .. <e_F-1, e_F>]).

    Attributes:
        hidden: Units of the hidden layers.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = field(default=False, metadata=choose(False, True))
    dropout: float = field(default=0.3, metadata=search(0.0, 0.5))

    exact_drop: ClassVar[bool] = True

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _IPNN(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, Columns]:
        """The first layer reads the slots side by side, then the pairs."""
        return {"mlp.0.weight": (PerSlot(shape.width), PerPair())}


class _IPNN(nn.Module):
    def __init__(self, params: IPNN, shape: InputShape) -> None:
        super().__init__()
        fields = len(shape.fields)
        self.products = InnerProducts(fields)
        self.mlp = mlp(
            fields * shape.width + pairs(fields),
            params.hidden,
            shape.labels,
            batch_norm=params.batch_norm,
            dropout=params.dropout,
        )

    def forward(self, x: Embedded) -> Output:
        return Output(logits=self.mlp(torch.cat([x.main.flatten(1), self.products(x.main)], 1)))
