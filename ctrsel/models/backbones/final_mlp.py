"""FinalMLP: two perceptrons on differently gated embeddings, fused by their logits and a bilinear form per head.

Reference: Mao et al., "FinalMLP: an enhanced two-stream MLP model for CTR prediction", 2023;
the form (batch normalisation, gates between 0 and 2) is FuxiCTR's.
"""

# DEVIATION(FinalMLP): a gate's context fields are read from the same embedding rows as everything else, not from tables of
# their own, so that a value has one row to gate, to drop and to carry over.
# DEVIATION(FinalMLP): a gate without context fields learns a vector that starts random, not at zero: a ReLU passes no
# gradient back at zero, so that the gate's perceptron would never learn.

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import Layers, linear, mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["FinalMLP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMLP(Backbone):
    """Parameters of y = a . u + b . v + sum_h u_h' W_h v_h + c, u and v the last hidden layers of two perceptrons.

    Stream k reads 2 sigmoid(MLP_k(c_k)) * [e_1 .. e_F]; c_k are the rows of its context fields side by side, or a learned
    vector.

    Attributes:
        hidden1: Units of the first stream's hidden layers.
        hidden2: Units of the second stream's.
        dropout1: Share of the first stream's hidden units dropped in training.
        dropout2: Share of the second stream's.
        batch_norm: Whether each hidden layer is batch-normalised.
        heads: Blocks of the bilinear form; must divide both last hidden layers.
        gate_hidden: Units of a gate's hidden layers; None = no gates.
        context1: Names of the fields that the first stream's gate reads.
        context2: Names of the fields that the second stream's gate reads.
    """

    hidden1: tuple[int, ...] = field(default=(400,), metadata=choose((400,), (200,), (400, 400)))
    hidden2: tuple[int, ...] = field(default=(100,), metadata=choose((100,), (200,), (400, 400)))
    dropout1: float = field(default=0.4, metadata=search(0.0, 0.5))
    dropout2: float = field(default=0.4, metadata=search(0.0, 0.5))
    batch_norm: bool = True
    heads: int = field(default=5, metadata=choose(1, 2, 5, 10))
    gate_hidden: tuple[int, ...] | None = (400,)
    context1: tuple[str, ...] = ()
    context2: tuple[str, ...] = ()

    exact_drop: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.hidden1 or not self.hidden2:
            raise ConfigError(f"final_mlp: needs a hidden layer per stream, got {self.hidden1} and {self.hidden2}")
        if self.heads < 1 or self.hidden1[-1] % self.heads or self.hidden2[-1] % self.heads:
            raise ConfigError(
                "final_mlp.heads: must divide both last hidden layers, "
                f"got {self.heads} heads for {self.hidden1[-1]} and {self.hidden2[-1]} units"
            )

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape.

        Raises:
            ConfigError: If the shape has no slot for a context field.
        """
        return _FinalMLP(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """Both first layers read the slots side by side."""
        return {"stream1.0.weight": shape.width, "stream2.0.weight": shape.width}

    def slot_rows(self, shape: InputShape) -> Mapping[str, int]:
        """A gate has an output per input of its stream."""
        if self.gate_hidden is None:
            return {}
        last = 2 * len(self.gate_hidden)
        names = [f"gate{k}.mlp.{last}.{name}" for k in (1, 2) for name in ("weight", "bias")]
        return dict.fromkeys(names, shape.width)


class _FinalMLP(nn.Module):
    def __init__(self, params: FinalMLP, shape: InputShape) -> None:
        super().__init__()
        inputs, norm = len(shape.fields) * shape.width, params.batch_norm
        self.stream1 = _stream(inputs, params.hidden1, batch_norm=norm, dropout=params.dropout1)
        self.stream2 = _stream(inputs, params.hidden2, batch_norm=norm, dropout=params.dropout2)
        self.gate1: _Gate | None = None
        self.gate2: _Gate | None = None
        if params.gate_hidden is not None:
            self.gate1 = _Gate(params.context1, params.gate_hidden, shape)
            self.gate2 = _Gate(params.context2, params.gate_hidden, shape)
        self.fusion = _Fusion(params.hidden1[-1], params.hidden2[-1], params.heads, shape.labels)

    def forward(self, x: Embedded) -> Output:
        flat = x.main.flatten(1)  # [B, F * D]
        first = flat if self.gate1 is None else flat * self.gate1(x.main)
        second = flat if self.gate2 is None else flat * self.gate2(x.main)
        return Output(logits=self.fusion(self.stream1(first), self.stream2(second)))


def _stream(inputs: int, hidden: tuple[int, ...], *, batch_norm: bool, dropout: float) -> Layers:
    """Return a perceptron that ends with its last hidden layer."""
    layers = list(mlp(inputs, hidden, 1, batch_norm=batch_norm, dropout=dropout))
    return Layers(*layers[:-1])


class _Gate(nn.Module):
    """`[B, F, D]` -> factors `[B, F * D]`, or `[F * D]` where they are the same for all rows."""

    slots: Tensor

    def __init__(self, context: tuple[str, ...], hidden: tuple[int, ...], shape: InputShape) -> None:
        super().__init__()
        unknown = [name for name in context if name not in shape.fields]
        if unknown:
            raise ConfigError(f"final_mlp: the context field {unknown[0]!r} is none of {', '.join(shape.fields)}")
        slots = torch.tensor([shape.fields.index(name) for name in context], dtype=torch.int64)
        self.register_buffer("slots", slots, persistent=False)
        width = shape.width
        std = math.sqrt(2 / (1 + width))
        self.constant = None if context else nn.Parameter(torch.empty(width).normal_(std=std))
        inputs, outputs = max(1, len(context)) * width, len(shape.fields) * width
        self.mlp = mlp(inputs, hidden, outputs, batch_norm=False, dropout=0.0)

    def forward(self, main: Tensor) -> Tensor:
        context = main.index_select(1, self.slots).flatten(1) if self.constant is None else self.constant
        return torch.sigmoid(self.mlp(context)) * 2.0


class _Fusion(nn.Module):
    """`[B, X]` and `[B, Y]` -> `[B, T]`."""

    def __init__(self, x: int, y: int, heads: int, labels: int) -> None:
        super().__init__()
        self.x, self.y = linear(x, labels), linear(y, labels)
        std = math.sqrt(2 / (x * y // heads + labels))
        self.pairs = nn.Parameter(torch.empty(heads, x // heads, labels * (y // heads)).normal_(std=std))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        heads, part, others = self.pairs.shape
        seen = torch.bmm(x.view(x.shape[0], heads, part).transpose(0, 1), self.pairs)  # [heads, B, T * Y / heads]
        width = y.shape[1] // heads
        seen = seen.view(heads, x.shape[0], others // width, width)  # [heads, B, T, Y / heads]
        both = seen * y.view(y.shape[0], heads, 1, width).transpose(0, 1)
        out: Tensor = self.x(x) + self.y(y) + both.sum((0, 3))
        return out
