from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.lpfs_fields import LPFSFields, polarised


def plan(**changes):
    given = {
        "total_codes": 12,
        "reserved": np.array([0, 1, 2]),
        "fields": ("a", "b", "c"),
        "train_rows": 1000,
        "steps": 500,
        "learning_rate": 1e-3,
    }
    return SearchPlan(**{**given, **changes})


def rows():
    return Embedded(main=torch.ones(4, 3, 2), first_order=None, floats=torch.zeros(4, 0))


@pytest.mark.parametrize(("x", "eps"), [(1.0, 0.1), (0.3, 0.1), (0.01, 1e-3), (-0.3, 0.1), (0.0, 0.1)])
def test_gates_by_hand(x, eps):
    g = x * x / (x * x + eps)
    assert float(polarised(torch.tensor(x), eps, alpha=0.0)) == pytest.approx(g, abs=1e-6)
    plus = math.copysign(g, x) + 10 * math.sqrt(eps) * math.atan(x)
    assert float(polarised(torch.tensor(x), eps, alpha=10.0)) == pytest.approx(plus, abs=1e-6)


def test_a_shut_gate_has_a_slope_in_lpfs_plus_plus_only():
    for alpha, slope in ((0.0, 0.0), (10.0, 10 * math.sqrt(0.1))):
        x = torch.zeros(1, requires_grad=True)
        polarised(x, 0.1, alpha=alpha).sum().backward()
        assert float(x.grad) == pytest.approx(slope)


@pytest.mark.parametrize(("alpha", "start"), [(0.0, 1 / 1.1), (10.0, 1 / 1.1 + 10 * math.sqrt(0.1) * math.pi / 4)])
def test_gates_begin_at_x_one(alpha, start):
    gate = LPFSFields(alpha=alpha).build(plan()).eval()
    torch.testing.assert_close(gate(rows()).main, torch.full((4, 3, 2), start))
    assert gate.kept().all()


def test_eps_falls_evenly_on_a_log_scale():
    gate = LPFSFields().build(plan())
    got = []
    for progress in (0.0, 0.5, 1.0):
        gate.advance(progress)
        got.append(gate.facts()["eps"])
    assert got == pytest.approx([0.1, 0.01, 0.001])


def test_the_published_decay_can_be_had():
    """Times .9978 each 100 steps, over 10 epochs of 8,953 steps."""
    steps = 89_530
    gate = LPFSFields(last_eps=0.1 * 0.9978 ** (steps / 100)).build(plan(steps=steps))
    gate.advance(0.25)
    assert gate.facts()["eps"] == pytest.approx(0.1 * 0.9978 ** (steps / 400))


def test_a_gate_without_a_gradient_is_exactly_shut_by_the_proximal_steps():
    """x falls by penalty x rate in each step, and shuts in a quarter of what follows the warm-up."""
    gate = LPFSFields(every=0).build(plan()).train()
    drop = gate.threshold
    assert drop == pytest.approx(1 / (0.25 * 450), rel=1e-6)
    for step in range(500):
        gate.advance(step / 499)
        (gate(rows()).main.sum() * 0).backward()
        gate.update(Alone())
        done = max(step + 1 - 50, 0)
        assert gate.x.detach().tolist() == pytest.approx([max(1 - done * drop, 0)] * 3, abs=1e-4)
    assert gate.x.tolist() == [0.0, 0.0, 0.0]
    assert not gate.kept().any()
    assert gate.scores().tolist() == [0.0, 0.0, 0.0]


def test_a_shut_gate_opens_again_in_lpfs_plus_plus_if_it_is_wanted():
    for alpha, opens in ((0.0, False), (10.0, True)):
        gate = LPFSFields(alpha=alpha, every=0, warmup=0.0).build(plan()).train()
        with torch.no_grad():
            gate.x.zero_()
        for step in range(20):
            gate.advance(step / 499)
            (-gate(rows()).main[:, 1].sum()).backward()
            gate.update(Alone())
        assert gate.kept().tolist() == [False, opens, False]


def test_the_sign_of_x_says_nothing():
    for alpha in (0.0, 10.0):
        gate = LPFSFields(alpha=alpha).build(plan())
        with torch.no_grad():
            gate.x.copy_(torch.tensor([0.5, -0.5, 0.4]))
        a, b, c = gate.scores().tolist()
        assert a == pytest.approx(b)
        assert b > c


def test_x_is_held_in_the_warmup():
    gate = LPFSFields(warmup=0.5, every=0).build(plan()).train()
    for progress, moved in ((0.2, False), (0.5, True)):
        gate.advance(progress)
        gate(rows()).main.sum().backward()
        gate.update(Alone())
        assert (gate.x.detach() != 1).all() == moved


def test_a_search_in_which_nothing_can_close_is_refused_with_the_numbers():
    with pytest.raises(
        ConfigError, match=r"no gate can close in 22 moves after the warm-up with gate_lr 0.1 and penalty"
    ):
        LPFSFields().build(plan(steps=50))
    LPFSFields(penalty=0.0).build(plan(steps=50))  # no penalty is an order only


def test_impossible_parameters_are_refused():
    for bad in (
        {"epochs": 0},
        {"rewind": 8},
        {"every": -1},
        {"eps": 1e-4},
        {"last_eps": 0.0},
        {"alpha": -1.0},
        {"penalty": -0.1},
        {"gate_lr": 0.0},
        {"warmup": 1.0},
    ):
        with pytest.raises(ConfigError):
            LPFSFields(**bad)
