"""A value's gate acts in every table that is keyed by the value, and in lists as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.data.batches import batches
from ctrsel.models.embedding import Embedding, to_inputs
from ctrsel.models.gates import CATALOG
from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.layout import Layout
from ctrsel.records.feature_set import OTHER
from ctrsel.train.hardening import fold, hard

GATES = [c for c in map(CATALOG.load, CATALOG.names()) if c.site == "value"]


@pytest.mark.parametrize("gate", GATES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("history", [False, True])
def test_closed_values_are_closed_in_every_table(random_table, gate, history):
    table = random_table(3)
    layout = Layout.of(table.encoder, history=history)
    torch.manual_seed(0)
    embedding = Embedding(layout, width=3, first_order=True, init_std=1.0)
    plan = SearchPlan(
        total_codes=layout.total_codes,
        reserved=layout.reserved,
        width=3,
        train_rows=100,
        steps=300,
        learning_rate=1e-3,
    )
    module = gate().build(plan)
    module.see([t.detach() for t in embedding.tables()])
    closed = torch.from_numpy(np.random.default_rng(1).random(layout.total_codes) < 0.4)
    closed[layout.reserved] = False
    with torch.no_grad():
        if hasattr(module, "w"):
            module.w[closed] = -9.0 if module.toward_other or hasattr(module, "adam") else 0.0
            module.w[~closed] = 1.0
        if hasattr(module, "clock"):
            module.clock.fill_(1)
            module.seen.clamp_(min=1)
        if not hasattr(module, "w"):  # a threshold: short rows are closed
            embedding.main[closed] *= 1e-9
            for p in module.parameters():
                p.fill_(1e-3 if "OptEmbed" in type(module).__name__ else -8.0)
    assert torch.equal(module.kept(), ~closed)
    inputs = to_inputs(next(iter(batches(table, "train", size=30))))
    gated = embedding(inputs, hard(module))
    weights = {"embedding.main": embedding.main.detach(), "embedding.first": embedding.first.detach()}
    before = embedding(inputs)
    fold(weights, scale=module.scale, kept=module.kept(), encoder=table.encoder)
    folded = embedding(inputs)
    torch.testing.assert_close(gated.main, folded.main)
    torch.testing.assert_close(gated.first_order, folded.first_order)
    for name in folded.history:
        torch.testing.assert_close(gated.history[name], folded.history[name])
    # The two tables change in the same slots.
    moved = (folded.main - before.main * module.scale).abs().sum(-1) > 0
    also = (folded.first_order - before.first_order * module.scale).abs().sum(-1) > 0
    some = moved[:, : len(layout.code_fields)]
    assert some.any()
    assert torch.equal(some, also[:, : len(layout.code_fields)])
    others = layout.rows(OTHER)
    assert module.kept()[others].all()
