from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.train.optimisers.lazy_adagrad import LazyAdagrad


def test_equals_adagrad_whatever_is_touched(small):
    lazy, dense = small.net(sparse=True), small.net(sparse=False)
    ours = LazyAdagrad(table_rate=4.0).build(lazy, learning_rate=1e-2, embedding_l2=0.0, clip=0.5)
    tables = dense.embedding.tables()
    own = {id(t) for t in tables}
    rest = [p for p in dense.parameters() if id(p) not in own]
    adagrad = torch.optim.Adagrad(tables, lr=4e-2, eps=1e-10)
    adam = torch.optim.Adam(rest, lr=1e-2)
    for step in range(20):
        batch = small.batch(step)
        ours.step(small.loss(lazy, batch))
        dense.zero_grad()
        small.loss(dense, batch).backward()
        torch.nn.utils.clip_grad_norm_(dense.parameters(), 0.5)
        adagrad.step()
        adam.step()
    for (name, x), y in zip(lazy.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(x, y, msg=name, atol=1e-6, rtol=1e-5)


def test_one_sum_a_row_by_hand(small):
    net = small.net(sparse=True, width=2)
    ours = LazyAdagrad(table_rate=1.0, row_wise=True).build(net, learning_rate=0.1, embedding_l2=0.0, clip=1e9)
    before = net.embedding.main[3].detach().clone()
    ours.step((net.embedding._take(net.embedding.main, torch.tensor([3])) * torch.tensor([[3.0, 1.0]])).sum())
    want = before - 0.1 * torch.tensor([3.0, 1.0]) / 5**0.5  # the mean of 9 and 1 is 5
    torch.testing.assert_close(net.embedding.main[3].detach(), want)


@pytest.mark.parametrize(("params", "numbers"), [({}, 17), ({"row_wise": True}, 2)])
def test_bytes_are_those_of_the_state(small, params, numbers):
    net = small.net(sparse=True, width=16)
    ours = LazyAdagrad(**params).build(net, learning_rate=1e-2, embedding_l2=0.0, clip=1.0)
    assert ours.state()["rows"].nbytes == LazyAdagrad(**params).table_bytes(small.V, 16) == 4 * small.V * numbers


def test_bad_parameters_are_told():
    with pytest.raises(ConfigError, match="table_rate"):
        LazyAdagrad(table_rate=0.0)
