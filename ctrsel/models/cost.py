"""Cost: what one row costs a backbone, counted from the operations that it really does.

The count is torch's own (`torch.utils.flop_counter`): two operations per multiply-add of every matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ctrsel.models.embedded import Embedded, InputShape
from ctrsel.models.own_noise import own_noise

if TYPE_CHECKING:
    from ctrsel.models.backbones._contract import Backbone

__all__ = ["BackboneCost", "backbone_cost"]

_ROWS, _EVENTS = 4, 10  # of the batch that is counted; the events of each history


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneCost:
    """What a backbone costs, its embedding left out.

    Attributes:
        multiply_adds: Of one row, forward.
        parameters: Trainable numbers.
    """

    multiply_adds: int
    parameters: int


def backbone_cost(backbone: Backbone, shape: InputShape) -> BackboneCost:
    """Build a backbone, send a few rows through and count.

    Examples:
        >>> from ctrsel.models.backbones.deepfm import DeepFM
        >>> shape = InputShape(fields=("a", "b"), width=3)
        >>> backbone_cost(DeepFM(hidden=(5,), batch_norm=False), shape)
        BackboneCost(multiply_adds=35, parameters=41)
    """
    from torch.utils.flop_counter import FlopCounterMode

    with own_noise(wait=False):
        module = backbone.build(shape).eval()
        rows = Embedded(
            main=torch.zeros(_ROWS, len(shape.fields), shape.width),
            first_order=torch.zeros(_ROWS, len(shape.fields), 1) if "first_order" in backbone.lookups else None,
            floats=torch.zeros(_ROWS, len(shape.floats)),
            history={name: torch.zeros(_ROWS, _EVENTS, shape.width) for name in shape.histories},
            history_mask={name: torch.ones(_ROWS, _EVENTS, dtype=torch.bool) for name in shape.histories},
        )
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(rows)
    return BackboneCost(
        multiply_adds=counter.get_total_flops() // (2 * _ROWS),
        parameters=sum(p.numel() for p in module.parameters()),
    )
