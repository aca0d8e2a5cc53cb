from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.optfs import OptFS, _idle
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.pieces import in_pieces


def plan(**changes):
    given = {
        "total_codes": 12,
        "reserved": np.array([0, 1, 2]),
        "train_rows": 1000,
        "steps": 500,
        "learning_rate": 1e-3,
    }
    return SearchPlan(**{**given, **changes})


def test_step_zero_is_the_ungated_lookup():
    gate = OptFS().build(plan())
    x, codes = torch.randn(7, 3, 5), torch.randint(0, 12, (7, 3))
    torch.testing.assert_close(gate(x, codes), x, atol=0, rtol=2e-7)


def test_temperature_table():
    """T = 10, gamma = 1000, as the released code has it at the start of each epoch."""
    gate = OptFS(epochs=10, temperature=1000.0, warmup=0.0).build(plan())
    want = [1, 2.154, 4.642, 10, 21.54, 46.42, 100, 215.4, 464.2, 1000]
    got = []
    for t in range(10):
        gate.advance(t / 9)
        got.append(gate.facts()["tau"])
    np.testing.assert_allclose(got, want, rtol=1e-3)


def test_gate_and_penalty_by_hand():
    gate = OptFS(warmup=0.0).build(plan(total_codes=5))
    with torch.no_grad():
        gate.w.copy_(torch.tensor([0.5, 0.5, 0.5, 0.2, -0.3]))
    gate.advance(1 / 3)  # tau = 10
    open_, closed = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(3))
    scale = 1 + math.exp(-0.5)
    assert gate.scale == pytest.approx(1.606531, abs=1e-6)
    x = torch.ones(2, 1)
    codes = torch.tensor([3, 4])
    assert gate(x, codes).flatten().tolist() == pytest.approx([open_ * scale, closed * scale], rel=1e-5)
    slopes = gate.priced.slope(gate.w[3:], gate.tau) / gate.priced.strength  # of the sum of both, tau g (1 - g) each
    assert slopes.tolist() == pytest.approx([10 * g * (1 - g) for g in (open_, closed)], rel=1e-5)
    assert gate(x, codes, hard=True).flatten().tolist() == pytest.approx([scale, 0.0])
    assert gate.kept().tolist() == [True, True, True, True, False]


def test_a_hard_gate_does_not_depend_on_the_size_of_w_or_the_temperature():
    gate = OptFS().build(plan())
    x, codes = torch.randn(4, 2), torch.tensor([3, 4, 5, 6])
    with torch.no_grad():
        gate.w[3:7] = torch.tensor([0.1, -0.1, 1e-6, -1e-6])
    before = gate(x, codes, hard=True)
    with torch.no_grad():
        gate.w.mul_(1e4)
    gate.advance(1.0)
    torch.testing.assert_close(gate(x, codes, hard=True), before)


def test_only_advance_moves_the_temperature_and_forward_moves_nothing():
    gate = OptFS().build(plan()).train()
    before = {k: v.clone() for k, v in gate.state_dict().items()}
    gate(torch.randn(4, 2), torch.tensor([3, 4, 5, 6]))
    assert gate.price() is None  # it is part of the gate's own steps
    gate.kept()
    assert all(torch.equal(v, before[k]) for k, v in gate.state_dict().items())


def test_reserved_codes_get_no_gradient_and_stay_open():
    gate = OptFS(warmup=0.0).build(plan())
    gate.advance(0.0)
    before = gate.w.clone()
    (gate(torch.ones(12, 1, requires_grad=True), torch.arange(12)).sum() * 5).backward()
    gate.update(Alone())
    gate.update(Alone())
    gate.finish()
    assert torch.equal(gate.w[:3], before[:3])
    assert (gate.w[3:] != before[3:]).all()


@pytest.mark.parametrize(
    ("rate", "strength", "per_epoch", "want"),
    [
        (3e-4, 2e-9, 8953, [0.3778, 0.1341, -0.3177]),
        (1e-3, 1e-6, 50, [0.4520, 0.3897, 0.3211, 0.2689, 0.2510, 0.2489]),
    ],
)
def test_idle_gate_follows_adam(rate, strength, per_epoch, want):
    """Values of a gate without data at the end of each epoch, by an independent simulation with epoch-wise tau."""
    taus = [1000 ** (t / 9) for t in range(10) for _ in range(per_epoch)]  # T = 10, gamma = 1000, as published
    for t, expected in enumerate(want):
        closed, w = _idle(taus[: (t + 1) * per_epoch], rate=rate, strength=strength)
        assert (closed is not None) == (expected < 0)
        if closed is None:
            assert w == pytest.approx(expected, abs=1e-4)
        else:
            assert t * per_epoch < closed <= (t + 1) * per_epoch


