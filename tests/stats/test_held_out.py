"""The held-out gain: worked out by hand, of noise and of a copy of the label, without rows, and with weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import label_counts
from ctrsel.stats.held_out import held_out_gain, log_loss_saved, weighted_held_out_gain


def counted(codes, labels, size):
    found = label_counts(np.asarray(codes, dtype=np.uint32), np.asarray(labels), size=size)
    return found.positives, found.totals


def test_held_out_gain_by_hand():
    # value 0 learns (8 + 2 * 0.5) / 12 = 0.75, value 1 learns 0.25, value 2 was never seen and stays at 0.5
    train_yes, train = np.array([8, 2, 0]), np.array([10, 10, 0])
    gain = held_out_gain(train_yes, train, np.array([1, 0, 1]), np.array([1, 1, 2]), prior=2.0)
    assert gain == pytest.approx((math.log(1.5) + math.log(1.5)) / 4, abs=1e-14)
    assert held_out_gain(train_yes, train, np.array([0, 1, 0]), np.array([1, 1, 0]), prior=2.0) == pytest.approx(
        math.log(0.5)
    )


def test_held_out_gain_of_noise_and_of_signal():
    rng = np.random.default_rng(6)
    labels = (rng.random(20_000) < 0.1).astype(np.uint8)
    noise = rng.integers(0, 3000, 20_000)
    copy = labels.astype(np.int64)
    half = 10_000
    for codes, size, low, high in [(noise, 3000, -0.1, 0.0), (copy, 2, 0.3, 0.35)]:
        gain = held_out_gain(*counted(codes[:half], labels[:half], size), *counted(codes[half:], labels[half:], size))
        assert low < gain < high


def test_held_out_gain_without_rows_or_with_one_class():
    none, some = np.zeros(2, dtype=np.int64), np.array([3, 4])
    assert held_out_gain(none, none, none, some) is None
    assert held_out_gain(none, some, none, none) is None
    assert held_out_gain(none, some, np.array([1, 1]), some) == 0.0
    with pytest.raises(ValueError, match="prior"):
        held_out_gain(none, some, none, some, prior=0)
    with pytest.raises(DataError, match="2 and 3"):
        held_out_gain(none, some, np.zeros(3, dtype=np.int64), np.ones(3, dtype=np.int64))


def test_weights_that_are_whole_numbers_are_repeated_rows():
    rng = np.random.default_rng(1)
    totals = rng.integers(1, 50, 30)
    yes = rng.binomial(totals, 0.3)
    parts = (yes, totals, yes[::-1].copy(), totals[::-1].copy())
    assert weighted_held_out_gain(*(p * 0.5 for p in parts), prior=10.0) == pytest.approx(
        held_out_gain(*parts, prior=20.0), abs=1e-14
    )
    negative, positive = log_loss_saved(yes, totals, prior=20.0)
    saved = (yes[::-1] * positive + (totals - yes)[::-1] * negative).sum() / totals.sum()
    assert saved == pytest.approx(held_out_gain(*parts, prior=20.0), abs=1e-14)
    assert [a.tolist() for a in log_loss_saved(np.zeros(2), np.ones(2), prior=1.0)] == [[0, 0], [0, 0]]


def test_refuses_weights_of_other_values():
    with pytest.raises(DataError, match="2 and 3"):
        weighted_held_out_gain(np.zeros(2), np.ones(2), np.zeros(3), np.ones(3), prior=1.0)


def test_the_prior_of_weighted_gain_is_above_nought():
    with pytest.raises(ValueError, match="prior"):
        weighted_held_out_gain(np.zeros(2), np.ones(2), np.zeros(2), np.ones(2), prior=0.0)
