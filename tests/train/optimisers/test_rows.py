from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.optfs import OptFS
from ctrsel.train.net import NetLearner
from ctrsel.train.optimisers import _rows_loops as loops
from ctrsel.train.optimisers._rows import RowUpdates
from ctrsel.train.optimisers.dense_adam import DenseAdam
from ctrsel.train.optimisers.lazy_adagrad import LazyAdagrad, _Adagrad
from ctrsel.train.optimisers.lazy_adam import LazyAdam, _Adam

RULES = [
    LazyAdam(),
    LazyAdam(row_wise=True, beta1=0.8),
    LazyAdam(skipped="absent"),
    LazyAdam(skipped="decayed", row_wise=True),
    LazyAdagrad(),
    LazyAdagrad(row_wise=True, table_rate=3.0),
]
IDS = [str(i) for i in range(len(RULES))]


def updates(params, net, *, compiled=None, l2=0.0, clip=1e9, rate=1e-2):
    rule = _Adam(params) if isinstance(params, LazyAdam) else _Adagrad(params)
    return RowUpdates(net, rule, learning_rate=rate, embedding_l2=l2, clip=clip, compiled=compiled)


def weights(net):
    return {k: v.detach().clone() for k, v in net.state_dict().items()}


def assert_same(a, b, *, atol=1e-6, rtol=1e-5):
    for name, value in a.items():
        torch.testing.assert_close(
            value, b[name].to(value.dtype), msg=lambda m, name=name: f"{name}: {m}", atol=atol, rtol=rtol
        )


