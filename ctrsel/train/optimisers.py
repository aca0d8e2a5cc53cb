"""Optimisers by role: one fused Adam whose groups are embedding, network and gate parameters.

Reference: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; the L2 of the tables in the loss, over all
rows in every step, is what the published BARS figures were made with (Zhu et al., 2022).
"""

from __future__ import annotations

import torch
from torch import nn

from ctrsel.models.network import Net

__all__ = ["Optimiser"]


class Optimiser:
    """Turns gradients into steps.

    Args:
        net: Whose parameters; their role decides what is done with them.
        learning_rate: Of embedding and network parameters; a gate brings its own.
        embedding_l2: r of (r / 2) * ||E||^2 over the whole tables, nats per row.
        clip: Largest norm of the gradient of embedding and network parameters together.
    """

    def __init__(self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float) -> None:
        roles = {role: [p for p in params if p.numel()] for role, params in net.roles().items()}
        self._tables = roles["embedding"]
        self._clipped: list[nn.Parameter] = [*roles["embedding"], *roles["network"]]
        self._l2 = embedding_l2
        self._clip = clip
        groups = [{"params": self._clipped, "lr": learning_rate}]
        if net.gate is not None:
            groups.append({"params": roles["gate"], "lr": net.gate.learning_rate})
        self._adam = torch.optim.Adam(groups, fused=True)

    @property
    def learning_rate(self) -> float:
        """The present rate of embedding and network parameters."""
        return float(self._adam.param_groups[0]["lr"])

    def lower(self, factor: float, *, floor: float) -> None:
        """Multiply the rate of embedding and network parameters."""
        self._adam.param_groups[0]["lr"] = max(self.learning_rate * factor, floor)

    def step(self, objective: torch.Tensor) -> None:
        """Differentiate, add the L2 of the tables, clip and step."""
        self._adam.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        if self._l2:
            with torch.no_grad():
                for table in self._tables:
                    # The gradient of (r / 2) ||E||^2 is r E: no graph over the whole table is needed.
                    if table.grad is not None:
                        table.grad.add_(table, alpha=self._l2)
        nn.utils.clip_grad_norm_(self._clipped, self._clip)
        self._adam.step()
