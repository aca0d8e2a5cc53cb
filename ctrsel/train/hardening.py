"""Hardening: a gate's outcome becomes plain embedding rows, so that the model needs no gate any more.

Reference: Lyu et al., "Optimizing feature set for click-through rate prediction", 2023, equation 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctrsel.models.gates._contract import ValueGateModule
from ctrsel.records.feature_set import OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["folded"]


def folded(weights: dict[str, Tensor], gate: ValueGateModule, encoder: Encoder, *, hard: bool) -> dict[str, Tensor]:
    """Fold an open gate's scale into the rows; with `hard`, a closed gate's row becomes its vocabulary's `OTHER`.

    Args:
        weights: A net's own weights by name (see `Net.weights`).
        gate: The gate.
        encoder: Whose codes the rows are.
        hard: Whether closed gates close.

    Returns:
        Weights of a net without a gate; only the tables with a row per code differ.
    """
    owner = torch.empty(encoder.total_codes, dtype=torch.int64)
    for name, start in encoder.offsets.items():
        owner[start : start + encoder.vocabularies[name].size] = start + OTHER
    dropped = ~gate.kept().cpu()
    out = dict(weights)
    for key in ("embedding.main", "embedding.first"):
        if key in weights:
            rows = weights[key] * gate.scale
            if hard:
                # DEVIATION(OptFS): a dropped value becomes OTHER, which serving meets anyway; the paper's is a zero row.
                rows[dropped] = rows[owner[dropped]]
            out[key] = rows
    return out
