from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.models.gates._priced_rows import PricedSteps, Values
from ctrsel.models.gates._priced_rows import replayed as replayed_by_torch
from ctrsel.models.gates._rows import added_up as by_torch
from ctrsel.train.gate_rows import added_up, replayed


@settings(max_examples=30, deadline=None)
@given(codes=st.lists(st.integers(0, 40), max_size=200), seed=st.integers(0, 1000))
def test_the_compiled_form_is_torchs(codes, seed):
    where = torch.tensor(codes, dtype=torch.int64)
    gradients = torch.randn(len(codes), generator=torch.Generator().manual_seed(seed))
    place = torch.full((41,), -1, dtype=torch.int32)
    distinct, sums, squares = added_up(where, gradients, place)
    assert (place == -1).all()
    order = distinct.argsort()
    want = by_torch(where, gradients, place)
    assert torch.equal(distinct[order], want[0])
    torch.testing.assert_close(sums[order], want[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(squares[order], want[2], atol=1e-5, rtol=1e-5)


def test_other_numbers_go_by_torch():
    place = torch.full((9,), -1, dtype=torch.int32)
    codes, sums, _ = added_up(torch.tensor([7, 3, 7]), torch.ones(3, dtype=torch.float64), place)
    assert codes.tolist() == [3, 7]
    assert sums.dtype == torch.float64


@settings(max_examples=30, deadline=None)
@given(codes=st.lists(st.integers(0, 11), max_size=30), first=st.integers(0, 9), seed=st.integers(0, 1000))
def test_steps_are_made_up_as_by_torch(codes, first, seed):
    rng = np.random.default_rng(seed)
    steps = PricedSteps(first=first, taus=1000.0 ** np.linspace(0, 1, 40), strength=0.02, rate=0.05)
    clock = int(rng.integers(first, 41))
    seen = rng.integers(first, 41, size=12).astype(np.int32)
    seen[0] = np.iinfo(np.int32).max  # reserved
    numbers = rng.normal(0, [0.3, 1e-3, 1e-6], size=(12, 3)).T.astype(np.float32)
    numbers[2] = np.abs(numbers[2])
    one, two = (Values(*(torch.tensor(x) for x in (*numbers, seen))) for _ in range(2))
    replayed(torch.tensor(codes, dtype=torch.int64), one, clock, steps)
    replayed_by_torch(torch.tensor(codes, dtype=torch.int64), two, clock, steps)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    moved = {c for c in codes if seen[c] < clock}
    assert {i for i in range(12) if one.seen[i] != seen[i]} == moved
    assert all(one.seen[c] == clock for c in moved)
    assert all(
        torch.equal(t[i], torch.tensor(x[i]))
        for t, x in zip(one, (*numbers, seen), strict=True)
        for i in range(12)
        if i not in moved
    )


def test_steps_that_change_nothing_any_more_are_not_taken_one_by_one():
    """The same as by torch, where each of 3,000 steps is taken; most gates freeze in the first tenth of them."""
    steps = PricedSteps(first=5, taus=1000.0 ** np.linspace(0, 1, 3000), strength=1e-6, rate=0.02)
    rng = np.random.default_rng(1)
    numbers = [rng.normal(0, 0.5, 50), rng.normal(0, 1e-6, 50), rng.random(50) * 1e-11]
    one, two = (
        Values(*(torch.tensor(x, dtype=torch.float64) for x in numbers), torch.full((50,), 5, dtype=torch.int32))
        for _ in range(2)
    )
    for clock in (40, 700, 701, 3000):
        replayed(torch.arange(50), one, clock, steps)
        replayed_by_torch(torch.arange(50), two, clock, steps)
        torch.testing.assert_close(one.w, two.w, atol=1e-8, rtol=0)
        torch.testing.assert_close(one.m, two.m, atol=1e-15, rtol=0)
        torch.testing.assert_close(one.v, two.v, atol=1e-18, rtol=1e-9)
    assert (1000 * one.w.abs() > 40).all()
