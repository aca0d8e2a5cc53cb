"""LPFS and LPFS++ on values: functions, slopes and steps by hand, and what a search does with a value that harms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.lpfs import LPFS


def plan(**changes):
    given = {
        "total_codes": 8,
        "reserved": np.array([0, 1, 2]),
        "width": 2,
        "train_rows": 1000,
        "steps": 100,
        "learning_rate": 1e-3,
    }
    return SearchPlan(**{**given, **changes})


def built(*, x=1.0, steps=100, alpha=0.0, **given):
    """A gate whose free values are at x: LPFS, or with an alpha LPFS++."""
    module = LPFS(alpha=alpha, **given).build(plan(steps=steps))
    with torch.no_grad():
        module.w[3:] = torch.as_tensor(x)
    return module


def step(module, pull, codes=((3,),)):
    """One step in which the loss is the sum of `pull` times the gated rows, each of which is (1, 2)."""
    codes = torch.tensor(codes)
    rows = torch.tensor([1.0, 2.0]).expand(*codes.shape, 2)
    (module(rows, codes) * torch.as_tensor(pull)).sum().backward()
    module.update(Alone())


def formula(x, eps, alpha):
    return x**2 / (x**2 + eps) + alpha * eps**0.5 * torch.atan(x)


@pytest.mark.parametrize(
    ("alpha", "want"),
    [
        # x^2 / (x^2 + .1) over its value at 1, which is 1 / 1.1
        (0.0, [0.0, 0.01 / 0.11 * 1.1, 0.25 / 0.35 * 1.1, 1.0, 4 / 4.1 * 1.1]),
        # with 10 sqrt(.1) atan(x); at 1 that makes .909091 + 3.162278 * .785398 = 3.392738
        (10.0, [0.0, 0.119694, 0.642687, 1.0, 1.319501]),
    ],
)
def test_gates_start_at_one_and_are_the_paper_s_functions(alpha, want):
    module = built(x=[0.0, 0.1, 0.5, 1.0, 2.0], alpha=alpha).eval()
    got = module(torch.ones(5, 1), torch.arange(3, 8)).flatten().tolist()
    assert got == pytest.approx(want, abs=1e-5)
    ones = torch.ones(3, 2)
    torch.testing.assert_close(module(ones, torch.tensor([0, 1, 2])), ones)


@pytest.mark.parametrize("alpha", [0.0, 10.0])
def test_step_zero_is_the_ungated_lookup(alpha):
    module = LPFS(alpha=alpha).build(plan())
    x, codes = torch.randn(7, 3, 2), torch.randint(0, 8, (7, 3))
    torch.testing.assert_close(module(x, codes), x, atol=0, rtol=2e-7)


def test_eps_waits_for_the_warmup_and_falls_evenly_on_a_log_scale():
    module, got = built(warmup=0.5), []
    for progress in (0.0, 0.49, 0.75, 1.0):
        module.advance(progress)
        got.append(module.facts()["eps"])
    assert got == pytest.approx([0.1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize("alpha", [0.0, 10.0])
@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_a_step_goes_by_the_slope_of_the_formula(alpha, progress):
    """The slope is autograd's of the formula above; the gradient is so small that no step is cut short."""
    module = built(alpha=alpha, warmup=0.0).double()
    module.advance(progress)
    eps = 0.1 * 0.01**progress
    x = torch.tensor([0.1, 0.3, 0.6, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(formula(x, eps, alpha).sum(), x)
    slope = slope / formula(torch.tensor(1.0, dtype=torch.float64), 0.1, alpha)
    sums = torch.tensor([1e-4, -2e-4, 3e-4, 1e-4, -5e-4], dtype=torch.float64)
    skipped = torch.zeros(5, dtype=torch.int32)
    got = module.moved(torch.arange(3, 8), x.detach(), sums, sums**2, skipped=skipped, rows=1)
    reach = 1 / (0.4 * 100)  # a gate without a gradient closes in 40 of the 100 steps
    rate = reach * 1000 / 4  # lambda = 4 nats / 1000 rows, reach = rate * lambda
    torch.testing.assert_close(got, x.detach() - rate * slope * sums - reach, atol=1e-8, rtol=1e-6)


def test_a_step_by_hand():
    """reach .025, rate 6.25; at x = 1 the slope is (2 * .1 / 1.1^2) * 1.1 = .181818."""
    module = built(warmup=0.0)
    pull = [[[0.01, -0.002]], [[-0.03, 0.02]], [[0.001, 0.001]], [[1.0, 1.0]], [[-1.0, -1.0]]]
    step(module, pull, codes=((3,), (4,), (3,), (5,), (6,)))
    want = [
        1 - 6.25 * 0.181818 * (0.006 + 0.003) - 0.025,  # dL/dg is a row's pull times the row (1, 2), added up by value
        1 - 6.25 * 0.181818 * 0.01 - 0.025,
        1 - 0.1 - 0.025,  # 3.4 is cut to .1
        1 + 0.1 - 0.025,
        1 - 0.025,  # not in the batch
    ]
    assert module.now()[3:].tolist() == pytest.approx(want, abs=1e-6)
    assert module.now()[:3].tolist() == [1, 1, 1]
    assert module.scores().tolist() == module.now().tolist()


def test_a_step_over_zero_ends_there():
    module = built(x=[0.05, 0.01, 0.02, 0.03, 0.5], warmup=0.0, alpha=10.0)
    step(module, [[[1.0, 0.0]], [[-1.0, 0.0]], [[-1e-9, 0.0]]], codes=((3,), (4,), (5,)))
    # .05 - .1 is below 0; .01 + .1 - .025; .02 - .025 is below 0; the others are not in the batch
    assert module.now()[3:].tolist() == pytest.approx([0.0, 0.085, 0.0, 0.005, 0.475], abs=1e-6)
    step(module, [[[1.0, 0.0]]])
    assert module.now()[3:].tolist() == pytest.approx([0.0, 0.06, 0.0, 0.0, 0.45], abs=1e-6)


def test_gates_are_held_in_the_warmup():
    module = built(warmup=0.3)
    for _ in range(30):
        step(module, [[[1.0, 1.0]]])
    assert module.now().tolist() == [1.0] * 8
    step(module, [[[1.0, 1.0]]])
    reach = 1 / (0.4 * 70)
    assert module.now()[3:5].tolist() == pytest.approx([1 - 0.1 - reach, 1 - reach])


def test_a_gate_without_a_gradient_closes_after_its_share_of_the_search():
    """Of the 70 steps after the warm-up 28; x^2 > eps ends a little before."""
    module = built(warmup=0.3)
    for i in range(100):
        module.advance(i / 99)
        module.update(Alone())
        done = max(i + 1 - 30, 0)
        assert module.now()[3:].tolist() == pytest.approx([max(1 - done / 28, 0)] * 5, abs=1e-5)
        eps = 0.1 * 0.01 ** max((i / 99 - 0.3) / 0.7, 0)
        assert bool(module.kept()[3]) == ((1 - done / 28) ** 2 > eps and done < 28)
    module.finish()
    assert module.w[3:].tolist() == [0.0] * 5
    assert module.kept().tolist() == [True] * 3 + [False] * 5


@pytest.mark.parametrize(("alpha", "opens"), [(0.0, False), (10.0, True)])
def test_a_closed_gate_opens_again_in_lpfs_plus_plus_if_it_is_wanted(alpha, opens):
    """At 0 the slope is 0, or 10 sqrt(.1) / 3.392738: with a pull of -1 a step of .1 less the reach."""
    module = built(x=0.0, alpha=alpha, warmup=0.0)
    assert not module.kept()[3:].any()
    step(module, [[[-1.0, 0.0]]])
    assert float(module.now()[3]) == pytest.approx(0.075 if opens else 0.0)
    for _ in range(9):
        step(module, [[[-1.0, 0.0]]])
    assert module.kept()[3:].tolist() == [opens, False, False, False, False]
    if not opens:
        assert float(module.now()[3]) == 0.0


@pytest.mark.parametrize("alpha", [0.0, 10.0])
@pytest.mark.parametrize("pull", [0.003, 0.03, 0.3, 3.0])
@pytest.mark.parametrize("steps", [100, 400])
def test_a_gate_that_only_does_harm_is_closed_at_the_end(alpha, pull, steps):
    """A step that the data asks for is up to .1 and would lead over 0; neither score nor gate is ever negative."""
    module = built(alpha=alpha, steps=steps)
    codes, rows = torch.tensor([[3], [4]]), torch.ones(2, 1, 2)
    for i in range(steps):
        module.advance(i / (steps - 1))
        out = module(rows, codes)
        assert bool((out >= 0).all())
        (out * torch.tensor([pull, -pull])[:, None, None]).sum().backward()
        module.update(Alone())
        assert bool((module.scores() >= 0).all())
    module.finish()
    assert not module.kept()[3]
    assert float(module.scores()[3]) == 0.0
    assert module(rows, codes, hard=True)[0].tolist() == [[0.0, 0.0]]
    assert bool(module.kept()[4]) or pull < 0.03  # what is wanted stays, if it earns its price


def test_a_hard_gate_is_the_scale_where_x_is_beyond_the_root_of_eps():
    module = built(x=[0.0, 0.03, 0.032, 0.5, 1.0])  # the root of .001 is .0316
    module.advance(1.0)
    got = module(torch.ones(5, 1), torch.arange(3, 8), hard=True).flatten().tolist()
    assert got == pytest.approx([0.0, 0.0, 1.1, 1.1, 1.1])
    assert math.isclose(module.scale, 1.1, rel_tol=1e-6)
    assert module.kept()[3:].tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"rewind": 6},
        {"rewind": -1},
        {"patience": -1},
        {"nats": 0.0},
        {"alpha": -1.0},
        {"eps": 0.0},
        {"last_eps": 0.0},
        {"idle": 0.0},
        {"idle": 1.0},
        {"warmup": 1.0},
    ],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        LPFS(**bad)
