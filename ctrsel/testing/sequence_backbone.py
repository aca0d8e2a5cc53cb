"""A small backbone that attends from a target item to a history: proof that the backbone contract carries sequences.

Reference: Zhou et al., "Deep interest network for click-through rate prediction", 2018, equation 3 (weights are not
normalised over the history, so that the intensity of an interest is kept).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["TargetAttention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAttention(Backbone):
    """Parameters: units of the activation unit and of the perceptron."""

    attention: tuple[int, ...] = (16,)
    hidden: tuple[int, ...] = (32,)

    lookups: ClassVar[tuple[str, ...]] = ("main", "history")

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape; a history without a target in the same vocabulary is refused."""
        for name, target in shape.histories.items():
            if target is None:
                raise ConfigError(f"target_attention: history {name!r} shares no other field's vocabulary")
        return _TargetAttention(self, shape)


class _TargetAttention(nn.Module):
    def __init__(self, params: TargetAttention, shape: InputShape) -> None:
        super().__init__()
        self.targets = {name: t for name, t in shape.histories.items() if t is not None}
        self.units = nn.ModuleList(
            mlp(4 * shape.width, params.attention, 1, batch_norm=False, dropout=0.0) for _ in self.targets
        )
        inputs = (len(shape.fields) + len(self.targets)) * shape.width
        self.mlp = mlp(inputs, params.hidden, shape.labels, batch_norm=False, dropout=0.0)

    def forward(self, x: Embedded) -> Output:
        parts = [x.main.flatten(1)]
        for (name, target), unit in zip(self.targets.items(), self.units, strict=True):
            parts.append(_interest(unit, x.main[:, target], x.history[name], x.history_mask[name]))
        return Output(logits=self.mlp(torch.cat(parts, 1)))


def _interest(unit: nn.Module, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
    """Weighted sum of a history: target `[B, D]`, history `[B, L, D]`, mask `[B, L]` -> `[B, D]`."""
    query = target[:, None].expand_as(history)
    weight = unit(torch.cat([query, history, query - history, query * history], -1))  # [B, L, 1]
    out: Tensor = (weight * history * mask[..., None]).sum(1)
    return out
