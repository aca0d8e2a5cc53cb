"""AutoInt: self-attention between the fields' embeddings, read by one linear layer.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019,
equations 5-9; the form is FuxiCTR's, whose published figures it can be compared with: no bias and no ReLU in the
projections, the residual is the identity where the widths agree, layer normalisation before the ReLU, a linear part beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._attention import AttentionForm
from ctrsel.models.backbones._contract import Backbone
from ctrsel.models.backbones._mlp import linear
from ctrsel.models.embedded import Embedded, InputShape, Output

__all__ = ["AutoInt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoInt(Backbone):
    """Parameters of AutoInt.

    A slot that is zero still takes a share of the softmax: removing it changes the other slots' mixture.

    Attributes:
        layers: How many attention layers.
        attention_width: Their output width, over all heads together.
        heads: How many heads.
        residual: Whether a layer's input is added to its output.
        layer_norm: Whether a layer's sum is layer-normalised, before the ReLU.
        scale: Whether scores are divided by the square root of a head's width.
        attention_dropout: Share of the attention weights dropped in training.
        wide: Whether first-order weights are added to the logit.
    """

    layers: int = field(default=3, metadata=search(1, 4))
    attention_width: int = field(default=128, metadata=choose(32, 64, 128))
    heads: int = field(default=4, metadata=choose(1, 2, 4))
    residual: bool = True
    layer_norm: bool = field(default=True, metadata=choose(False, True))
    scale: bool = True
    attention_dropout: float = field(default=0.0, metadata=search(0.0, 0.3))
    wide: bool = field(default=False, metadata=choose(False, True))

    def __post_init__(self) -> None:
        self.form.check("autoint")

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
        return _AutoInt(self.form, shape, wide=self.wide)

    def slot_columns(self, shape: InputShape) -> Mapping[str, int]:
        """The last attention layer is read slot by slot."""
        return {"out.weight": self.attention_width}


class _AutoInt(nn.Module):
    def __init__(self, form: AttentionForm, shape: InputShape, *, wide: bool) -> None:
        super().__init__()
        self.attention = form.build(shape.width)
        self.out = linear(len(shape.fields) * form.width, shape.labels)
        self.wide = wide

    def forward(self, x: Embedded) -> Output:
        logits = self.attention.read(self.out, x.main)
        if self.wide:
            assert x.first_order is not None
            logits = logits + x.first_order.sum(1)  # [B, T] + [B, 1]
        return Output(logits=logits)
