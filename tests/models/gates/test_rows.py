"""Gates that touch the batch's rows only do what their dense form does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates._rows import added_up
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.models.gates.lpfs import LPFS

V, STEPS = 15, 60
GATES = {
    "calibrated": CalibratedOptFS(epochs=3, nats=0.5),
    "lpfs": LPFS(epochs=3, nats=0.5, warmup=0.1),
    "lpfs_plus": LPFS(alpha=10.0, epochs=3, nats=0.5, warmup=0.1),
}


def built(gate):
    plan = SearchPlan(
        total_codes=V, reserved=np.array([0, 1, 2]), width=2, train_rows=40, steps=STEPS, learning_rate=1e-3
    )
    module = gate.build(plan).double()
    module.w = module.w.double()
    return module


def step(module, progress, codes, target, other):
    """One step of a loss in which every row wants to be another one."""
    module.advance(progress)
    x = torch.linspace(-1, 1, 2 * V, dtype=torch.float64).view(V, 2)
    out = module(x[codes], codes, other=other if module.toward_other else None)
    first = module(x[codes][..., :1], codes, other=other[:1] if module.toward_other else None)
    loss = (((out - target) ** 2).sum() + (first * target[..., :1]).sum()) / len(codes)
    loss.backward()
    exchange = Alone()
    exchange.rows = len(codes)
    module.update(exchange)


@pytest.mark.parametrize("name", GATES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 1.0))
def test_skipped_steps_in_closed_form_are_the_dense_form(name, seed, share):
    """The dense form is brought up to date after every step, so that each value takes each of its steps by itself."""
    lazy, dense = built(GATES[name]), built(GATES[name])
    rng = np.random.default_rng(seed)
    g = torch.Generator().manual_seed(seed)
    other = torch.tensor([0.1, -0.2], dtype=torch.float64)
    for i in range(STEPS):
        some = np.flatnonzero(rng.random(V) < share)
        codes = torch.from_numpy(rng.choice(some if len(some) else [3], size=(6, 2)))
        target = torch.randn(6, 2, 2, generator=g, dtype=torch.float64)
        for module in (lazy, dense):
            step(module, i / (STEPS - 1), codes, target, other)
        dense.finish()
        torch.testing.assert_close(lazy.now(), dense.now(), atol=1e-6, rtol=1e-6)
    lazy.finish()
    for key, value in dense.state_dict().items():
        torch.testing.assert_close(lazy.state_dict()[key].double(), value.double(), atol=1e-6, rtol=1e-6)
    assert torch.equal(lazy.kept(), dense.kept())
    assert lazy.kept()[:3].all()


@pytest.mark.parametrize("name", GATES)
def test_a_gate_goes_on_from_its_buffers(name):
    """All that it remembers between steps is in what a checkpoint holds."""
    one, two = built(GATES[name]), built(GATES[name])
    other = torch.zeros(2, dtype=torch.float64)
    for i in range(20):
        codes = torch.tensor([[3 + i % 5, 9], [4, 10]])
        target = torch.full((2, 2, 2), float(np.sin(i)), dtype=torch.float64)
        step(one, i / STEPS, codes, target, other)
        if i == 9:
            two.load_state_dict(one.state_dict())
        if i > 9:
            step(two, i / STEPS, codes, target, other)
    assert torch.equal(one.now(), two.now())


@pytest.mark.parametrize("name", GATES)
def test_an_evaluation_leaves_nothing_behind(name):
    module = built(GATES[name])
    codes, x = torch.arange(V), torch.ones(V, 2, dtype=torch.float64)
    step(module, 0.5, codes[None, 3:], torch.ones(1, V - 3, 2, dtype=torch.float64), torch.zeros(2).double())
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module.eval()
    module(x, codes)
    module(x, codes, hard=True)
    module.train()
    with torch.no_grad():
        module(x, codes)
    assert not module._pass
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


@pytest.mark.parametrize("name", GATES)
def test_gates_are_no_parameters(name):
    assert not list(built(GATES[name]).parameters())


@pytest.mark.parametrize("with_other", [True, False])
def test_the_gradient_of_scaling_is_that_of_finite_differences(with_other):
    from ctrsel.models.gates._rows import _Scaled

    g = torch.Generator().manual_seed(1)
    x = torch.randn(3, 2, 4, generator=g, dtype=torch.float64, requires_grad=True)
    gate = torch.rand(3, 2, generator=g, dtype=torch.float64, requires_grad=True)
    other = torch.randn(2, 4, generator=g, dtype=torch.float64, requires_grad=True) if with_other else None
    assert torch.autograd.gradcheck(lambda x, gate: _Scaled.apply(x, gate, other, None), (x, gate))
    if with_other:
        assert torch.autograd.gradcheck(lambda o: _Scaled.apply(x, gate, o, None), (other,))


def test_added_up_by_hand():
    codes, sums, squares = added_up(torch.tensor([5, 2, 5]), torch.tensor([1.0, 2.0, -4.0]), torch.empty(0))
    assert codes.tolist() == [2, 5]
    assert sums.tolist() == [2.0, -3.0]
    assert squares.tolist() == [4.0, 17.0]
    assert [len(t) for t in added_up(torch.empty(0, dtype=torch.int64), torch.empty(0), torch.empty(0))] == [0, 0, 0]
