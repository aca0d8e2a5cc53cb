"""The contract carries sequences: a toy target-attention net over a padded history."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import batches
from ctrsel.data.table import Ragged
from ctrsel.models.embedded import Embedded, InputShape
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table
from ctrsel.train.net import NetLearner


@pytest.fixture(scope="module")
def table():
    return sequence_table(rows=600)


@pytest.fixture(scope="module")
def net(table):
    torch.manual_seed(0)
    net = Net(TargetAttention(), Layout.of(table.encoder, history=True), width=4, labels=1)
    with torch.no_grad():
        net.embedding.main.normal_()
    return net.eval()


def logits(net, table):
    with torch.no_grad():
        return net(to_inputs(next(iter(batches(table, None, size=table.n_rows))))).logits


def embedded(net, table):
    return net.embedding(to_inputs(next(iter(batches(table, None, size=table.n_rows)))))


def test_the_history_is_padded_with_hidden_and_its_target_is_the_item(net, table):
    layout = net.layout
    assert layout.histories == (("history", table.encoder.offset("item") + 2),)
    assert dict(layout.targets) == {"history": layout.slots.index("item")}
    assert layout.pooled[0][0] == "tags"


@pytest.mark.parametrize("tail", [1, 4])
def test_a_padded_tail_of_any_content_and_length_changes_nothing(net, table, tail):
    x = embedded(net, table)
    history, mask = x.history["history"], x.history_mask["history"]
    junk = torch.randn(len(history), tail, history.shape[2])
    longer = Embedded(
        main=x.main,
        first_order=None,
        floats=x.floats,
        history={"history": torch.cat([history, junk], 1)},
        history_mask={"history": torch.cat([mask, torch.zeros(len(mask), tail, dtype=torch.bool)], 1)},
    )
    torch.testing.assert_close(net.backbone(longer).logits, net.backbone(x).logits)


def test_order_within_the_history_does_not_matter(net, table):
    column = table.columns["history"]
    assert isinstance(column, Ragged)
    rng = np.random.default_rng(0)
    codes = column.codes.copy()
    for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True):
        codes[a:b] = rng.permutation(codes[a:b])
    from dataclasses import replace

    shuffled = replace(table, columns={**table.columns, "history": Ragged(offsets=column.offsets, codes=codes)})
    torch.testing.assert_close(logits(net, shuffled), logits(net, table))


def test_longer_neighbours_in_the_batch_change_nothing(net, table):
    every = logits(net, table)
    for row in (0, 1, 2):
        torch.testing.assert_close(logits(net, table.take(np.array([row])))[0], every[row])


def test_it_trains_with_the_ordinary_learner():
    learner = NetLearner(
        backbone=TargetAttention(hidden=(16,)),
        width=4,
        batch_size=128,
        learning_rate=2e-2,
        max_epochs=16,
        patience=16,
        lr_drop=1.0,
        embedding_l2=0.0,
    )
    fit = learner.fit(sequence_table(rows=4000).without("test"), seed=1)
    assert fit.valid["auc"] > 0.68  # the mean of the history alone reaches .5


def test_a_history_without_a_target_is_refused():
    with pytest.raises(ConfigError, match="shares no other field"):
        TargetAttention().build(InputShape(fields=("a",), width=2, histories={"h": None}))
