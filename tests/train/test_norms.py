"""Settled batch norms: the statistics are those of the present weights, and nothing else changes."""

from __future__ import annotations

import numpy as np
import torch

from ctrsel.data.batches import batches
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.norms import settle_norms


def _net(*, batch_norm: bool) -> Net:
    torch.manual_seed(0)
    table = tiny_table()
    layout = Layout.of(table.encoder, history=False)
    return Net(DeepFM(hidden=(8,), batch_norm=batch_norm), layout, width=4, labels=1)


def test_the_mean_is_that_of_the_present_weights():
    table, net = tiny_table(), _net(batch_norm=True)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3)
    batch = to_inputs(next(batches(table, "train", size=10_000)))
    seen = []
    norm = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm1d))
    handle = norm.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
    settle_norms(net, [batch])
    handle.remove()
    np.testing.assert_allclose(norm.running_mean, seen[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(norm.running_var, seen[0].var(0), rtol=1e-5)
    assert norm.momentum == 0.1
    assert not any(m.training for m in net.modules())


def test_without_batch_norm_nothing_is_run():
    net = _net(batch_norm=False)
    settle_norms(net, iter([]))
    assert not net.training


def test_a_short_training_is_calibrated():
    table = tiny_table(rows=4000)
    fit = NetLearner(width=4, max_epochs=1, backbone=DeepFM(hidden=(16,))).fit(table.without("test"), seed=2)
    valid = table.part("valid")
    ratio = fit.model.probabilities(valid).mean() / valid.label().mean()
    assert 0.85 < ratio < 1.15
