from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from ctrsel.core.errors import DataError
from ctrsel.stats.mixing import mix


def objective(at, labels, x, v, ridge):
    centre = 1 / x.shape[1]
    z = x @ at[:-1] + at[-1]
    loss = v @ np.logaddexp(0, np.where(labels, -z, z))
    return loss + ridge / 2 * (((at[:-1] - centre) ** 2).sum() + at[-1] ** 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0.01, 1.0, 30.0]))
def test_no_point_is_better_than_the_optimum(seed, columns, ridge):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, columns)) * rng.uniform(0.1, 5)
    labels = rng.random(60) < special.expit(x[:, 0] * rng.normal())
    v = rng.integers(0, 4, 60).astype(float)
    v[0] = 1
    found = mix(labels, x, ridge=ridge, weight=v)
    assert (found.weights >= 0).all()
    mine = objective(np.append(found.weights, found.intercept), labels, x, v / v.mean(), ridge)
    theirs = optimize.minimize(
        objective,
        np.append(np.full(columns, 1 / columns), 0.0),
        args=(labels, x, v / v.mean(), ridge),
        bounds=[(0, None)] * columns + [(None, None)],
        method="L-BFGS-B",
        options={"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-10},
    )
    assert mine <= theirs.fun + 1e-9 * max(1, abs(theirs.fun))
    np.testing.assert_allclose(np.append(found.weights, found.intercept), theirs.x, atol=2e-3)


def test_one_column_that_is_right_is_left_alone():
    rng = np.random.default_rng(1)
    z = rng.normal(size=50_000)
    found = mix(rng.random(50_000) < special.expit(z), z[:, None])
    assert found.weights[0] == pytest.approx(1, abs=0.05)
    assert found.intercept == pytest.approx(0, abs=0.05)


def test_a_column_against_the_labels_has_weight_zero_exactly():
    rng = np.random.default_rng(2)
    z, against = rng.normal(size=(2, 5000))
    found = mix(rng.random(5000) < special.expit(z - against), np.column_stack([z, against]))
    assert found.weights[1] == 0
    np.testing.assert_allclose(found(np.array([[1.0, 9.0]])), found.weights[0] + found.intercept)


def test_copies_share_what_one_would_have():
    rng = np.random.default_rng(3)
    z = rng.normal(size=3000)
    labels = rng.random(3000) < special.expit(2 * z)
    found = mix(labels, np.column_stack([z, z]))
    assert found.weights[0] == pytest.approx(found.weights[1], abs=1e-9)
    assert found.weights.sum() == pytest.approx(2, abs=0.3)


def test_weights_are_copies_and_only_their_ratios_count():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 3))
    labels = rng.random(200) < special.expit(x[:, 0])
    times = rng.integers(0, 3, 200)
    one = mix(labels, x, weight=times)
    same = mix(labels, x, weight=7.0 * times)
    np.testing.assert_allclose(one.weights, same.weights, atol=1e-8)
    some = times > 0
    mean = times.mean()  # the ridge is against rows of mean weight 1
    copies = mix(np.repeat(labels, times), np.repeat(x, times, axis=0), ridge=mean)
    np.testing.assert_allclose(one.weights, copies.weights, atol=1e-6)
    assert some.sum() < 200


def test_rows_of_one_class_stay_finite():
    found = mix(np.ones(50), np.linspace(1, 2, 50)[:, None])
    assert np.isfinite(found.weights).all()
    assert np.isfinite(found.intercept)


def test_a_strong_ridge_gives_the_centre():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(100, 2))
    found = mix(rng.random(100) < 0.5, x, centre=np.array([0.7, 0.1]), ridge=1e9)
    np.testing.assert_allclose(found.weights, [0.7, 0.1], atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "x", "weight", "error", "match"),
    [
        ([0, 2], [[1.0], [1.0]], None, DataError, "0 or 1"),
        ([0, 1], [[1.0]], None, DataError, "shape"),
        ([0, 1], [[1.0], [np.nan]], None, DataError, "finite"),
        ([0, 1], [[1.0], [1.0]], [0.0, 0.0], DataError, "with weight"),
        ([], np.zeros((0, 1)), None, DataError, "with weight"),
        ([0, 1], np.zeros((2, 0)), None, ValueError, "a column"),
    ],
)
def test_what_cannot_be_mixed(labels, x, weight, error, match):
    with pytest.raises(error, match=match):
        mix(np.array(labels), np.array(x), weight=None if weight is None else np.array(weight))
