from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.train.optimisers.dense_adam import DenseAdam
from ctrsel.train.optimisers.lazy_adam import LazyAdam


@pytest.mark.parametrize("skipped", ["frozen", "absent", "decayed"])
def test_equals_adam_where_every_step_touches_every_row(small, skipped):
    lazy, dense = small.net(sparse=True), small.net(sparse=False)
    a = LazyAdam(skipped=skipped).build(lazy, learning_rate=1e-2, embedding_l2=0.0, clip=10.0)
    b = DenseAdam().build(dense, learning_rate=1e-2, embedding_l2=0.0, clip=10.0)
    for step in range(20):
        batch = small.batch(step, every_row=True)
        a.step(small.loss(lazy, batch))
        b.step(small.loss(dense, batch))
    for (name, x), y in zip(lazy.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(x, y, msg=name, atol=1e-6, rtol=1e-5)


def one_row(small, optimiser, steps):
    """Return how far a number of row 3 goes in steps whose gradient is 1, at steps that skip it 0."""
    net = small.net(sparse=True)
    ours = optimiser.build(net, learning_rate=0.1, embedding_l2=0.0, clip=1e9)
    places = []
    for touched in steps:
        row = 3 if touched else 4
        ours.step(net.embedding._take(net.embedding.main, torch.tensor([row])).sum())
        places.append(float(net.embedding.main[3, 0].detach()))
    return places


def test_what_skipped_steps_do_by_hand(small):
    b1, b2 = 0.9, 0.999
    for skipped in ("frozen", "absent", "decayed"):
        start = float(small.net(sparse=True).embedding.main[3, 0].detach())
        places = one_row(small, LazyAdam(skipped=skipped), [True, False, False, True])
        assert places[0] == pytest.approx(start - 0.1, abs=1e-5)
        assert places[0] == places[1] == places[2]
        gap = 2 if skipped == "decayed" else 0
        clock = 2 if skipped == "absent" else 4
        m = (1 - b1) * (b1 ** (gap + 1) + 1)
        v = (1 - b2) * (b2 ** (gap + 1) + 1)
        move = 0.1 * (m / (1 - b1**clock)) / (v / (1 - b2**clock)) ** 0.5
        assert places[2] - places[3] == pytest.approx(move, rel=1e-4)


def test_frozen_is_torchs_sparse_adam(small):
    net = small.net(sparse=True)
    table = torch.nn.Parameter(net.embedding.main.detach().clone())
    theirs = torch.optim.SparseAdam([table], lr=1e-2)
    ours = LazyAdam().build(net, learning_rate=1e-2, embedding_l2=0.0, clip=1e9)
    for step in range(10):
        codes = small.batch(step)[0].codes[:, 1]
        codes = codes[codes != 10]
        ours.step((net.embedding._take(net.embedding.main, codes) ** 2).sum())
        theirs.zero_grad()
        (torch.nn.functional.embedding(codes, table, sparse=True) ** 2).sum().backward()
        theirs.step()
    torch.testing.assert_close(net.embedding.main, table, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("params", "numbers"), [({}, 34), ({"row_wise": True}, 19), ({"skipped": "absent"}, 36)])
def test_bytes_are_those_of_the_state(small, params, numbers):
    net = small.net(sparse=True, width=16)
    ours = LazyAdam(**params).build(net, learning_rate=1e-2, embedding_l2=0.0, clip=1.0)
    assert ours.state()["rows"].nbytes == LazyAdam(**params).table_bytes(small.V, 16) == 4 * small.V * numbers


def test_bad_parameters_are_told():
    with pytest.raises(ConfigError, match="beta1"):
        LazyAdam(beta1=1.0)
    with pytest.raises(ConfigError, match="frozen, absent, decayed"):
        LazyAdam(skipped="never")  # type: ignore[arg-type]
