"""Information against its null: reference numbers, noise, identifiers, the exclusive or, coverage, and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctrsel.stats.counts import label_counts
from ctrsel.stats.information import adjusted_mutual_information, mutual_information
from ctrsel.stats.information_test import drawn_information_test, drawn_moments, information_test

X = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
Y = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0, 1])


def counted(codes, labels, size=None):
    found = label_counts(np.asarray(codes, dtype=np.uint32), np.asarray(labels), size=size or int(np.max(codes)) + 1)
    return found.positives, found.totals


def test_reference_values():
    test = information_test(*counted(X, Y))
    assert test.value == pytest.approx(0.08630462173553458, abs=1e-14)
    assert test.expected == pytest.approx(0.13575060590230034, abs=1e-14)
    assert test.adjusted == pytest.approx(-0.06546769975435288, abs=1e-13)
    assert test.excess == pytest.approx(0.08630462173553458 - 0.13575060590230034, abs=1e-13)
    assert (test.values, test.rows) == (3, 10)


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


def test_nearly_unique_values_are_judged_carefully():
    # 30 pairs among 3,000 single rows: the information is near its ceiling, so the null leans to the left.
    totals = np.array([1] * 3000 + [2] * 30)
    rng = np.random.default_rng(7)
    ys = rng.multivariate_hypergeometric(totals, 153, size=300, method="marginals")
    p = np.array([information_test(y, totals).p_value for y in ys])
    assert ((p >= 0) & (p <= 1)).all()
    assert (p <= 0.01).mean() <= 0.03


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
