"""The weights that a fit begins with: a function of the learner, the table and the seed, so that none need be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ctrsel.core.seeds import derive
from ctrsel.models.network import Net
from ctrsel.train.intercept import log_odds

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout
    from ctrsel.train.net import NetLearner

__all__ = ["fresh_net", "known_odds"]


def fresh_net(learner: NetLearner, table: Table, layout: Layout, *, seed: int) -> Net:
    """Build a net with its first weights, on the processor; its intercept is zero.

    Torch's generator is left behind where the weights' own stream ends.
    """
    torch.manual_seed(derive(seed, "net", "weights"))
    net = Net(
        learner.backbone,
        layout,
        width=learner.width,
        labels=len(table.schema.labels),
        init_std=learner.init_std,
        sparse=learner.optimiser.sparse,
    )
    untrained = layout.untrained(table.encoder, other_share=learner.other_share)
    net.embedding.zero_rows(torch.from_numpy(untrained))
    return net


def known_odds(table: Table) -> torch.Tensor:
    """Return the log-odds of the training labels, which a fit without a start begins with, `[T]`."""
    span = table.span("train")
    assert table.labels is not None
    weight = None if table.weight is None else np.asarray(table.weight[span])
    return torch.from_numpy(log_odds(table.labels[span], weight=weight))
