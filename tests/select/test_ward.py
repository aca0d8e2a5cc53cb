"""Ward's merges against scipy, in blocks, with points that go together first, and budgets over vocabularies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from ctrsel.select._budget import reduce_groups
from ctrsel.select._ward import ward_path
from ctrsel.select._ward_loops import cut, ward_merges


def apart(points, weight, owner):
    """Weighted squared distance from the groups' centres."""
    total = 0.0
    for g in np.unique(owner):
        w, x = weight[owner == g], points[owner == g]
        total += float((w[:, None] * (x - np.average(x, axis=0, weights=w)) ** 2).sum())
    return total


@pytest.mark.parametrize("seed", [0, 1])
def test_without_weights_the_merges_are_those_of_scipy(seed):
    x = np.random.default_rng(seed).normal(size=(80, 3))
    path, tree = ward_path(x, np.ones(80)), linkage(x, "ward")
    assert np.allclose(path.cost, tree[:, 2] ** 2 / 2)
    for count in (2, 7, 30):
        ours, theirs = path.groups(count), fcluster(tree, count, "maxclust")
        assert len({*zip(ours.tolist(), theirs.tolist(), strict=True)}) == count


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_costs_add_up_to_the_spread_within_groups(size, width, seed, small, held):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (size, width)) + rng.normal(size=(size, width)) * rng.integers(0, 2)  # ties as well
    w = rng.random(size) + 0.01
    together = np.where(rng.random(size) < 0.5, rng.integers(0, 3, size), -1) if held else None
    path = ward_path(x, w, together=together, most=4 if small else 4096, block=3 if small else 256)
    assert len(path.cost) == size - 1
    for count in {1, max(size // 2, 1), size}:
        owner = path.groups(count)
        assert len(np.unique(owner)) == count
        assert owner[owner].tolist() == owner.tolist()
    assert path.cost.sum() == pytest.approx(apart(x, w, path.groups(1)), abs=1e-9)
    if together is None and not small:
        assert path.cost[: size // 2].sum() == pytest.approx(apart(x, w, path.groups(size - size // 2)), abs=1e-9)


def test_the_compiled_merges_are_those_of_the_slow_form():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(25, 2)), rng.random(25)
    slow = getattr(ward_merges, "py_func", ward_merges)(x, w)
    for a, b in zip(ward_merges(x, w), slow, strict=True):
        assert np.allclose(a, b)
    assert getattr(cut, "py_func", cut)(slow[0][:10], 25).tolist() == cut(slow[0][:10], 25).tolist()


def test_points_that_go_together_come_first_and_last_ones_before():
    x = np.array([[0.0], [5.0], [0.1], [9.0], [5.1]])
    path = ward_path(x, np.ones(5), together=np.array([-1, 7, -1, 7, 7]))
    assert path.groups(4).tolist() == [0, 1, 2, 3, 3]
    assert path.groups(3).tolist() == [0, 1, 2, 1, 1]
    assert path.groups(2).tolist() == [0, 1, 0, 1, 1]


def test_equal_points_cost_nothing():
    x = np.repeat(np.arange(5.0)[:, None], 4, 0)
    assert np.allclose(ward_path(x, np.arange(20.0)).cost[:15], 0.0)


@given(st.lists(st.lists(st.floats(0, 9), min_size=1, max_size=8), min_size=1, max_size=4), st.integers(0, 30))
def test_a_budget_is_met_and_convex_losses_are_shared_out_best(losses, size):
    steps = {}
    for i, rises in enumerate(losses):
        lost = np.concatenate([[0.0], np.cumsum(np.sort(rises))])
        steps[f"v{i}"] = (np.arange(len(rises), -1, -1), lost)
    groups = {n: len(c) - 1 for n, (c, _) in steps.items()}
    before = sum(groups.values())
    reduce_groups(steps, groups, size=size)
    assert sum(groups.values()) == min(size, before)
    paid = sum(float(steps[n][1][len(steps[n][1]) - 1 - g]) for n, g in groups.items())
    cheapest = np.sort([r for rises in losses for r in rises])[: max(before - size, 0)].sum()
    assert paid == pytest.approx(float(cheapest), abs=1e-9)
