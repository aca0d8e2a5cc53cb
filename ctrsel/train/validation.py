"""What a learner watches while it trains: AUC and log-loss on the validation split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats.auc import auc
from ctrsel.stats.losses import log_loss

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["validate"]


def validate(part: Table, logits: np.ndarray) -> dict[str, float]:
    """Return AUC and log-loss (nats per row) of a split's logits, means over the labels.

    Args:
        part: The split as a table of its own.
        logits: float32 `[N, T]`, without the model's offset.

    Raises:
        DataError: If the split has no rows or a label has one class only.
    """
    labels = part.labels
    if labels is None:
        raise DataError("validation needs labels")
    found = []
    for t in range(labels.shape[1]):
        z = logits[:, t].astype(np.float64)
        area, loss = auc(labels[:, t], z, weight=part.weight), log_loss(labels[:, t], z, weight=part.weight)
        if area is None or loss is None:
            name = part.schema.labels[t].name
            raise DataError(f"the validation split needs both classes of {name!r}, got {part.n_rows} rows of one class")
        found.append((area, loss))
    areas, losses = zip(*found, strict=True)
    return {"auc": float(np.mean(areas)), "log_loss": float(np.mean(losses))}
