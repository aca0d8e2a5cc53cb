"""Sequential Attention, among others against orthogonal matching pursuit on linear problems."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.sequential_attention import SequentialAttention


def plan(fields=10, *, steps=200, **changes):
    given = {
        "total_codes": 40,
        "reserved": np.arange(3),
        "fields": tuple(f"f{i}" for i in range(fields)),
        "train_rows": 5000,
        "steps": steps,
        "learning_rate": 1e-3,
    }
    return SearchPlan(**{**given, **changes})


def pursuit(x, y, k):
    """Orthogonal matching pursuit by the book: the column most correlated with what a least-squares fit leaves."""
    picked, left = [], y
    for _ in range(k):
        gain = np.abs(x.T @ left)
        gain[picked] = -1
        picked.append(int(gain.argmax()))
        left = y - x[:, picked] @ np.linalg.lstsq(x[:, picked], y, rcond=None)[0]
    return picked


def attended(x, y, k, *, steps=40, ridge=1e3):
    """Pick k columns by the gate in a linear model y = sum of gate(x) * b.

    The weights b are those of the theory: least squares on what is picked, and as nearly 0 on the rest as its largest
    lambda that still leaves a solution makes them (a large ridge). The gate is trained through torch, as in a search.
    """
    n, fields = x.shape
    gate = SequentialAttention(picks=k, warmup=0.0, every=0, logit_lr=0.1).build(plan(fields, steps=k * steps)).train()
    columns, target = torch.from_numpy(x), torch.from_numpy(y)
    for step in range(k * steps):
        gate.advance(step / (k * steps - 1))
        mask = gate.mask().detach().double().numpy()
        weighted = x * mask
        penalty = np.where(gate.picked.numpy(), 1e-12, ridge)
        b = torch.from_numpy(np.linalg.solve(weighted.T @ weighted + np.diag(penalty), weighted.T @ y))
        out = gate(Embedded(main=(columns * b)[:, :, None], first_order=None, floats=torch.zeros(n, 0)))
        (0.5 * (target - out.main.sum((1, 2))).square().sum()).backward()
        gate.update(Alone())
    return order(gate)


def order(gate):
    scores = gate.scores().numpy()
    return [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] >= 1]


def test_it_is_orthogonal_matching_pursuit_on_a_linear_problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 10))
    x /= np.linalg.norm(x, axis=0)
    y = 3 * x[:, 2] - 2 * x[:, 7] + x[:, 4]
    assert pursuit(x, y, 3) == [2, 7, 4]
    assert attended(x, y, 3) == [2, 7, 4]


@pytest.mark.parametrize("seed", range(8))
def test_it_is_orthogonal_matching_pursuit_on_random_correlated_columns(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 9)) @ (np.eye(9) + 0.5 * rng.normal(size=(9, 9)))
    x /= np.linalg.norm(x, axis=0)
    y = x @ (rng.normal(size=9) * (rng.random(9) < 0.6))
    k = int(rng.integers(2, 5))
    assert attended(x, y, k) == pursuit(x, y, k)


def test_columns_in_another_order_give_the_same_picks():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 7))
    x /= np.linalg.norm(x, axis=0)
    y = x @ np.array([0, 1.5, 0, -1, 0, 0.7, 0])
    moved = rng.permutation(7)
    assert [int(moved[i]) for i in attended(x[:, moved], y, 4)] == attended(x, y, 4)


def test_of_two_equal_columns_one_is_picked_early():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 6))
    x[:, 5] = x[:, 1]
    x /= np.linalg.norm(x, axis=0)
    y = 3 * x[:, 1] + 1.0 * x[:, 2] - 0.8 * x[:, 3]
    assert attended(x, y, 3) == [1, 2, 3]


@settings(max_examples=40, deadline=None)
@given(
    fields=st.integers(1, 12),
    share=st.floats(0, 1),
    together=st.integers(1, 5),
    extra=st.integers(0, 30),
    compensated=st.booleans(),
    every=st.integers(0, 3),
    warmup=st.floats(0, 0.6),
    seed=st.integers(0, 99),
)
def test_exactly_k_are_picked_and_weights_add_up(*, fields, share, together, extra, compensated, every, warmup, seed):
    picks = max(round(share * fields), 1)
    component = SequentialAttention(
        picks=picks, together=together, compensated=compensated, every=every, warmup=warmup, logit_lr=0.1
    )
    phases = -(-picks // together)
    moves = int(phases / (1 - warmup)) + 2 + extra
    gate = component.build(plan(fields, steps=moves * max(every, 1))).train()
    g = torch.Generator().manual_seed(seed)
    seen = []
    for move in range(moves):
        gate.advance(move / moves)
        mask, picked = gate.mask(), gate.picked
        assert (mask[picked] == 1).all()
        if move >= gate.held and not picked.all():
            wanted = float((~picked).sum()) if compensated else 1.0
            assert float(mask[~picked].detach().sum()) == pytest.approx(wanted, rel=1e-5)
        elif move < gate.held:
            assert (mask == 1).all()
            assert not picked.any()
        assert int(gate.kept().sum()) == picks
        if mask.requires_grad:
            (mask * torch.randn(fields, generator=g)).sum().backward()
        gate.update(Alone())
        seen.append(int(gate.picked.sum()))
    assert seen[-1] == picks  # whether together divides picks or not
    assert sorted(order(gate)) == np.flatnonzero(gate.picked.numpy()).tolist() == np.flatnonzero(gate.kept()).tolist()
    assert set(np.diff([0, *seen])) <= {0, together, picks - together * (phases - 1)}
    assert sorted(gate.place[gate.picked].tolist()) == list(range(picks))


def test_the_first_pick_is_learned():
    """Logits begin at 0 and have had a gradient before the first pick."""
    gate = SequentialAttention(picks=2, every=0, warmup=0.5).build(plan(5, steps=20)).train()
    assert torch.equal(gate.logits, torch.zeros(5))
    for step in range(20):
        gate.advance(step / 19)
        if gate.mask().requires_grad:
            (-gate.mask()[3]).backward()
        gate.update(Alone())
        assert int(gate.picked.sum()) == (0 if step < 14 else 1 if step < 19 else 2)
    assert order(gate)[0] == 3


def test_logits_and_their_moments_begin_anew_after_a_pick():
    gate = SequentialAttention(picks=2, every=0, warmup=0.0).build(plan(5, steps=20)).train()
    for _ in range(10):
        (-gate.mask()[3]).backward()
        gate.update(Alone())
    assert gate.picked.tolist() == [False, False, False, True, False]
    assert not gate.logits.any()
    assert all(not b.any() for b in gate.adam.buffers())


def test_evaluation_never_picks():
    """Nor does anything but `update`: not the forward pass, not progress, not being asked."""
    gate = SequentialAttention(picks=2, every=0, warmup=0.0).build(plan(4, steps=20))
    for _ in range(50):
        gate.advance(1.0)
        gate(Embedded(main=torch.ones(3, 4, 2), first_order=None, floats=torch.zeros(3, 0)))
        gate.scores()
        gate.finish()
    assert not gate.picked.any()


def test_a_selector_asks_for_no_more_than_it_needs():
    assert SequentialAttention().reaching(7).picks == 7
    assert SequentialAttention(picks=5).reaching(7).picks == 5


def test_too_few_steps_or_fields_are_refused():
    with pytest.raises(
        ConfigError, match=r"10 phases need a move of the logits each, but after the warm-up there are 9"
    ):
        SequentialAttention(every=0).build(plan(10, steps=10))
    with pytest.raises(ConfigError, match="there are 10 fields, got 11"):
        SequentialAttention(picks=11).build(plan(10))


@pytest.mark.parametrize(
    "bad",
    [{"epochs": 0}, {"rewind": 8}, {"picks": 0}, {"together": 0}, {"every": -1}, {"warmup": 1.0}, {"logit_lr": 0.0}],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        SequentialAttention(**bad)