def test_idle_gate_is_torchs_adam():
    parameter = torch.nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
    adam = torch.optim.Adam([parameter], lr=2e-3)
    taus = [50 ** (t / 199) for t in range(150)]
    for tau in taus:
        adam.zero_grad()
        (1e-6 * torch.sigmoid(tau * parameter)).sum().backward()
        adam.step()
    assert _idle(taus, rate=2e-3, strength=1e-6)[1] == pytest.approx(float(parameter.detach()), abs=1e-10)


def test_a_search_in_which_nothing_can_close_is_refused_with_the_numbers():
    """Frappe has 50 steps an epoch: with the net's rate every gate stays open, whatever the penalty."""
    with pytest.raises(
        ConfigError, match=r"no gate can close in 500 steps after the warm-up with gate_lr 0.001.*ends at w = 0\.\d+"
    ):
        OptFS(gate_lr=1e-3, penalty=1e-6, warmup=0.0).build(plan())
    OptFS(gate_lr=5e-3, penalty=1e-6, warmup=0.0).build(plan())


@pytest.mark.parametrize("steps", [120, 500, 3000])
def test_the_derived_rate_closes_an_idle_gate_in_a_twentieth_of_the_search(steps):
    gate = OptFS(warmup=0.0).build(plan(steps=steps))
    assert gate.priced.strength == 1e-3  # a nat over 1,000 training rows
    taus = [1000 ** (t / (steps - 1)) for t in range(steps)]
    closed, _ = _idle(taus, rate=gate.priced.rate, strength=gate.priced.strength)
    assert closed is not None
    assert closed <= max(steps / 20, 1)
    assert gate.priced.rate >= 1e-3


def test_a_short_search_closes_an_idle_gate_before_its_half():
    gate = OptFS(warmup=0.0).build(plan(steps=20))
    assert 0.08 < gate.priced.rate <= 0.1


def test_a_long_search_uses_the_nets_rate():
    assert OptFS().build(plan(steps=40_000)).priced.rate == 1e-3


def test_too_few_steps_for_any_rate():
    with pytest.raises(ConfigError, match="half of 3 steps"):
        OptFS(epochs=1, rewind=0).build(plan(steps=4))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"rewind": 10},
        {"rewind": -1},
        {"temperature": 0.5},
        {"penalty": 0.0},
        {"gate_lr": -1.0},
        {"warmup": 1.0},
    ],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        OptFS(**bad)


def test_gates_are_held_in_the_warmup_and_the_schedule_starts_after_it():
    """Adam neither moves a held gate nor counts the step."""
    gate, rate = OptFS(warmup=0.5).build(plan()), None
    for step in range(500):
        gate.advance(step / 499)
        if step < 250:
            assert gate.facts()["tau"] == 1
        before = gate.now()[5]
        gate.update(Alone())
        if step < 250:
            assert gate.now()[5] == before == 0.5
        elif step == 250:
            rate = float(before - gate.now()[5])  # Adam's first step is of its rate
    assert rate == pytest.approx(gate.priced.rate, rel=1e-4)
    assert gate.facts()["tau"] == pytest.approx(1000)
    assert gate.priced.taus[250] == pytest.approx(1000 ** (0.5 / 499 / 0.5), rel=1e-6)


def test_the_warmup_shortens_the_time_to_close():
    given = {"gate_lr": 3e-3, "penalty": 1e-6, "temperature": 1000.0}
    OptFS(**given, warmup=0.0).build(plan(steps=600))
    with pytest.raises(ConfigError, match="in 180 steps"):
        OptFS(**given, warmup=0.7).build(plan(steps=600))


