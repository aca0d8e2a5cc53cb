"""LR: logistic regression on one-hot values, one number per value and label.

Reference: Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads", 2007;
the form (one bias, a float has one weight) is FuxiCTR's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["LR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LR(Backbone):
    """Logistic regression has no parameters to choose: y_t = b_t + sum_f w_ft.

    A row of the embedding table is the weights of a value, one per label: the width that is asked for does not count.
    """

    exact_drop: ClassVar[bool] = True

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape whose width is the number of labels."""
        if shape.width != shape.labels:
            raise ConfigError(f"lr: a row holds one number per label, {shape.labels}, got {shape.width}")
        return _LR(shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """No weight stands beside the table's."""
        return {}

    def row_width(self, width: int, *, labels: int) -> int:
        """Return one number per label."""
        return labels


class _LR(nn.Module):
    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape.labels))

    def forward(self, x: Embedded) -> Output:
        return Output(logits=x.main.sum(1) + self.bias)  # [B, F, T] -> [B, T]
