"""Settled batch normalisation: running statistics of the present weights, not of those some steps ago.

Reference: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3 (PreciseBN). Early in training the weights
move faster than the running averages follow: AUC hardly shows it, log-loss and calibration do.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ctrsel.models.embedding import Inputs
from ctrsel.models.network import Net

__all__ = ["settle_norms"]


def settle_norms(net: Net, inputs: Iterable[Inputs]) -> None:
    """Replace the running statistics of all batch norms by plain averages over some training batches.

    Args:
        net: The net; it is left in evaluation mode, and nothing but the running statistics changes.
        inputs: A few batches; nothing happens where there are none or the net has no batch norm.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d) and m.track_running_stats]
    net.eval()
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the batches
            norm.train()
        with torch.no_grad():
            for batch in inputs:
                net(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        net.eval()
