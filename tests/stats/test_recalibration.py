from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from ctrsel.core.errors import DataError
from ctrsel.stats.auc import auc
from ctrsel.stats.calibration import calibration_ratio
from ctrsel.stats.folds import folds_of
from ctrsel.stats.log_odds_maps import MAPS, Isotonic
from ctrsel.stats.recalibration import METHODS, cross_fitted_losses, recalibrate


def rows(n=4000, seed=0, bend=lambda z: z):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, n)
    return (rng.random(n) < special.expit(bend(z))).astype(float), z


def test_every_fit_has_a_map():
    assert list(METHODS) == list(MAPS)


def test_platt_is_logistic_regression():
    labels, z = rows(bend=lambda z: 0.5 * z - 1)
    found = recalibrate("platt", labels, z)
    theirs = LogisticRegression(C=1e6).fit(z[:, None], labels)
    assert found.scale == pytest.approx(theirs.coef_[0, 0], abs=2e-3)
    assert found.shift == pytest.approx(theirs.intercept_[0], abs=2e-3)
    assert found.line == (found.scale, found.shift)


def test_beta_is_logistic_regression_on_two_logarithms():
    labels, z = rows(60_000, bend=lambda z: np.where(z < 0, 0.4 * z, 2 * z))
    found = recalibrate("beta", labels, z)
    p = special.expit(z)
    theirs = LogisticRegression(C=1e6, max_iter=1000).fit(np.column_stack([np.log(p), -np.log1p(-p)]), labels)
    np.testing.assert_allclose([found.low, found.high], theirs.coef_[0], atol=0.02)
    assert found.line is None
    assert found.low < 0.7
    assert found.high > 1.4


def test_isotonic_has_the_rates_of_isotonic_regression_inside():
    labels, z = rows(bend=lambda z: 3 * np.sign(z))
    found = recalibrate("isotonic", labels, z)
    theirs = IsotonicRegression().fit(z, labels)
    places = np.array(found.logits)
    inside = (places > np.quantile(z, 0.02)) & (places < np.quantile(z, 0.98))
    np.testing.assert_allclose(special.expit(found(places))[inside], theirs.predict(places)[inside], atol=1e-9)
    assert inside.sum() >= 3


def test_isotonic_by_hand():
    """Blocks {0}, {1, 2}, {3}: half a positive at the lowest row and half a negative at the highest."""
    found = recalibrate("isotonic", np.array([0, 1, 0, 1]), np.array([0.0, 1.0, 2.0, 3.0]))
    rates = [0.5 / 1.5, 1 / 2, 1 / 1.5]
    assert found == Isotonic(logits=(0.0, 1.5, 3.0), log_odds=pytest.approx(special.logit(rates)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(METHODS)), st.integers(4, 200))
@example(seed=68304, method="isotonic", n=197)  # two steps of rate 2/3, one of which is rounded up
def test_maps_rise_and_stay_finite(seed, method, n):
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=n) * 5, rng.integers(0, 3))
    labels = rng.random(n) < special.expit(z - 2)
    weight = rng.integers(0, 3, n).astype(float)
    weight[0] = 1
    found = recalibrate(method, labels, z, weight=weight)
    places = np.sort(np.concatenate([z, [-1e4, -40.0, 40.0, 1e4]]))
    mapped = found(places)
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= -1e-12).all()
    if method == "isotonic":
        assert (np.diff(mapped)[np.diff(places) > 0] > 0).all()
    line = found.line
    if line is not None:
        np.testing.assert_allclose(mapped, line[0] * places + line[1], atol=1e-6)


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
def test_a_crooked_model_becomes_calibrated_and_keeps_its_order(method):
    labels, z = rows(20_000, bend=lambda z: 0.5 * z - 1)
    fresh, other = rows(20_000, seed=1, bend=lambda z: 0.5 * z - 1)
    found = recalibrate(method, labels, z)
    assert calibration_ratio(fresh, special.expit(other)) > 1.5
    assert calibration_ratio(fresh, special.expit(found(other))) == pytest.approx(1, abs=0.05)
    assert auc(fresh, found(other)) == pytest.approx(auc(fresh, other), abs=1e-12)


@pytest.mark.parametrize("method", list(METHODS))
def test_weights_are_copies(method):
    labels, z = rows(20_000)
    times = np.where(np.arange(20_000) % 2, 1, 3)
    places = np.linspace(-3, 1, 50)
    one = recalibrate(method, labels, z, weight=times)(places)
    np.testing.assert_allclose(recalibrate(method, labels, z, weight=5 * times)(places), one, atol=1e-7)
    copies = recalibrate(method, np.repeat(labels, times), np.repeat(z, times))(places)
    np.testing.assert_allclose(copies, one, atol=0.01)  # one row's worth of ridge counts less among more rows


def test_losses_name_the_right_form():
    labels, z = rows(20_000)
    folds = folds_of(labels, np.arange(20_000), folds=5, seed=0)
    straight = cross_fitted_losses(labels, z, folds)
    assert max(straight.values()) < min(straight.values()) + 2e-3
    assert straight["isotonic"] > straight["none"]  # what the cross-fitting is for: isotonic cannot win by heart
    labels, z = rows(20_000, bend=lambda z: 0.3 * z)
    found = cross_fitted_losses(labels, z, folds)
    assert min(found, key=found.get) == "platt"
    assert found["none"] > found["platt"] + 0.01


def test_what_cannot_be_calibrated():
    with pytest.raises(DataError, match="finite"):
        recalibrate("platt", np.array([0, 1]), np.array([0.0, np.inf]))
    with pytest.raises(DataError, match="0 or 1"):
        recalibrate("beta", np.array([0, 3]), np.array([0.0, 1.0]))
