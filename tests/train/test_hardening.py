from __future__ import annotations

import numpy as np
import torch

from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.gates.optfs import OptFS
from ctrsel.testing.tables import tiny_table
from ctrsel.train.hardening import folded


def test_rows_are_scaled_and_closed_ones_become_other():
    encoder = tiny_table(rows=60).encoder
    v = encoder.total_codes
    gate = OptFS().build(
        SearchPlan(total_codes=v, reserved=np.array([0, 1, 2]), train_rows=10, steps=200, learning_rate=1e-3)
    )
    ad = encoder.offsets["ad"]
    with torch.no_grad():
        gate.w[ad + 4] = -0.1
    rows = torch.arange(v, dtype=torch.float32)
    weights = {"embedding.first": rows, "backbone.x": torch.ones(2)}
    open_ = folded(weights, gate, encoder, hard=False)
    torch.testing.assert_close(open_["embedding.first"], rows * gate.scale)
    hard = folded(weights, gate, encoder, hard=True)["embedding.first"]
    assert hard[ad + 4] == (ad + 1) * gate.scale
    changed = (hard != open_["embedding.first"]).nonzero().flatten().tolist()
    assert changed == [ad + 4]
    assert weights["embedding.first"] is rows
    assert torch.equal(open_["backbone.x"], weights["backbone.x"])
