from __future__ import annotations

import numpy as np
import torch

from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.gates.optfs import OptFS
from ctrsel.testing.tables import tiny_table
from ctrsel.train.hardening import fold, hard


def closed(encoder, code):
    plan = SearchPlan(
        total_codes=encoder.total_codes, reserved=np.array([0, 1, 2]), train_rows=10, steps=200, learning_rate=1e-3
    )
    gate = OptFS().build(plan)
    with torch.no_grad():
        gate.w[code] = -0.1
    return gate


def test_rows_are_scaled_and_closed_ones_become_other():
    encoder = tiny_table(rows=60).encoder
    ad = encoder.offsets["ad"]
    gate = closed(encoder, ad + 4)
    rows = torch.arange(encoder.total_codes, dtype=torch.float32)
    weights = {"embedding.first": rows.clone(), "backbone.x": torch.ones(2)}
    fold(weights, scale=gate.scale)
    torch.testing.assert_close(weights["embedding.first"], rows * gate.scale)
    weights["embedding.first"] = rows.clone()
    fold(weights, scale=gate.scale, kept=gate.kept(), encoder=encoder)
    hardened = weights["embedding.first"]
    assert hardened[ad + 4] == (ad + 1) * gate.scale
    changed = (hardened != rows * gate.scale).nonzero().flatten().tolist()
    assert changed == [ad + 4]
    assert torch.equal(weights["backbone.x"], torch.ones(2))


def test_the_measuring_gate_does_what_folding_does():
    encoder = tiny_table(rows=60).encoder
    ad = encoder.offsets["ad"]
    gate = closed(encoder, ad + 4)
    table = torch.randn(encoder.total_codes, 3)
    folded = {"embedding.main": table.clone()}
    fold(folded, scale=gate.scale, kept=gate.kept(), encoder=encoder)
    codes = torch.arange(ad + 3, ad + 7)
    got = hard(gate)(table[codes], codes, other=table[ad + 1])
    torch.testing.assert_close(got, folded["embedding.main"][codes])