@pytest.mark.parametrize(
    ("parameters", "rate", "per_epoch", "want"),
    [
        (
            {"epochs": 10, "temperature": 1000.0, "penalty": 1e-6},
            1e-3,
            50,
            [0.4520, 0.3897, 0.3211, 0.2689, 0.2510, 0.2489],
        ),
        ({"epochs": 20, "temperature": 200.0, "penalty": 1e-6}, 5e-3, 50, [*[None] * 19, -0.9708]),
    ],
)
def test_as_published_a_gate_without_data_goes_where_the_paper_s_code_takes_it(parameters, rate, per_epoch, want):
    """Ends of epochs, by an independent simulation; the first search closes nothing, and is run all the same."""
    gate = OptFS(published=True, rewind=0, **parameters).build(
        plan(steps=per_epoch * parameters["epochs"], learning_rate=rate)
    )
    taus = []
    for step in range(per_epoch * len(want)):
        gate.advance(step / (per_epoch * parameters["epochs"] - 1))
        if step % per_epoch == 0:
            taus.append(gate.facts()["tau"])
        gate.update(Alone())
        if (step + 1) % per_epoch == 0 and want[step // per_epoch] is not None:
            assert float(gate.now()[5]) == pytest.approx(want[step // per_epoch], abs=2e-4)
    gamma, last = parameters["temperature"], parameters["epochs"] - 1
    np.testing.assert_allclose(taus, [gamma ** (t / last) for t in range(len(want))], rtol=1e-5)


def test_as_published_a_gate_without_data_closes_in_the_third_epoch_of_the_paper_s_criteo_search():
    """Five epochs of the search's 44,765 steps, followed in plain numbers as well.

    Ends of epochs for a rate of 3e-4, lambda 2e-9, gamma 1000 and T = 10: .3778 .1341 -.3177 -.4283 -.4295.
    """
    per_epoch, rate, strength = 8953, 3e-4, 2e-9
    gate = OptFS(published=True, epochs=10, temperature=1000.0, penalty=strength, rewind=0).build(
        plan(steps=10 * per_epoch, learning_rate=rate)
    )
    gate = in_pieces(gate.double())
    w, m, v, ends = 0.5, 0.0, 0.0, []
    for step in range(5 * per_epoch):
        tau = 1000 ** (step // per_epoch / 9)
        s = 1 / (1 + math.exp(-tau * w))
        g = strength * tau * s * (1 - s)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= rate * m / (1 - 0.9 ** (step + 1)) / (math.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)
        gate.advance(step / (10 * per_epoch - 1))
        gate.clock += 1
        if (step + 1) % per_epoch == 0:
            ends.append(w)
            assert gate.now()[3:].tolist() == pytest.approx([w] * 9, abs=1e-8, rel=0)
    assert ends == pytest.approx([0.3778, 0.1341, -0.3177, -0.4283, -0.4295], abs=6e-5)


SHORT = {"epochs": 4, "rewind": 0, "temperature": 1000.0}


def searched(**given):
    """A fit with 4 x 16 steps."""
    table = tiny_table(rows=1200).without("test")
    assert 15 * 64 < table.span("train").stop <= 16 * 64
    net = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64, learning_rate=1e-3)
    return net.fit(table, gate=OptFS(**SHORT, **given), seed=3)


@pytest.mark.parametrize("strength", [2e-9, 1e-3])
def test_as_published_a_short_search_keeps_every_value(strength):
    """In 64 steps at the net's rate no gate gets from .5 to 0, whatever lambda."""
    fit = searched(published=True, penalty=strength)
    assert all(kept.all() for kept in fit.kept.values())
    assert [h["kept"] for h in fit.history] == [1.0] * 4
    assert [h["tau"] for h in fit.history] == pytest.approx([1, 10, 100, 1000], rel=1e-5)
    w = np.concatenate([s[3:] for s in fit.scores.values()])
    assert (w != 0.5).all()  # they did move
    assert w.min() > 0.5 - 64 * 2e-3  # Adam's steps are about the rate


def test_otherwise_a_search_as_short_closes_what_is_of_no_use():
    assert searched().kept["id"][3:].mean() < 0.5


def test_as_published_lambda_must_be_given():
    with pytest.raises(ConfigError, match="lambda"):
        OptFS(published=True)


def test_a_factorization_machine_of_gated_rows_is_one_of_gated_pairs():
    """FM(g * e) = sum over pairs of g_i g_j <e_i, e_j>: one gate a value selects interactions as well."""
    gate = OptFS(warmup=0.0).build(plan())
    with torch.no_grad():
        gate.w.copy_(torch.linspace(-1, 1, 12))
    gate.advance(0.3)
    codes, e = torch.tensor([[3, 7, 11]]), torch.randn(1, 3, 4, dtype=torch.float64)
    rows = gate(e, codes)
    fm = ((rows.sum(1) ** 2 - (rows**2).sum(1)) / 2).sum()
    g = torch.sigmoid(gate.tau * gate.w.detach()[codes[0]]).double() * gate.scale
    pairs = sum(g[i] * g[j] * (e[0, i] @ e[0, j]) for i in range(3) for j in range(i))
    torch.testing.assert_close(fm, pairs, atol=1e-6, rtol=1e-6)