@pytest.mark.parametrize("params", RULES, ids=IDS)
@pytest.mark.parametrize(("l2", "clip"), [(0.0, 1e9), (0.3, 0.05)])
def test_compiled_rows_move_as_torchs_in_float64(small, params, l2, clip):
    fast, exact = small.net(sparse=True), small.net(sparse=True, dtype=torch.float64)
    exact.load_state_dict(fast.state_dict())
    ours = updates(params, fast, l2=l2, clip=clip)
    theirs = updates(params, exact, l2=l2, clip=clip)
    assert ours._compiled
    assert not theirs._compiled
    for step in range(12):
        ours.step(small.loss(fast, small.batch(step)))
        theirs.step(small.loss(exact, small.batch(step, dtype=torch.float64)))
    assert_same(weights(fast), weights(exact), atol=3e-6)
    torch.testing.assert_close(ours._state, theirs._state.float(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("params", RULES, ids=IDS)
def test_untouched_rows_stay_to_the_bit_and_touched_ones_move(small, params):
    net = small.net(sparse=True)
    ours = updates(params, net, l2=0.1)
    for step in range(4):
        before, state = weights(net), ours._state.clone()
        inputs, labels = small.batch(step)
        inputs = inputs._replace(codes=inputs.codes.clamp(max=torch.tensor([5, 13, 19])))
        (offsets, tags) = inputs.lists["tags"]
        inputs = inputs._replace(lists={"tags": (offsets, tags.clamp(max=19))})
        ours.step(small.loss(net, (inputs, labels)))
        empty = [16] if bool((offsets.diff() == 0).any()) else []
        touched = sorted({*inputs.codes.flatten().tolist(), *inputs.lists["tags"][1].tolist(), *empty} - {2, 10, 18})
        rest = [r for r in range(small.V) if r not in touched]
        assert {6, 7, 14, 15, 20, 21, 22, 23} <= set(rest)
        for table, old in zip(
            net.embedding.tables(), [before["embedding.main"], before["embedding.first"]], strict=True
        ):
            assert torch.equal(table[rest], old[rest])
            assert bool((table[touched] != old[touched]).reshape(len(touched), -1).any(1).all())
        assert torch.equal(ours._state[rest], state[rest])
    assert not net.embedding.main[net.embedding.hidden].any()
    assert not net.embedding.first[net.embedding.hidden].any()


def test_the_norm_is_that_of_all_gradients_together(small):
    lazy, dense = small.net(sparse=True), small.net(sparse=False)
    a = LazyAdam().build(lazy, learning_rate=1e-2, embedding_l2=0.0, clip=0.02)
    b = DenseAdam().build(dense, learning_rate=1e-2, embedding_l2=0.0, clip=0.02)
    for step in range(3):
        a.step(small.loss(lazy, small.batch(step, every_row=True)))
        b.step(small.loss(dense, small.batch(step, every_row=True)))
    assert_same(weights(lazy), weights(dense))


@pytest.mark.parametrize("params", RULES, ids=IDS)
def test_threads_change_nothing(small, params):
    found = []
    for threads in (1, 2, 5):
        net = small.net(sparse=True, width=17)
        ours = updates(params, net, l2=0.1, clip=0.1)
        before = torch.get_num_threads()
        for step in range(4):
            loss = small.loss(net, small.batch(step))
            torch.set_num_threads(threads)
            try:
                ours.step(loss)
            finally:
                torch.set_num_threads(before)
        found.append((weights(net), ours._state.clone()))
    for other, state in found[1:]:
        assert all(torch.equal(v, other[k]) for k, v in found[0][0].items() if "embedding" in k)
        assert torch.equal(found[0][1], state)


@pytest.mark.parametrize("params", RULES, ids=IDS)
@pytest.mark.parametrize("compiled", [True, False])
def test_going_on_from_a_state_is_exact(small, params, compiled):
    first = small.net(sparse=True)
    one = updates(params, first, compiled=compiled, l2=0.1)
    for step in range(3):
        one.step(small.loss(first, small.batch(step)))
    one.lower(0.5, floor=1e-6)
    state, kept = {k: v.clone() for k, v in one.state().items()}, weights(first)
    second = small.net(sparse=True, seed=9)
    second.load_state_dict(kept)
    two = updates(params, second, compiled=compiled, l2=0.1)
    two.restore(state)
    for step in range(3, 6):
        for updated, net in ((one, first), (two, second)):
            updated.step(small.loss(net, small.batch(step)))
    assert all(torch.equal(v, weights(second)[k]) for k, v in weights(first).items())
    assert all(torch.equal(v, two.state()[k]) for k, v in one.state().items())
    assert two.learning_rate == pytest.approx(5e-3)


def test_a_gate_moves_itself_and_scales_in_the_graph(small):
    nets = []
    for sparse, optimiser in ((True, LazyAdam()), (False, DenseAdam())):
        net = small.net(sparse=sparse)
        plan = SearchPlan(
            total_codes=small.V, reserved=np.array([0, 1, 2]), train_rows=16, steps=1000, learning_rate=1e-2
        )
        net.gate = OptFS(epochs=3, rewind=1, warmup=0.0).build(plan)
        ours = optimiser.build(net, learning_rate=1e-2, embedding_l2=0.0, clip=1e9)
        for step in range(4):
            net.gate.advance(step / 999)
            ours.step(small.loss(net, small.batch(step, every_row=True)))
            net.gate.update(Alone())
        nets.append({**weights(net), "gate": net.gate.now()})
    assert (nets[0]["gate"][3:] != 0.5).any()
    assert_same(*nets)


def test_tables_with_codes_of_their_own_are_searched_apart(small):
    net = small.net(sparse=True, floats=())
    exact = small.net(sparse=True, floats=(), dtype=torch.float64)
    a, b = updates(LazyAdam(skipped="decayed"), net), updates(LazyAdam(skipped="decayed"), exact)

    def loss(n):
        e = n.embedding
        return e._take(e.main, torch.tensor([3, 4, 4, 9])).sum() + (e._take(e.first, torch.tensor([4, 20])) ** 2).sum()

    for _ in range(3):
        a.step(loss(net))
        b.step(loss(exact))
    assert_same(weights(net), weights(exact))


def test_tables_of_one_width_that_share_a_gradient(small):
    net, exact = small.net(sparse=True, width=1), small.net(sparse=True, width=1, dtype=torch.float64)

    def loss(n):
        e, codes = n.embedding, torch.tensor([3, 3, 5])
        return ((e._take(e.main, codes) + e._take(e.first, codes)) ** 2).sum()

    a, b = updates(LazyAdagrad(), net), updates(LazyAdagrad(), exact)
    a.step(loss(net))
    b.step(loss(exact))
    assert_same(weights(net), weights(exact))


def test_a_step_without_rows_of_tables(small):
    net = small.net(sparse=True)
    ours, before = updates(LazyAdam(), net), weights(net)
    ours.step(sum(p.square().sum() for p in net.backbone.parameters()))
    assert torch.equal(net.embedding.main, before["embedding.main"])
    assert not torch.equal(net.backbone.mlp[0].weight, before["backbone.mlp.0.weight"])


def test_a_net_may_be_its_tables_alone(small):
    net = small.net(sparse=True, floats=())
    net.backbone = torch.nn.Identity()
    ours = updates(LazyAdagrad(), net)
    before = net.embedding.main.detach().clone()
    ours.step(net.embedding._take(net.embedding.main, torch.tensor([3])).sum())
    assert not torch.equal(net.embedding.main, before)
    ours.restore({k: v.clone() for k, v in ours.state().items()})


def test_a_dense_net_is_refused(small):
    with pytest.raises(ValueError, match="sparse=True"):
        LazyAdam().build(small.net(sparse=False), learning_rate=1e-2, embedding_l2=0.0, clip=1.0)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(0, 300), min_size=0, max_size=200),
    width=st.integers(1, 20),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_rows_are_found_and_their_gradients_added_up(rows, width, threads, seed):
    codes, n = np.array(rows, dtype=np.int64), len(rows)
    rng = np.random.default_rng(seed)
    g, g2 = rng.normal(size=(n, width)).astype(np.float32), rng.normal(size=(n, 1)).astype(np.float32)
    table, table2 = rng.normal(size=(301, width)).astype(np.float32), rng.normal(size=(301, 1)).astype(np.float32)
    want, want2 = np.zeros((301, width)), np.zeros((301, 1))
    np.add.at(want, codes, g.astype(np.float64))
    np.add.at(want2, codes, g2.astype(np.float64))
    distinct, hidden = np.unique(codes), np.array([7, 250])
    want[distinct] += 0.5 * table[distinct]
    want2[distinct] += 0.5 * table2[distinct]
    distinct = np.setdiff1d(distinct, hidden)
    want[hidden], want2[hidden] = 0.0, 0.0
    order, found = np.empty(n, np.int32), np.empty(n, np.int32)
    starts, ends, squares = np.empty(loops.PARTS + 1, np.int64), np.empty(loops.PARTS, np.int64), np.empty(loops.PARTS)
    loops.deal(codes, order, starts)
    for t in range(threads):
        loops.add_up(
            codes, order, starts, t, threads, hidden, np.float32(0.5), table, g, table2, g2, found, ends, squares
        )  # fmt: skip
    at = np.concatenate([found[a:b] for a, b in zip(starts[:-1], ends, strict=True)] or [found])
    assert sorted(codes[at].tolist()) == distinct.tolist()
    np.testing.assert_allclose(g[at], want[codes[at]], atol=1e-5)
    np.testing.assert_allclose(g2[at], want2[codes[at]], atol=1e-5)
    np.testing.assert_allclose(squares.sum(), (want**2).sum() + (want2**2).sum(), rtol=1e-4)


def test_a_learner_trains_with_rows(small):
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.testing.tables import tiny_table

    table = tiny_table(rows=1500).without("test")
    learner = NetLearner(
        backbone=DeepFM(hidden=(16,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=4, embedding_l2=0.0
    )
    for optimiser in (LazyAdam(), LazyAdagrad()):
        fit = replace(learner, optimiser=optimiser).fit(table, seed=1)
        assert fit.valid["auc"] > 0.65
        again = replace(learner, optimiser=optimiser).fit(table, seed=1)
        assert fit.valid == again.valid
