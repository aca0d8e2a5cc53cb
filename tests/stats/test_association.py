"""Two fields beside each other: agreement with scikit-learn, the chain rule, noise, copies, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.association import association, conditional_information, joint_information, normalised
from ctrsel.stats.information import entropy, mutual_information
from ctrsel.stats.joint import joint_counts
from ctrsel.stats.permutation import permutation_moments

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 1)), min_size=2, max_size=80)


def _joint(*columns, labels):
    columns = [np.asarray(c) for c in columns]
    return joint_counts(columns, np.asarray(labels), sizes=[int(c.max()) + 1 for c in columns])


def _zipf(rng, n, k):
    mass = np.cumsum(1 / np.arange(1, k + 1))
    return np.minimum(np.searchsorted(mass / mass[-1], rng.random(n)), k - 1)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_agrees_with_scikit_learn(rows):
    a, b, y = (np.array(c) for c in zip(*rows, strict=True))
    found = association(_joint(a, b, labels=y))
    assert found.value == pytest.approx(mutual_info_score(a, b), abs=1e-12)
    assert found.rows == len(rows)
    unique = len(np.unique(a)) == len(a) or len(np.unique(b)) == len(b)
    if len(np.unique(a)) > 1 and len(np.unique(b)) > 1:
        table = contingency_matrix(a, b, sparse=True).astype(np.int64)
        assert found.expected == pytest.approx(expected_mutual_information(table, len(a)), abs=1e-10)
        if not unique:
            assert found.normalised == pytest.approx(max(adjusted_mutual_info_score(a, b), 0.0), abs=1e-8)
    if unique:
        assert found.normalised == 0.0


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_the_chain_rule_and_its_null(rows):
    f, s, y = (np.array(c) for c in zip(*rows, strict=True))
    joint = _joint(s, f, labels=y)
    found = conditional_information(joint)
    together = mutual_information(joint.positives, joint.totals)
    alone = joint.marginal(0)
    assert found.value == pytest.approx(together - mutual_information(alone.positives, alone.totals), abs=1e-12)
    # By hand: within each value of S the null is that of a field and a label.
    by_hand, variance = 0.0, 0.0
    for value in np.unique(s):
        inside = s == value
        null = permutation_moments(int(y[inside].sum()), np.bincount(f[inside]))
        by_hand += inside.sum() * null.mean
        variance += (inside.sum() / len(y)) ** 2 * null.variance
    assert found.expected == pytest.approx(by_hand / len(y), abs=1e-11)
    assert found.excess == (found.value - found.expected if found.deviation else 0.0)
    assert found.deviation == pytest.approx(np.sqrt(variance), rel=2e-2, abs=1e-4 / len(y))
    other = conditional_information(_joint(f, s, labels=y), given=1)
    assert other.value == pytest.approx(found.value, abs=1e-12)
    assert other.expected == pytest.approx(found.expected, abs=1e-12)


def test_the_small_reference():
    a, b = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 1, 1, 0, 1, 1, 0, 1])
    found = association(_joint(a, b, labels=b))
    assert found.value == pytest.approx(0.08630462173553458, abs=1e-14)
    assert found.expected == pytest.approx(0.13575060590230034, abs=1e-12)
    assert found.excess == found.value - found.expected
    assert found.normalised == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_names_and_order_do_not_matter(seed):
    rng = generator(seed, "invariance")
    a, b, y = rng.integers(0, 7, 150), rng.integers(0, 30, 150), rng.integers(0, 2, 150)
    order, names = rng.permutation(150), rng.permutation(30)
    one, two = association(_joint(a, b, labels=y)), association(_joint(names[b][order], a[order], labels=y[order]))
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.expected == pytest.approx(two.expected, abs=1e-12)
    assert one.deviation == pytest.approx(two.deviation, rel=1e-6)


def test_conditional_excess_of_noise_is_zero_on_average_for_two_ids():
    rng = generator(3, "conditional noise")
    n, found, z = 3000, [], []
    for _ in range(200):
        s = _zipf(rng, n, 800)
        y = rng.random(n) < 0.1 + 0.2 * (s % 2)
        test = conditional_information(_joint(s, _zipf(rng, n, 800), labels=y))
        found.append(test.excess)
        z.append(test.excess / test.deviation)
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(200)
    assert np.std(found) < 0.02
    assert 0.85 < np.std(z) < 1.15


def test_copies_constants_and_row_numbers():
    rng = generator(4, "edges")
    n = 400
    y, field = rng.integers(0, 2, n), rng.integers(0, 9, n)
    copy = association(_joint(field, rng.permutation(9)[field], labels=y))
    assert copy.value == pytest.approx(entropy(np.bincount(field)), abs=1e-12)
    assert copy.normalised == pytest.approx(1.0, abs=1e-12)
    constant = association(_joint(field, np.zeros(n, int), labels=y))
    assert [constant.value, constant.expected, constant.normalised, constant.deviation] == pytest.approx([0.0] * 4)
    number = association(_joint(field, rng.permutation(n), labels=y))
    assert number.value == pytest.approx(number.expected, abs=1e-8)
    assert number.normalised == 0.0
    given_all = conditional_information(_joint(np.arange(n), field, labels=y))
    assert [given_all.value, given_all.expected] == [0.0, 0.0]
    again = conditional_information(_joint(field, field, labels=y))
    assert [again.value, again.expected] == [0.0, 0.0]


def test_exclusive_or_shows_when_one_input_is_known():
    rng = generator(5, "xor")
    a, b = rng.integers(0, 2, (2, 4000))
    found = conditional_information(_joint(a, b, labels=a ^ b))
    assert found.value == pytest.approx(np.log(2), abs=1e-3)
    assert found.expected < 1e-3
    assert association(_joint(a, b, labels=a ^ b)).normalised < 0.01


def test_three_fields_one_of_them_known():
    rng = generator(6, "three")
    a, b, c = rng.integers(0, 2, (3, 4000))
    joint = _joint(a, b, c, labels=a ^ b ^ c)
    assert conditional_information(joint).excess == pytest.approx(np.log(2), abs=2e-3)
    pair = conditional_information(_joint(a, b, labels=a ^ b ^ c))
    assert abs(pair.excess) < 2e-3
    for place in (1, 2):
        assert conditional_information(joint, given=place).value == pytest.approx(np.log(2), abs=2e-3)


def test_norms():
    for norm, most in (("mean", 1.5), ("max", 2.0), ("min", 1.0), ("sqrt", np.sqrt(2.0))):
        assert normalised(0.5, 0.2, 1.0, 2.0, norm=norm) == pytest.approx(0.3 / (most - 0.2))
    assert normalised(0.1, 0.2, 1.0, 2.0) == 0.0
    assert normalised(2.0, 0.2, 1.0, 2.0, norm="min") == 1.0
    assert normalised(1.0, 1.0 - 1e-12, 1.0, 1.0) == 0.0


def test_refuses():
    two = _joint([0, 1], [1, 0], labels=[0, 1])
    with pytest.raises(DataError, match="that of two fields, got counts of 3"):
        association(_joint([0, 1], [1, 0], [0, 0], labels=[0, 1]))
    with pytest.raises(DataError, match="got place 2 of 2"):
        conditional_information(two, given=2)
    with pytest.raises(DataError, match="got place 0 of 1"):
        conditional_information(_joint([0, 1], labels=[0, 1]))
    with pytest.raises(DataError, match="cells and values must have the same rows, got 2, 3 and 2"):
        joint_information(np.array([2]), np.array([3]), np.array([2]))
