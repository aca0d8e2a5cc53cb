"""Mean binary cross-entropy on logits, plus the backbone's auxiliary losses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ctrsel.models.embedding import Inputs
from ctrsel.models.network import Net
from ctrsel.train.steps._contract import Step

__all__ = ["BCE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BCE(Step):
    """Parameters of the ordinary step.

    Attributes:
        auxiliary: Factor of the backbone's auxiliary losses.
    """

    auxiliary: float = 1.0

    def objective(self, net: Net, inputs: Inputs, labels: Tensor, weight: Tensor | None) -> Tensor:
        """Return the weighted mean over rows and labels, of auxiliary losses as well."""
        out = net(inputs)
        per_row = None if weight is None else weight[:, None]
        total = functional.binary_cross_entropy_with_logits(out.logits, labels, per_row)
        for loss in out.losses.values():
            weighted = loss if per_row is None else loss * per_row
            total = total + self.auxiliary * weighted.sum() / max(weighted.numel(), 1)  # a process may have no rows
        return total
