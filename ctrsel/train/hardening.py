"""Hardening: a gate's outcome becomes plain embedding rows, so that the model needs no gate any more.

Reference: Lyu et al., "Optimizing feature set for click-through rate prediction", 2023, equation 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._contract import Exchange, FieldGateModule, GateModule, ValueGateModule, scaled
from ctrsel.records.feature_set import OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["better_half", "fold", "hard"]


@torch.no_grad()
def fold(
    weights: Mapping[str, Tensor], *, scale: float, kept: Tensor | None = None, encoder: Encoder | None = None
) -> None:
    """Fold an open gate's scale into the rows, in place; with `kept`, a closed gate's row becomes its vocabulary's `OTHER`.

    Args:
        weights: A net's own weights by name (see `Net.weights`); only the tables with a row per code change.
        scale: Of open gates.
        kept: Bool `[V]`; None = all.
        encoder: Whose codes the rows are; with `kept`.
    """
    for key in ("embedding.main", "embedding.first"):
        if key not in weights:
            continue
        rows = weights[key]
        if scale != 1.0:
            rows *= scale
        if kept is None or encoder is None:
            continue
        for name, start in encoder.offsets.items():
            part = slice(start, start + encoder.vocabularies[name].size)
            # DEVIATION(OptFS): a dropped value becomes OTHER, which serving meets anyway; the paper's is a zero row.
            rows[part][~kept[part]] = rows[start + OTHER].clone()


def hard(gate: GateModule) -> GateModule:
    """Return a gate that does to a batch what hardening would do to the weights now, for measuring.

    A field that a field gate closes is a zero in its slot; one that stays open is taken as it is.
    """
    gate.finish()
    return _HardValues(gate) if isinstance(gate, ValueGateModule) else _HardFields(gate.kept())


def better_half(scores: Tensor) -> FieldGateModule:
    """Return the hard gate of the better half of the fields, for a gate that only puts them in order; the first of equals.

    Shape:
        scores `[F]`.

    Examples:
        >>> better_half(torch.tensor([0.1, 0.7, 0.7, 0.2, 0.9])).kept().tolist()
        [False, True, False, False, True]
    """
    kept = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    kept[torch.argsort(scores, descending=True, stable=True)[: max(len(scores) // 2, 1)]] = True
    return _HardFields(kept)


class _Still:
    """What stands still."""

    def advance(self, progress: float) -> None:
        """Do nothing."""

    def update(self, exchange: Exchange) -> None:
        """Do nothing."""


class _HardValues(_Still, ValueGateModule):
    toward_other = True

    def __init__(self, gate: ValueGateModule) -> None:
        super().__init__()
        self.scale, self.open = gate.scale, gate.kept()

    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = True, other: Tensor | None = None) -> Tensor:
        kept = self.open[codes][..., None]
        return torch.where(kept, x, torch.zeros_like(x) if other is None else other) * self.scale

    def kept(self) -> Tensor:
        return self.open

    def scores(self) -> Tensor:
        return self.open.float()


class _HardFields(_Still, FieldGateModule):
    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.open = kept

    def forward(self, embedded: Embedded) -> Embedded:
        return scaled(embedded, self.open.to(embedded.main.dtype))

    def kept(self) -> Tensor:
        return self.open

    def scores(self) -> Tensor:
        return self.open.float()
