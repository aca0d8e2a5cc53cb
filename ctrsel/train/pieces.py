"""Pieces: the fast ways to take groups of layers while training, put into a net from outside.

A served net holds none of them and needs no compiler.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from ctrsel.models.backbones._attention import AttentionLayers
from ctrsel.models.backbones._mlp import Layers
from ctrsel.models.gates._priced_rows import PricedRows
from ctrsel.models.gates._rows import RowGate
from ctrsel.train.attention_layers import interacted
from ctrsel.train.gate_rows import added_up, replayed
from ctrsel.train.hidden_layers import hidden

__all__ = ["in_pieces"]

Module = TypeVar("Module", bound=nn.Module)


def in_pieces(net: Module) -> Module:
    """Let a net's hidden and interacting layers be taken in one piece while they train, its gate too, and return the net."""
    for module in net.modules():
        if isinstance(module, Layers):
            module.piece = hidden
        elif isinstance(module, AttentionLayers):
            module.piece = interacted
        elif isinstance(module, RowGate):
            module.add_up = added_up
            if isinstance(module, PricedRows):
                module.replay = replayed
    return net
