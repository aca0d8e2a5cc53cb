"""Truths about information from counts: scikit-learn's numbers, entropy bounds, copies, noise, and the exclusive or."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import label_counts
from ctrsel.stats.information import (
    adjusted_mutual_information,
    drawn_information_test,
    drawn_moments,
    entropy,
    expected_mutual_information,
    held_out_gain,
    information_test,
    log_loss_saved,
    mutual_information,
    weighted_held_out_gain,
    weighted_mutual_information,
)

X = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
Y = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0, 1])

rows = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=80)


def counted(codes, labels, size=None):
    found = label_counts(np.asarray(codes, dtype=np.uint32), np.asarray(labels), size=size or int(np.max(codes)) + 1)
    return found.positives, found.totals


def columns(pairs):
    return np.array([c for c, _ in pairs], dtype=np.uint8), np.array([y for _, y in pairs], dtype=np.uint8)


def test_reference_values():
    test = information_test(*counted(X, Y))
    assert test.value == pytest.approx(0.08630462173553458, abs=1e-14)
    assert test.expected == pytest.approx(0.13575060590230034, abs=1e-14)
    assert test.adjusted == pytest.approx(-0.06546769975435288, abs=1e-13)
    assert test.excess == pytest.approx(0.08630462173553458 - 0.13575060590230034, abs=1e-13)
    assert (test.values, test.rows) == (3, 10)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_properties_of_mutual_information(pairs):
    codes, labels = columns(pairs)
    positives, totals = counted(codes, labels, 7)
    value = mutual_information(positives, totals)
    assert value == pytest.approx(mutual_info_score(codes, labels), abs=1e-12)
    label_entropy = entropy(np.bincount(labels, minlength=2))
    assert 0 <= value <= min(entropy(totals), label_entropy) + 1e-12
    # renamed values, other order of rows, values without rows, classes exchanged
    renamed = np.random.default_rng(0).permutation(7)
    assert mutual_information(positives[renamed], totals[renamed]) == pytest.approx(value, abs=1e-13)
    assert counted(codes[::-1], labels[::-1], 7)[0].tolist() == positives.tolist()
    assert mutual_information(totals - positives, totals) == pytest.approx(value, abs=1e-13)
    # a copy of the label holds its whole entropy
    assert mutual_information(*counted(labels, labels, 2)) == pytest.approx(label_entropy, abs=1e-12)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_adjusted_equals_scikit_learn_where_it_is_not_a_matter_of_convention(pairs):
    codes, labels = columns(pairs)
    value = adjusted_mutual_information(*counted(codes, labels, 7))
    assert math.isfinite(value)
    classes, values = len(set(labels.tolist())), len(set(codes.tolist()))
    if classes == 1 or values == 1 or values == len(codes):
        assert value == 0.0
    else:
        assert value == pytest.approx(adjusted_mutual_info_score(labels, codes), abs=1e-9)
        assert value <= 1 + 1e-9


def test_degenerate_tables_have_no_signal_and_no_nan():
    for positives, totals in [
        (np.array([1, 0, 1, 0]), np.ones(4, dtype=np.int64)),
        (np.array([0, 0]), np.array([5, 5])),
        (np.array([5, 5]), np.array([5, 5])),
        (np.array([3]), np.array([9])),
        (np.array([0]), np.array([0])),
        (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)),
        (np.array([1, 0]), np.ones(2, dtype=np.int64)),
    ]:
        test = information_test(positives, totals)
        assert (test.excess, test.z, test.p_value, test.adjusted, test.deviation) == (0.0, 0.0, 1.0, 0.0, 0.0)
        assert test.value == test.expected
        assert adjusted_mutual_information(positives, totals) == 0.0


@pytest.mark.parametrize("size", [2, 100, 3000])
def test_noise_fields_have_no_excess_on_average(size):
    rng = np.random.default_rng(size)
    p = np.arange(1, size + 1.0) ** -1.0
    labels = (rng.random(4000) < 0.05).astype(np.uint8)
    tests = [information_test(*counted(rng.choice(size, 4000, p=p / p.sum()), labels, size)) for _ in range(200)]
    for numbers in ([t.excess for t in tests], [t.adjusted for t in tests], [t.z for t in tests]):
        assert abs(np.mean(numbers)) < 3 * np.std(numbers, ddof=1) / math.sqrt(200)
    assert np.std([t.z for t in tests]) == pytest.approx(1, abs=0.35)


def test_exclusive_or_is_seen_in_the_cross_only():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 2, 20_000), rng.integers(0, 2, 20_000)
    label = a ^ b
    assert information_test(*counted(a, label)).excess < 0.01
    assert information_test(*counted(b, label)).excess < 0.01
    cross = information_test(*counted(2 * a + b, label))
    assert cross.value > 0.6
    assert cross.p_value == 0.0
    assert cross.adjusted > 0.6


def test_a_true_field_beats_an_identifier_of_larger_plug_in_value():
    rng = np.random.default_rng(5)
    signal, identifier = rng.integers(0, 5, 20_000), rng.integers(0, 8000, 20_000)
    labels = (rng.random(20_000) < 0.03 + 0.02 * signal).astype(np.uint8)
    true, noise = information_test(*counted(signal, labels)), information_test(*counted(identifier, labels, 8000))
    assert noise.value > true.value
    assert true.z > 10
    assert abs(noise.z) < 4
    assert true.p_value < 1e-10
    assert noise.p_value > 1e-4


@given(st.lists(st.integers(0, 50), max_size=10))
def test_entropy_bounds(counts):
    value = entropy(np.array(counts, dtype=np.int64))
    occupied = sum(c > 0 for c in counts)
    assert 0 <= value <= math.log(max(occupied, 1)) + 1e-12


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


def test_refuses_contradictions():
    with pytest.raises(DataError, match="got 3 of 2 at value 1"):
        mutual_information(np.array([0, 3]), np.array([1, 2]))
    with pytest.raises(DataError, match="one length"):
        mutual_information(np.array([0]), np.array([1, 2]))
    with pytest.raises(DataError, match="one-dimensional"):
        entropy(np.ones((2, 2), dtype=np.int64))


def test_excess_of_identifier_saturates_below_label_entropy():
    totals = np.concatenate([np.ones(900, dtype=np.int64), [100]])
    assert expected_mutual_information(50, totals) <= entropy(np.array([50, 950])) + 1e-12


def test_nearly_unique_values_are_judged_carefully():
    # 30 pairs among 3,000 single rows: the information is near its ceiling, so the null leans to the left.
    totals = np.array([1] * 3000 + [2] * 30)
    rng = np.random.default_rng(7)
    ys = rng.multivariate_hypergeometric(totals, 153, size=300, method="marginals")
    p = np.array([information_test(y, totals).p_value for y in ys])
    assert ((p >= 0) & (p <= 1)).all()
    assert (p <= 0.01).mean() <= 0.03


def test_weights_that_are_whole_numbers_are_repeated_rows():
    rng = np.random.default_rng(1)
    totals = rng.integers(1, 50, 30)
    yes = rng.binomial(totals, 0.3)
    assert weighted_mutual_information(yes * 0.5, totals * 0.5) == pytest.approx(
        mutual_information(yes, totals), abs=1e-14
    )
    parts = (yes, totals, yes[::-1].copy(), totals[::-1].copy())
    assert weighted_held_out_gain(*(p * 0.5 for p in parts), prior=10.0) == pytest.approx(
        held_out_gain(*parts, prior=20.0), abs=1e-14
    )
    negative, positive = log_loss_saved(yes, totals, prior=20.0)
    saved = (yes[::-1] * positive + (totals - yes)[::-1] * negative).sum() / totals.sum()
    assert saved == pytest.approx(held_out_gain(*parts, prior=20.0), abs=1e-14)
    assert [a.tolist() for a in log_loss_saved(np.zeros(2), np.ones(2), prior=1.0)] == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weighted_mutual_information(np.array([-1.0]), np.array([1.0])), "not negative, got -1.0 at value 0"),
        (lambda: weighted_mutual_information(np.array([2.0]), np.array([1.0])), "got 2.0 of 1.0"),
        (lambda: weighted_mutual_information(np.array([0.0]), np.array([np.inf])), "finite"),
        (lambda: weighted_mutual_information(np.zeros(2), np.ones(3)), "one length"),
        (lambda: weighted_held_out_gain(np.zeros(2), np.ones(2), np.zeros(3), np.ones(3), prior=1.0), "2 and 3"),
    ],
)
def test_refuses_weights_that_cannot_be(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_the_prior_of_weighted_gain_is_above_nought():
    with pytest.raises(ValueError, match="prior"):
        weighted_held_out_gain(np.zeros(2), np.ones(2), np.zeros(2), np.ones(2), prior=0.0)


@pytest.mark.parametrize(
    ("values", "spread"), [(2, 0.0), (2, 0.05), (2, 0.3), (30, 0.0), (30, 0.1), (30, 0.3), (300, 0.1)]
)
def test_the_interval_holds_the_information_of_the_population(values, spread):
    rng = np.random.default_rng(values)
    rate = 1 / (1 + np.exp(1.5 - rng.normal(0, spread, values)))
    base = rate.mean()
    true = float((rate * np.log(rate / base) + (1 - rate) * np.log((1 - rate) / (1 - base))).mean())
    hits, times = 0, 300
    for _ in range(times):
        totals = rng.multinomial(20_000, np.full(values, 1 / values))
        test = information_test(rng.binomial(totals, rate), totals)
        hits += test.low <= true <= test.high
    assert 0.91 < hits / times <= 1.0


def test_draws_of_the_null_give_the_same_test():
    rng = np.random.default_rng(2)
    totals = np.full(40, 100)
    yes = rng.binomial(totals, 0.2 + 0.3 * (np.arange(40) % 2))
    ys = rng.multivariate_hypergeometric(totals, int(yes.sum()), size=4000, method="marginals")
    drawn = np.array([mutual_information(y, totals) for y in ys])
    exact = information_test(yes, totals)
    found = drawn_information_test(yes, totals, drawn, rows=4000, expected_if_independent=exact.expected)
    for key in ("value", "expected", "excess", "adjusted", "deviation", "z", "low", "high"):
        assert getattr(found, key) == pytest.approx(getattr(exact, key), rel=0.05), key
    assert (found.values, found.rows) == (40, 4000)
    # Rows that are worth half as much make a wider interval.
    wider = drawn_information_test(yes, totals, 2 * drawn, rows=4000, expected_if_independent=exact.expected)
    assert wider.high - wider.low > 1.1 * (found.high - found.low)


def test_draws_that_do_not_differ_are_no_evidence():
    assert drawn_moments(np.full(30, 0.25)).variance == 0.0
    test = drawn_information_test(
        np.array([1, 0]), np.array([1, 1]), np.full(30, np.log(2)), rows=2, expected_if_independent=np.log(2)
    )
    assert (test.excess, test.z, test.p_value, test.low, test.high) == (0.0, 0.0, 1.0, 0.0, 0.0)
