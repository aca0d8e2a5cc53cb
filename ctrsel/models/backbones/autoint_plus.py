"""AutoInt+: self-attention between the fields' embeddings, and a perceptron on the raw embeddings, logits added.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019,
equations 5-9 and section 5.5; the form is FuxiCTR's, whose published figures it can be compared with: no bias and no
ReLU in the projections, the residual is the identity where the widths agree, layer normalisation before the ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._attention import AttentionForm
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear, mlp
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["AutoIntPlus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoIntPlus(Backbone):
    """Parameters of AutoInt+.

    Attributes:
        layers: How many attention layers.
        attention_width: Their output width, over all heads together.
        heads: How many heads.
        residual: Whether a layer's input is added to its output.
        layer_norm: Whether a layer's sum is layer-normalised, before the ReLU.
        scale: Whether scores are divided by the square root of a head's width.
        attention_dropout: Share of the attention weights dropped in training.
        hidden: Units of the perceptron's hidden layers; none = AutoInt without the "+".
        batch_norm: Whether each hidden layer is batch-normalised.
        dropout: Share of the hidden units dropped in training.
        wide: Whether first-order weights are added to the logit.
    """

    layers: int = field(default=3, metadata=search(1, 4))
    attention_width: int = field(default=128, metadata=choose(32, 64, 128))
    heads: int = field(default=4, metadata=choose(1, 2, 4))
    residual: bool = True
    layer_norm: bool = True
    scale: bool = True
    attention_dropout: float = 0.0
    hidden: tuple[int, ...] = field(default=(400, 400, 400), metadata=choose((400, 400, 400), (256, 128), (64,)))
    batch_norm: bool = True
    dropout: float = field(default=0.1, metadata=search(0.0, 0.5))
    wide: bool = field(default=False, metadata=choose(False, True))

    # A slot that is zero still takes a share of the softmax: removing it changes the other slots' mixture.
    exact_drop: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.form.check("autoint_plus")

    @property
    def form(self) -> AttentionForm:
        """Of the attention layers."""
        return AttentionForm(
            layers=self.layers,
            width=self.attention_width,
            heads=self.heads,
            residual=self.residual,
            layer_norm=self.layer_norm,
            scale=self.scale,
            dropout=self.attention_dropout,
        )

    @property
    def lookups(self) -> tuple[str, ...]:  # type: ignore[override]  # it depends on a parameter
        """First-order weights too, with `wide`."""
        return ("main", "first_order") if self.wide else ("main",)

    def build(self, shape: InputShape) -> nn.Module:
        """Build for a shape."""
        return _AutoIntPlus(self, shape)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The last attention layer and the perceptron read the slots side by side."""
        deep = {"mlp.0.weight": shape.width} if self.hidden else {}
        return {"out.weight": self.attention_width, **deep}


class _AutoIntPlus(nn.Module):
    def __init__(self, params: AutoIntPlus, shape: InputShape) -> None:
        super().__init__()
        fields, labels, form = len(shape.fields), shape.labels, params.form
        self.attention = form.build(shape.width)
        self.out = linear(fields * form.width, labels)
        self.mlp: nn.Sequential | None = None
        if params.hidden:
            inputs = fields * shape.width
            self.mlp = mlp(inputs, params.hidden, labels, batch_norm=params.batch_norm, dropout=params.dropout)
        self.wide = params.wide

    def forward(self, x: Embedded) -> Output:
        logits = self.attention.read(self.out, x.main)
        if self.mlp is not None:
            logits = logits + self.mlp(x.main.flatten(1))
        if self.wide:
            assert x.first_order is not None
            logits = logits + x.first_order.sum(1)  # [B, T] + [B, 1]
        return Output(logits=logits)
