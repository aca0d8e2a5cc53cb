"""Losses from logits: by hand, against scikit-learn, at extreme logits, and the prior shift against Bayes' rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import log_loss as reference

from ctrsel.core.errors import DataError
from ctrsel.stats.losses import log_loss, normalised_entropy, prior_shift


def test_equals_scikit_learn_and_weights_are_repetitions():
    rng = np.random.default_rng(0)
    labels, z, times = rng.random(500) < 0.2, rng.normal(size=500) * 3, rng.integers(0, 4, 500)
    assert log_loss(labels, z) == pytest.approx(reference(labels, expit(z)), abs=1e-12)
    assert log_loss(labels, z, weight=times) == pytest.approx(log_loss(np.repeat(labels, times), np.repeat(z, times)))
    assert normalised_entropy(labels, z, weight=times) == pytest.approx(
        normalised_entropy(np.repeat(labels, times), np.repeat(z, times))
    )


@pytest.mark.parametrize(
    ("label", "z", "loss"),
    [(1, 0.0, math.log(2)), (1, 800.0, 0.0), (1, -800.0, 800.0), (0, 800.0, 800.0), (1, 50.0, math.exp(-50.0))],
)
def test_extreme_logits(label, z, loss):
    assert log_loss(np.array([label]), np.array([z])) == pytest.approx(loss, rel=1e-12)


def test_normalised_entropy_of_the_base_rate_is_one_and_of_one_class_none():
    labels = np.array([1, 0, 0, 0, 0])
    assert normalised_entropy(labels, np.full(5, logit(0.2))) == pytest.approx(1.0, abs=1e-12)
    assert normalised_entropy(labels, np.where(labels, 9.0, -9.0)) < 0.01
    assert normalised_entropy(np.zeros(3), np.zeros(3)) is None
    assert log_loss(np.zeros(0), np.zeros(0)) is None
    assert log_loss(np.zeros(1), np.zeros(1), weight=np.zeros(1)) is None


@given(st.floats(-20, 20), st.floats(1e-4, 1.0))
def test_prior_shift_is_the_papers_formula(z, kept):
    p = expit(z)
    expected = p / (p + (1 - p) / kept)
    assert expit(prior_shift(np.array([z]), sampling_rate=kept))[0] == pytest.approx(expected, rel=1e-9)


def test_prior_shift_recovers_the_rate_of_sampled_rows():
    rng = np.random.default_rng(1)
    labels = rng.random(200_000) < 0.03
    kept = labels | (rng.random(200_000) < 0.1)
    z = prior_shift(np.array([logit(labels[kept].mean())]), sampling_rate=0.1)
    assert expit(z)[0] == pytest.approx(labels.mean(), rel=0.02)


def test_refuses():
    for rate in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="sampling_rate"):
            prior_shift(np.zeros(1), sampling_rate=rate)
    with pytest.raises(DataError, match="logits must be finite, got inf in row 0"):
        log_loss(np.array([1]), np.array([math.inf]))
