"""What is set on a sample of the training rows once the weights stand: batch norms and the intercept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ctrsel.models.embedding import to_inputs
from ctrsel.models.network import Net
from ctrsel.train.intercept import intercept_shift
from ctrsel.train.norms import settle_norms

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.train.parallel import Processes

__all__ = ["centre", "settle"]

_SETTLE_ROWS = 16384  # training rows that the batch norms are settled on
_CENTRE_ROWS = 200_000  # training rows that the intercept is set on
_BATCH = 8192  # rows scored at once


def settle(net: Net, rows: Rows, *, seed: int, processes: Processes | None = None) -> None:
    """Settle the batch norms on a few training rows, the same for a seed; a batch of one row has no variance."""
    if len(rows) < 2:
        return
    some = rows.sample(_SETTLE_ROWS, size=_SETTLE_ROWS // 4, seed=seed)
    parts = (batch if processes is None else processes.rows_of(batch) for batch in some if len(batch.rows) > 1)
    settle_norms(net, (to_inputs(part, net.device) for part in parts))


def centre(net: Net, rows: Rows, *, seed: int) -> None:
    """Shift each label's intercept so that evaluation-mode predictions on training rows add up to the positives."""
    net.eval()
    logits, labels, weights = [], [], []
    with torch.inference_mode():
        for batch in rows.sample(_CENTRE_ROWS, size=_BATCH, seed=seed):
            assert batch.labels is not None
            logits.append(net(to_inputs(batch, net.device)).logits.cpu().numpy())
            labels.append(batch.labels)
            weights.append(batch.weight)
    z, y = np.concatenate(logits), np.concatenate(labels)
    w = None if any(part is None for part in weights) else np.concatenate([p for p in weights if p is not None])
    shifts = [intercept_shift(y[:, t], z[:, t], weight=w) for t in range(y.shape[1])]
    net.prior.add_(torch.tensor(shifts, dtype=net.prior.dtype, device=net.device))
