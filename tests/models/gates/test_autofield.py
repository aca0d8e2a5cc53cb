from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.autofield import AutoField


def plan(**changes):
    given = {
        "total_codes": 12,
        "reserved": np.array([0, 1, 2]),
        "fields": ("a", "b", "c"),
        "train_rows": 1000,
        "steps": 500,
        "learning_rate": 1e-3,
        "seed": 8,
    }
    return SearchPlan(**{**given, **changes})


def rows():
    return Embedded(main=torch.ones(4, 3, 2), first_order=None, floats=torch.zeros(4, 0))


def test_a_choice_begins_even():
    gate = AutoField().build(plan()).eval()
    assert gate.scores().tolist() == [0.5, 0.5, 0.5]
    torch.testing.assert_close(gate(rows()).main, torch.full((4, 3, 2), 0.5))


def test_the_published_temperature():
    gate = AutoField(cooling=5e-5).build(plan())
    gate.advance(0.0)
    gate.step.fill_(10_000)
    gate.advance(0.3)
    assert gate.facts()["tau"] == pytest.approx(0.5)
    gate.step.fill_(19_800)
    gate.advance(0.4)
    assert gate.facts()["tau"] == pytest.approx(0.01)
    gate.step.fill_(10**6)
    gate.advance(1.0)
    assert gate.facts()["tau"] == pytest.approx(0.01)


@pytest.mark.parametrize("steps", [10, 1000])
def test_a_search_of_any_length_ends_cold(steps):
    gate = AutoField(every=1).build(plan(steps=steps))
    taus = []
    for step in range(steps):
        gate.advance(step / (steps - 1))
        taus.append(gate.facts()["tau"])
    assert taus[0] == 1.0
    assert taus[-1] == pytest.approx(0.01)
    assert (np.diff(taus) <= 0).all()


def test_weights_in_training_are_gumbel_softmaxes():
    """At temperature 1 a keep weight is uniform on (0, 1) for even logits, and cold it is 1 in a share of softmax(logits)."""
    gate = AutoField(every=1).build(plan(fields=tuple(f"f{i}" for i in range(4000)))).train()
    gate.advance(0.0)
    even = gate.weights().detach().numpy()
    assert np.abs(np.sort(even) - (np.arange(4000) + 0.5) / 4000).max() < 0.03  # 99.9 % of Kolmogorov's statistic
    with torch.no_grad():
        gate.logits[:, 0] = 1.0
    gate.advance(1.0)
    cold = gate.weights().detach().numpy()
    assert np.mean((cold < 0.01) | (cold > 0.99)) > 0.95
    share = 1 / (1 + np.exp(-1))
    assert np.mean(cold > 0.5) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000))
    assert gate.eval().weights()[0].item() == pytest.approx(share)


def test_noise_is_that_of_the_step_and_the_seed():
    """So that a search that goes on, and every one of several processes, has the same."""
    one, two, other = (AutoField().build(plan(seed=s)) for s in (8, 8, 9))
    for gate in (one, two, other):
        torch.manual_seed(int(torch.randint(1000, ())))
        for step in range(3):
            gate.advance(step / 10)
    assert torch.equal(one.noise, two.noise)
    assert not torch.equal(one.noise, other.noise)
    before = one.noise.clone()
    one.advance(0.3)
    assert not torch.equal(one.noise, before)


def test_logits_are_held_in_the_warmup_and_move_only_in_update():
    gate = AutoField(warmup=0.5, every=1).build(plan()).train()
    for progress, moves in ((0.2, False), (0.6, True)):
        gate.advance(progress)
        before = gate.logits.detach().clone()
        gate(rows()).main[:, 1].sum().neg().backward()
        assert torch.equal(gate.logits, before)
        gate.update(Alone())
        assert torch.equal(gate.logits, before) != moves
    assert gate.scores()[1] > gate.scores()[0]


def test_a_short_search_learns_faster():
    assert AutoField().build(plan(steps=10_000_000)).adam.rate == 1e-3
    assert AutoField().build(plan(steps=2000)).adam.rate > 0.02
    assert AutoField(gate_lr=0.5).build(plan(steps=2000)).adam.rate == 0.5


def test_impossible_parameters_are_refused():
    with pytest.raises(ConfigError, match="5 steps"):
        AutoField().build(plan(steps=5))
    for bad in (
        {"epochs": 0},
        {"rewind": 8},
        {"every": 0},
        {"cooling": 0.0},
        {"gate_lr": -1.0},
        {"warmup": 1.0},
    ):
        with pytest.raises(ConfigError):
            AutoField(**bad)
