"""Sums on the lattice against sums by enumeration and by scikit-learn."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from sklearn.metrics import log_loss, mutual_info_score, roc_auc_score

from ctrsel.data.synthetic.lattice import Lattice, area, expit, information, log_loss_of


def test_expit_is_scipys() -> None:
    z = np.linspace(-700, 700, 101)
    np.testing.assert_allclose(expit(z), special.expit(z), rtol=1e-14)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 1)), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_mass_mean_and_variance_are_kept(points: list[tuple[float, float]]) -> None:
    values, mass = (np.array(a) for a in zip(*points, strict=True))
    lattice = Lattice(step=0.05, points=512)
    placed = lattice.place(values, mass)
    for power in range(3):
        assert placed @ lattice.log_odds**power == pytest.approx(mass @ values**power, abs=1e-9)


def test_a_sum_is_the_sum_over_all_combinations() -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=k) / 2, rng.dirichlet(np.ones(k))) for k in (2, 3, 5)]
    lattice = Lattice()
    total = lattice.total(lattice.transform(lattice.place(w, p)) for w, p in parts)
    found = lattice.rate(lattice.density(total), -1.3)(np.array([-0.4, 0.0, 2.0]))
    for w, rate in zip((-0.4, 0.0, 2.0), found, strict=True):
        exact = sum(
            np.prod([p[i] for (_, p), i in zip(parts, at, strict=True)])
            * special.expit(-1.3 + w + sum(v[i] for (v, _), i in zip(parts, at, strict=True)))
            for at in itertools.product(range(2), range(3), range(5))
        )
        assert rate == pytest.approx(exact, abs=1e-6)


def test_a_sum_with_a_normal_part_is_its_integral() -> None:
    lattice = Lattice()
    mass = stats.norm(scale=0.7).pdf(lattice.log_odds) * lattice.step
    exact = integrate.quad(lambda x: special.expit(0.3 + x) * stats.norm(scale=0.7).pdf(x), -8, 8)[0]
    assert lattice.rate(mass, 0.1)(np.array([0.2]))[0] == pytest.approx(exact, abs=1e-8)


def test_all_but_one_is_the_product_without_each() -> None:
    rng = np.random.default_rng(1)
    lattice = Lattice(points=64)
    parts = [rng.normal(size=33) + 1j * rng.normal(size=33) for _ in range(4)]
    for i, found in enumerate(lattice.all_but_one(parts)):
        np.testing.assert_allclose(found, np.prod([p for j, p in enumerate(parts) if j != i], axis=0))
    assert list(lattice.all_but_one([])) == []


def test_pairs_are_placed_by_both_directions() -> None:
    lattice = Lattice(step=0.1, points=64)
    rows, columns, mass = np.array([0.31, -1.2]), np.array([0.07, 0.9]), np.array([0.4, 0.6])
    placed = lattice.place_pairs(rows, columns, mass)
    x = lattice.log_odds
    np.testing.assert_allclose(placed.sum(axis=1), lattice.place(rows, mass), atol=1e-12)
    np.testing.assert_allclose(placed.sum(axis=0), lattice.place(columns, mass), atol=1e-12)
    assert x @ placed @ x == pytest.approx(mass @ (rows * columns))


def test_information_area_and_log_loss_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, 5_000)
    y = (rng.random(5_000) < 0.1 + 0.05 * x).astype(int)
    joint = np.zeros((9, 2))
    np.add.at(joint, (x, y), 1)
    rate = joint[:, 1] / joint.sum(axis=1)
    assert information(joint) == pytest.approx(mutual_info_score(x, y), abs=1e-12)
    assert area(joint) == pytest.approx(roc_auc_score(y, rate[x]), abs=1e-12)
    assert log_loss_of(joint.sum(axis=1), rate) == pytest.approx(log_loss(y, rate[x]), abs=1e-12)


def test_one_label_only_has_no_area() -> None:
    assert area(np.array([[1.0, 0.0]])) == 0.5
