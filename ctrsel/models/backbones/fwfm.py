"""FwFM: a factorization machine with one weight per pair of fields.

Reference: Pan et al., "Field-weighted factorization machines for click-through rate prediction in display
advertising", 2018; the form (one bias, pair weights Xavier normal) is FuxiCTR's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear
from ctrsel.models.backbones._pairs import InnerProducts, pairs
from ctrsel.models.embedded import Embedded, InputShape, Output
from ctrsel.models.slots import Columns, PerPair

__all__ = ["FwFM"]

FirstOrder = Literal["weights", "value_vectors", "field_vectors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FwFM(Backbone):
    """Parameters of y = b + first order + sum_{i<j} r_ij <e_i, e_j>.

    Attributes:
        first_order: What is added for each field: "weights": a number per value (the paper's LW); "value_vectors": the
            inner product of e with a second vector of the value (FeLV); "field_vectors": with a vector of the field
            (FiLV). With the first two, rows of the table hold these numbers behind the width that was asked for.
    """

    first_order: FirstOrder = field(
        default="field_vectors", metadata=choose("weights", "value_vectors", "field_vectors")
    )

    exact_drop: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.first_order not in get_args(FirstOrder):
            raise ConfigError(
                f"fwfm.first_order: must be one of {', '.join(get_args(FirstOrder))}, got {self.first_order!r}"
            )

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _FwFM(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, Columns]:
        """A weight per pair, and perhaps a vector per field."""
        vectors: dict[str, Columns] = {"vectors.weight": shape.width} if self.first_order == "field_vectors" else {}
        return {"pair_weights": (PerPair(),), **vectors}

    def row_width(self, width: int, *, labels: int) -> int:
        """Return the width with what the first order needs."""
        return width + {"weights": 1, "value_vectors": width, "field_vectors": 0}[self.first_order]


class _FwFM(nn.Module):
    def __init__(self, params: FwFM, shape: InputShape) -> None:
        super().__init__()
        fields, labels = len(shape.fields), shape.labels
        self.first_order = params.first_order
        self.width = {"weights": shape.width - 1, "value_vectors": shape.width // 2}.get(self.first_order, shape.width)
        self.products = InnerProducts(fields)
        std = math.sqrt(2 / (pairs(fields) + labels))
        self.pair_weights = nn.Parameter(torch.empty(labels, pairs(fields)).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(labels))
        by_field = self.first_order == "field_vectors"
        self.vectors = linear(fields * self.width, labels, bias=False) if by_field else None

    def forward(self, x: Embedded) -> Output:
        e, rest = x.main[..., : self.width], x.main[..., self.width :]
        logits = functional.linear(self.products(e), self.pair_weights, self.bias)  # [B, T]
        if self.vectors is not None:
            return Output(logits=logits + self.vectors(e.flatten(1)))
        first = rest if self.first_order == "weights" else e * rest
        return Output(logits=logits + first.sum((1, 2))[:, None])
