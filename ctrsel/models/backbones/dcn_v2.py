"""DCN-V2: cross layers with a full or low-rank weight matrix, beside a perceptron, below one, or alone.

Reference: Wang et al., "DCN V2: improved deep & cross network and practical lessons for web-scale learning to rank
systems", 2021 (cross layers, and a mixture of low-rank experts); the form (one linear readout of both parts, batch
normalisation in the perceptron alone, one gate for all layers of a mixture) is FuxiCTR's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear, mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["DCNV2"]

Structure = Literal["parallel", "stacked", "crossnet_only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DCNV2(Backbone):
    """Parameters of x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, x_0 = [e_1 .. e_F], products by element.

    A slot that is zero in every row stays zero in every layer.

    Attributes:
        structure: "parallel": cross network and perceptron read x_0, one linear layer reads both; "stacked": the perceptron
            reads the cross network; "crossnet_only": no perceptron.
        cross_layers: L.
        rank: Of W_l = U_l V_l'; None = full.
        experts: With more than one, W_l x_l is a mixture of U tanh(C tanh(V' x_l)), weighted by a softmax of x_l that the
            layers share; needs a rank.
        hidden: Units of the perceptron's hidden layers.
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
    """

    structure: Structure = field(default="parallel", metadata=choose("parallel", "stacked"))
    cross_layers: int = field(default=3, metadata=search(1, 5))
    rank: int | None = field(default=None, metadata=choose(None, 16, 32))
    experts: int = 1
    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.2, metadata=search(0.0, 0.5))

    exact_drop: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.structure not in get_args(Structure):
            raise ConfigError(
                f"dcn_v2.structure: must be one of {', '.join(get_args(Structure))}, got {self.structure!r}"
            )
        for name in ("cross_layers", "rank", "experts"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"dcn_v2.{name}: must be at least 1, got {getattr(self, name)}")
        if self.experts > 1 and self.rank is None:
            raise ConfigError(f"dcn_v2.experts: {self.experts} experts need a rank")
        if self.structure != "crossnet_only" and not self.hidden:
            raise ConfigError(f"dcn_v2.hidden: structure {self.structure!r} needs a hidden layer")

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _DCNV2(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """Cross layers, readout and the first hidden layer read the slots side by side."""
        names = [f"cross.{i}.{self._reads}" for i in range(self.cross_layers)]
        names += ["cross.gate.weight"] if self.experts > 1 else []
        names += ["readout"] if self.structure != "stacked" else []
        names += ["mlp.0.weight"] if self.structure != "crossnet_only" else []
        return dict.fromkeys(names, shape.width)

    def slot_rows(self, shape: InputShape) -> Mapping[str, int]:
        """A cross layer has an output per input."""
        writes = "weight" if self.rank is None else "up"
        names = [f"cross.{i}.{name}" for i in range(self.cross_layers) for name in (writes, "bias")]
        return dict.fromkeys(names, shape.width)

    @property
    def _reads(self) -> str:
        return "weight" if self.rank is None else "down"


class _LowRank(nn.Module):
    """W x + b as U V' x + b, or as a mixture of such with tanh between."""

    def __init__(self, inputs: int, rank: int, experts: int) -> None:
        super().__init__()
        std = math.sqrt(2 / (inputs + rank))
        self.down = nn.Parameter(torch.empty(experts * rank, inputs).normal_(std=std))
        self.up = nn.Parameter(torch.empty(inputs, experts * rank).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(inputs))
        mixed = experts > 1
        self.inner = nn.Parameter(torch.empty(experts, rank, rank).normal_(std=math.sqrt(1 / rank))) if mixed else None

    def forward(self, x: Tensor, shares: Tensor | None = None) -> Tensor:
        low = functional.linear(x, self.down)  # [B, E * r]
        if self.inner is not None and shares is not None:
            experts, rank, _ = self.inner.shape
            low = torch.tanh(low).view(-1, experts, rank).transpose(0, 1) @ self.inner  # [E, B, r]
            # The shares add up to 1, so one product with all U side by side, and one bias, do for all experts.
            low = (torch.tanh(low).transpose(0, 1) * shares[:, :, None]).flatten(1)
        return functional.linear(low, self.up, self.bias)


class _Cross(nn.Module):
    def __init__(self, params: DCNV2, inputs: int) -> None:
        super().__init__()
        rank, experts = params.rank, params.experts
        for i in range(params.cross_layers):
            self.add_module(str(i), linear(inputs, inputs) if rank is None else _LowRank(inputs, rank, experts))
        self.layers = params.cross_layers
        self.gate = linear(inputs, experts, bias=False) if experts > 1 else None

    def forward(self, x0: Tensor) -> Tensor:
        x = x0
        for i in range(self.layers):
            layer = self.get_submodule(str(i))
            shares = () if self.gate is None else (torch.softmax(self.gate(x), dim=1),)
            x = torch.addcmul(x, x0, layer(x, *shares))  # [B, F * D]
        return x


class _DCNV2(nn.Module):
    def __init__(self, params: DCNV2, shape: InputShape) -> None:
        super().__init__()
        inputs, labels = len(shape.fields) * shape.width, shape.labels
        self.structure = params.structure
        self.cross = _Cross(params, inputs)
        self.mlp: nn.Sequential | None = None
        if params.structure != "crossnet_only":
            self.mlp = mlp(inputs, params.hidden, labels, batch_norm=params.batch_norm, dropout=params.dropout)
        if params.structure == "stacked":
            return
        # One linear layer reads both parts; it stands in two pieces, drawn as one.
        std = math.sqrt(2 / (inputs + (0 if self.mlp is None else params.hidden[-1]) + labels))
        self.readout = nn.Parameter(torch.empty(labels, inputs).normal_(std=std))
        if self.mlp is None:
            self.bias = nn.Parameter(torch.zeros(labels))
        else:
            last = self.mlp[-1]
            assert isinstance(last, nn.Linear)
            nn.init.normal_(last.weight, std=std)

    def forward(self, x: Embedded) -> Output:
        x0 = x.main.flatten(1)  # [B, F * D]
        crossed = self.cross(x0)
        if self.structure == "stacked":
            assert self.mlp is not None
            return Output(logits=self.mlp(crossed))
        if self.mlp is None:
            return Output(logits=functional.linear(crossed, self.readout, self.bias))
        return Output(logits=functional.linear(crossed, self.readout) + self.mlp(x0))
