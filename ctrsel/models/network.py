"""Net: the embedding, a backbone and, during a search, a gate, as one torch module whose parameters have roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.embedded import Embedded, Output
from ctrsel.models.embedding import INIT_STD, Embedding, Inputs
from ctrsel.models.gates._contract import FieldGateModule, GateModule, ValueGateModule
from ctrsel.models.layout import Layout

__all__ = ["Net", "Role"]

Role = Literal["embedding", "network", "gate"]


class Net(nn.Module):
    """From a batch of codes to logits: the backbone's, on top of a fixed one per label.

    Shape:
        `Inputs` of B rows -> `Output` with logits `[B, T]`.

    Args:
        backbone: The component.
        layout: Which field stands where.
        width: D.
        labels: T.
        init_std: Standard deviation of the numbers that the tables begin with.
        sparse: Whether the gradients of tables with a row per code hold the batch's rows only; see `Embedding`.
    """

    prior: Tensor

    def __init__(
        self,
        backbone: Backbone,
        layout: Layout,
        *,
        width: int,
        labels: int,
        init_std: float = INIT_STD,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"net.width: must be at least 1, got {width}")
        self.layout = layout
        width = backbone.row_width(width, labels=labels)
        first_order = "first_order" in backbone.lookups
        self.embedding = Embedding(layout, width=width, first_order=first_order, init_std=init_std, sparse=sparse)
        self.backbone = backbone.build(layout.shape(width=width, labels=labels))
        self.register_buffer("prior", torch.zeros(labels))
        self.gate: GateModule | None = None

    def forward(self, inputs: Inputs) -> Output:
        """Score a batch, through the gate if there is one."""
        values = self.gate if isinstance(self.gate, ValueGateModule) else None
        embedded = self.embedding(inputs, values)
        if isinstance(self.gate, FieldGateModule):
            embedded = self.gate(embedded)
        return self.score(embedded)

    def score(self, embedded: Embedded) -> Output:
        """Score looked-up rows, such as points between a row and a baseline."""
        out: Output = self.backbone(replace(embedded, prior=self.prior))
        return replace(out, logits=out.logits + self.prior)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.prior.device

    def roles(self) -> Mapping[Role, list[nn.Parameter]]:
        """Return the parameters by role."""
        return {
            "embedding": list(self.embedding.parameters()),
            "network": list(self.backbone.parameters()),
            "gate": [] if self.gate is None else list(self.gate.parameters()),
        }

    def weights(self) -> dict[str, Tensor]:
        """Return what a saved net holds (no gate), by name; the tensors are the net's own."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("gate.")}

    def set_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy in what `weights` of a net of the same shape returned.

        Raises:
            ConfigError: If a name or a shape differs.
        """
        own = self.weights()
        for name in sorted({*own, *weights}):
            have = tuple(own[name].shape) if name in own else None
            got = tuple(weights[name].shape) if name in weights else None
            if have != got:
                raise ConfigError(f"net weights: {name!r} must have the shape {have}, got {got}")
        self.load_state_dict(dict(weights), strict=False)
