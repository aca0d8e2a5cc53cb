"""Gates that touch the batch's rows only do what their dense form does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates._rows import added_up
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.models.gates.lpfs import LPFS
from ctrsel.models.gates.optfs import OptFS

V, STEPS, TRAIN_ROWS = 15, 60, 40
GATES = {
    "calibrated": CalibratedOptFS(epochs=3, nats=0.5),
    "lpfs": LPFS(alpha=0.0, epochs=3, nats=0.5, warmup=0.1),
    "lpfs_plus": LPFS(epochs=3, nats=0.5, warmup=0.1),
    "optfs": OptFS(epochs=3, nats=0.5, warmup=0.2, gate_lr=0.05),
    "optfs_published": OptFS(epochs=3, penalty=0.01, gate_lr=0.05, published=True),
}


def built(gate):
    plan = SearchPlan(
        total_codes=V, reserved=np.array([0, 1, 2]), width=2, train_rows=TRAIN_ROWS, steps=STEPS, learning_rate=1e-3
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
def test_skipped_steps_at_the_next_touch_are_the_dense_form(name, seed, share):
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


class DenseCalibrated:
    """The calibrated gates by their definition, in numpy: evidence A and Q of every value fades and grows in every step."""

    def __init__(self, *, nats, warmup, temperature, epochs):
        self.nats, self.warmup, self.temperature = nats, warmup, temperature
        self.fade = np.exp(-epochs / STEPS)
        self.done, self.a, self.q = 0, np.zeros(V), np.zeros(V)

    def w(self):
        """log(gain / nats), not below -8; reserved values stand at their price."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(self.q > 0, np.maximum(self.a, 0) ** 2 / (2 * self.q), 0.0)
            w = np.maximum(np.log(gain / self.nats), -8.0)
        w[:3] = 0.0
        return w

    def _lead(self):
        return self.w() - np.log(1 - self.fade**self.done) if self.done else np.zeros(V)

    def gates(self, progress):
        tau = self.temperature * (max(progress - self.warmup, 0.0) / (1 - self.warmup)) ** 2
        return np.minimum((1 + np.exp(-3)) / (1 + np.exp(-3 - tau * self._lead())), 1.0) if self.done else np.ones(V)

    def step(self, progress, codes, slopes, rows):
        """By the derivatives of the loss, a mean over rows, with respect to the gates of the occurrences."""
        push, gates = -slopes * rows, self.gates(progress)  # of a row's own loss
        self.a, self.q = self.a * self.fade, self.q * self.fade
        np.add.at(self.a, codes, push + gates[codes] * push**2)
        np.add.at(self.q, codes, push**2)
        self.done += 1

    def kept(self):
        return self._lead() >= 0

    def check(self, finished):
        free = slice(3, None)  # what reserved values gather is of no use
        np.testing.assert_allclose(finished.push[free], self.a[free], atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(finished.curvature[free], self.q[free], atol=1e-6, rtol=1e-6)


class DenseLPFS:
    """LPFS in numpy: every value takes a gradient step and then the proximal one of the L1 penalty, in every step."""

    def __init__(self, *, nats, warmup, alpha):
        self.warmup, self.alpha, self.held = warmup, alpha, round(warmup * STEPS)
        self.reach = 1 / (0.4 * (STEPS - self.held))
        self.rate = self.reach * TRAIN_ROWS / nats
        self.done, self.x = 0, np.ones(V)

    def _eps(self, progress):
        return 0.1 * 0.01 ** (max(progress - self.warmup, 0.0) / (1 - self.warmup))

    def _function(self, x, eps):
        return x**2 / (x**2 + eps) + self.alpha * np.sqrt(eps) * np.arctan(x)

    def w(self):
        return self.x.copy()

    def gates(self, progress):
        return self._function(self.x, self._eps(progress)) / self._function(1.0, 0.1)

    def step(self, progress, codes, slopes, rows):
        if self.done >= self.held:
            eps, x, sums = self._eps(progress), self.x, np.zeros(V)
            np.add.at(sums, codes, slopes)
            slope = 2 * x * eps / (x**2 + eps) ** 2 + self.alpha * np.sqrt(eps) / (1 + x**2)
            move = np.clip(self.rate * slope / self._function(1.0, 0.1) * sums, -0.1, 0.1)
            self.x = np.maximum(np.maximum(x - move, 0.0) - self.reach, 0.0)
            self.x[:3] = 1.0
        self.done += 1

    def kept(self):
        return self.x**2 > self._eps(1.0)

    def check(self, finished):
        np.testing.assert_allclose(finished.w, self.x, atol=1e-6)


class DenseOptFS:
    """OptFS in numpy: Adam moves every gate in every step by the loss's gradient and the price's."""

    def __init__(self, *, strength, warmup=0.0, epochs=None):
        self.strength, self.warmup, self.epochs = strength, warmup, epochs
        self.done, self.steps, self.x, self.m, self.v = 0, 0, np.full(V, 0.5), np.zeros(V), np.zeros(V)

    def _tau(self, progress):
        if self.epochs is None:
            return 1000.0 ** max((progress - self.warmup) / (1 - self.warmup), 0.0)
        return 1000.0 ** (self.done // (STEPS // self.epochs) / (self.epochs - 1))

    def w(self):
        return self.x.copy()

    def gates(self, progress):
        return (1 + np.exp(-0.5)) * expit(self._tau(progress) * self.x)

    def step(self, progress, codes, slopes, rows):
        if progress >= self.warmup:
            tau, sums = self._tau(progress), np.zeros(V)
            np.add.at(sums, codes, slopes)
            s = expit(tau * self.x)
            slope = tau * s * (1 - s) * (sums * (1 + np.exp(-0.5)) + self.strength)
            self.steps += 1
            self.m = 0.9 * self.m + 0.1 * slope
            self.v = 0.999 * self.v + 0.001 * slope**2
            root = np.sqrt(self.v / (1 - 0.999**self.steps)) + 1e-8
            self.x = self.x - 0.05 * self.m / (1 - 0.9**self.steps) / root
            self.x[:3] = 0.5
        self.done += 1

    def kept(self):
        return self.x > 0

    def check(self, finished):
        free = slice(3, None)
        np.testing.assert_allclose(finished.m[free], self.m[free], atol=1e-9)
        np.testing.assert_allclose(finished.v[free], self.v[free], atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize(
    ("name", "dense"),
    [
        ("calibrated", lambda: DenseCalibrated(nats=0.5, warmup=0.3, temperature=50.0, epochs=3)),
        ("lpfs", lambda: DenseLPFS(nats=0.5, warmup=0.1, alpha=0.0)),
        ("lpfs_plus", lambda: DenseLPFS(nats=0.5, warmup=0.1, alpha=10.0)),
        ("optfs", lambda: DenseOptFS(strength=0.5 / TRAIN_ROWS, warmup=0.2)),
        ("optfs_published", lambda: DenseOptFS(strength=0.01, epochs=3)),
    ],
    ids=list(GATES),
)
def test_gates_are_those_of_a_dense_form_by_the_formulas(name, dense, share, seed):
    """A value is in a step's batch or not at random; the losses' derivatives are worked out by hand as well."""
    module, dense, rng = built(GATES[name]), dense(), np.random.default_rng(seed)
    x = np.linspace(-1, 1, 2 * V).reshape(V, 2)
    other = np.array([0.1, -0.2])
    origin = other if module.toward_other else np.zeros(2)
    moved = set()
    for i in range(STEPS):
        progress = i / (STEPS - 1)
        some = np.flatnonzero(rng.random(V) < share)
        codes = rng.choice(some if len(some) else [3], size=(6, 2))
        target = rng.normal(size=(6, 2, 2))
        from_here = x[codes] - origin
        out = origin + dense.gates(progress)[codes][..., None] * from_here
        slopes = 2 * ((out - target) * from_here).sum(-1) + from_here[..., 0] * target[..., 0]  # main, and first order
        step(module, progress, torch.from_numpy(codes), torch.from_numpy(target), torch.from_numpy(other))
        dense.step(progress, codes.ravel(), slopes.ravel() / 6, 6)
        np.testing.assert_allclose(module.now(), dense.w(), atol=1e-6, rtol=1e-6)
        moved |= set(np.round(dense.w(), 9))
    assert len(moved) > STEPS  # there was something to follow
    module.finish()
    np.testing.assert_allclose(module.w, dense.w(), atol=1e-6, rtol=1e-6)
    dense.check(module)
    assert module.kept().tolist() == dense.kept().tolist()


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
