"""FM: a factorization machine, first-order weights and inner products of all pairs of fields.

Reference: Rendle, "Factorization machines", 2010, equation 1 and lemma 3.1; the form (one bias, a float is its value
times a vector) is FuxiCTR's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear
from ctrsel.models.backbones._pairs import bi_interaction, pair_sum
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["FM"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FM(Backbone):
    """A factorization machine has no parameters but the width: y = b + sum_f w_f + sum_{i<j} <e_i, e_j>.

    With several labels each one adds linear views of its own of sum_f e_f and of the pairs' entry-wise products, since
    labels that share every weight would all rank rows alike.
    """

    lookups: ClassVar[tuple[str, ...]] = ("main", "first_order")
    exact_drop: ClassVar[bool] = True

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _FM(shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """All slots are summed."""
        return {}


class _FM(nn.Module):
    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape.labels))
        self.per_label = linear(2 * shape.width, shape.labels, bias=False) if shape.labels > 1 else None

    def forward(self, x: Embedded) -> Output:
        assert x.first_order is not None
        shared = x.first_order.sum((1, 2)) + pair_sum(x.main)  # [B]
        logits = shared[:, None] + self.bias
        if self.per_label is not None:
            logits = logits + self.per_label(torch.cat([x.main.sum(1), bi_interaction(x.main)], 1))
        return Output(logits=logits)
