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
        """Return the weighted mean over rows and labels."""
        out = net(inputs)
        total = functional.binary_cross_entropy_with_logits(
            out.logits, labels, None if weight is None else weight[:, None]
        )
        for loss in out.losses.values():
            total = total + self.auxiliary * loss
        return total
