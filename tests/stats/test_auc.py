"""AUC against scikit-learn and its definition as a share of pairs; intervals against the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ctrsel.core.errors import DataError
from ctrsel.stats.auc import auc, auc_statistic, delong, delong_paired, grouped_auc
from ctrsel.stats.intervals import bootstrap

# Few distinct scores make ties the rule.
tables = st.lists(st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 3), st.integers(0, 3)), max_size=40)


def arrays(rows):
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return table[:, 0], table[:, 1].astype(float), table[:, 2], table[:, 3]


def pairs_won(labels, scores):
    up, down = scores[labels == 1], scores[labels == 0]
    if not up.size or not down.size:
        return None
    difference = up[:, None] - down[None, :]
    return float(((difference > 0) + (difference == 0) / 2).mean())


@given(tables)
@settings(max_examples=150, deadline=None)
def test_auc_is_the_share_of_pairs(rows):
    labels, scores, _, times = arrays(rows)
    value = auc(labels, scores)
    expected = pairs_won(labels, scores)
    assert (value is None) == (expected is None)
    repeated = auc(np.repeat(labels, times), np.repeat(scores, times))
    weighted = auc(labels, scores, weight=times)
    assert (weighted is None) == (repeated is None)
    if repeated is not None:
        assert weighted == pytest.approx(repeated, abs=1e-12)
    if value is not None:
        assert value == pytest.approx(expected, abs=1e-14)
        assert auc(labels, -scores) == pytest.approx(1 - value, abs=1e-14)
        assert auc(labels[::-1], np.exp(scores[::-1])) == value
        assert auc_statistic(labels, scores)(times) == weighted
        assert auc(labels, scores, weight=np.full(labels.size, 0.1)) == pytest.approx(value, abs=1e-12)


@given(tables)
@settings(max_examples=150, deadline=None)
def test_grouped_auc_is_the_mean_of_each_groups_auc(rows):
    labels, scores, groups, times = arrays(rows)
    for weight in (None, times):
        found = grouped_auc(labels, scores, groups, weight=weight)
        mass = np.ones(labels.size) if weight is None else weight
        each = {
            g: auc(labels[groups == g], scores[groups == g], weight=mass[groups == g]) for g in set(groups.tolist())
        }
        used = {g: value for g, value in each.items() if value is not None}
        assert (found.groups_used, found.groups_one_class) == (len(used), len(each) - len(used))
        assert found.rows_used == sum(int((groups == g).sum()) for g in used)
        if used:
            weights = [mass[groups == g].sum() for g in used]
            assert found.value == pytest.approx(np.average(list(used.values()), weights=weights), abs=1e-12)
        else:
            assert found.value is None


def test_auc_equals_scikit_learn_on_many_rows_with_weights():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(20_000) < 0.05, rng.normal(size=20_000).round(2)
    weight = rng.random(20_000)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert auc(labels, scores, weight=weight) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12
    )


def test_one_class_has_no_auc():
    assert auc(np.ones(3), np.arange(3.0)) is None
    assert auc(np.zeros(0), np.zeros(0)) is None
    assert auc_statistic(np.zeros(0), np.zeros(0))(np.zeros(0)) is None
    assert auc(np.array([0, 1]), np.array([0.0, 1.0]), weight=np.array([0.0, 1.0])) is None
    assert grouped_auc(np.zeros(0), np.zeros(0), np.zeros(0)).value is None
    assert delong(np.array([0, 0, 1]), np.arange(3.0)) is None
    assert delong_paired(np.array([0, 0, 1]), np.arange(3.0), np.arange(3.0)) is None


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.0, math.nan], "scores must be finite, got nan in row 1"),
        ([0, 2], [0.0, 1.0], "labels must be 0 or 1, got .*2.* in row 1"),
        ([0, 1], [0.0], "scores must have shape"),
        ([[0, 1]], [0.0], "one-dimensional"),
    ],
)
def test_refuses(labels, scores, message):
    for metric in (auc, delong):
        with pytest.raises(DataError, match=message):
            metric(np.array(labels), np.array(scores))
    with pytest.raises(DataError, match="negative"):
        auc(np.array([0, 1]), np.array([0.0, 1.0]), weight=np.array([1.0, -1.0]))
    with pytest.raises(DataError, match="weight"):
        auc_statistic(np.array([0, 1]), np.array([0.0, 1.0]))(np.ones(3))
    with pytest.raises(DataError, match="groups"):
        grouped_auc(np.array([0, 1]), np.array([0.0, 1.0]), np.array([0]))


def placements(labels, scores):
    up, down = scores[labels == 1], scores[labels == 0]
    won = (up[:, None] > down[None, :]) + (up[:, None] == down[None, :]) / 2
    return won.mean(axis=1), won.mean(axis=0)


def test_delong_equals_its_definition_with_ties():
    rng = np.random.default_rng(1)
    labels = (rng.random(300) < 0.3).astype(int)
    a = (rng.normal(size=300) + labels).round(1)
    b = (a + rng.normal(size=300)).round(1)
    v10, v01 = zip(placements(labels, a), placements(labels, b), strict=True)
    s = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    one = delong(labels, a)
    assert one.value == pytest.approx(auc(labels, a), abs=1e-13)
    assert one.standard_error == pytest.approx(math.sqrt(s[0, 0]), abs=1e-12)
    assert one.low == pytest.approx(one.value - 1.959963984540054 * one.standard_error)
    both = delong_paired(labels, a, b)
    assert (both.auc_a, both.auc_b) == pytest.approx((auc(labels, a), auc(labels, b)), abs=1e-13)
    assert both.standard_error == pytest.approx(math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1]), abs=1e-12)
    assert both.value == pytest.approx(both.auc_a - both.auc_b, abs=1e-13)
    swapped = delong_paired(labels, b, a)
    assert (swapped.value, swapped.p_value) == pytest.approx((-both.value, both.p_value), abs=1e-12)


def test_models_that_order_alike_do_not_differ():
    labels, scores = np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    same = delong_paired(labels, scores, np.exp(scores))
    assert (same.value, same.standard_error, same.p_value) == (0.0, 0.0, 1.0)
    perfect = delong_paired(labels, labels, 1 - labels)
    assert (perfect.value, perfect.p_value) == (1.0, 0.0)


def test_delong_agrees_with_the_bootstrap():
    rng = np.random.default_rng(2)
    labels = (rng.random(3000) < 0.2).astype(int)
    a = rng.normal(size=3000) + 0.8 * labels
    b = a + 0.5 * rng.normal(size=3000)
    one = delong(labels, a)
    drawn = bootstrap(auc_statistic(labels, a), 3000, draws=400, seed=0)
    assert drawn.standard_error == pytest.approx(one.standard_error, rel=0.15)
    assert drawn.low == pytest.approx(one.low, abs=0.3 * one.standard_error)
    both = delong_paired(labels, a, b)
    paired = bootstrap(
        lambda times: auc(labels, a, weight=times) - auc(labels, b, weight=times), 3000, draws=400, seed=1
    )
    assert paired.standard_error == pytest.approx(both.standard_error, rel=0.15)


def test_delong_covers_the_truth():
    # Scores N(0, 1) and N(1, 1): the true area is Phi(1 / sqrt 2).
    rng = np.random.default_rng(3)
    truth, held = 0.5 * (1 + math.erf(0.5)), 0
    labels = np.repeat([0, 1], [300, 60])
    for _ in range(400):
        interval = delong(labels, rng.normal(size=360) + labels)
        held += interval.low <= truth <= interval.high
    assert held / 400 == pytest.approx(0.95, abs=0.035)


def test_clustered_error_agrees_with_the_bootstrap_of_groups_and_grows_with_copies():
    rng = np.random.default_rng(4)
    labels = (rng.random(600) < 0.3).astype(int)
    scores = rng.normal(size=600) + labels
    plain = delong(labels, scores)
    alone = delong(labels, scores, groups=np.arange(600))
    assert alone.standard_error == pytest.approx(plain.standard_error, rel=0.01)
    # Each row five times: the plain form believes in five times the rows, the clustered one does not.
    five_labels, five_scores, groups = np.repeat(labels, 5), np.repeat(scores, 5), np.repeat(np.arange(600), 5)
    fooled, clustered = delong(five_labels, five_scores), delong(five_labels, five_scores, groups=groups)
    assert fooled.standard_error == pytest.approx(plain.standard_error / math.sqrt(5), rel=0.01)
    assert clustered.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
    drawn = bootstrap(lambda times: auc(five_labels, five_scores, weight=times), 3000, groups=groups, draws=300, seed=2)
    assert drawn.standard_error == pytest.approx(clustered.standard_error, rel=0.15)
    assert delong(labels, scores, groups=np.zeros(600)) is None
    assert delong_paired(labels, scores, -scores, groups=np.zeros(600)) is None
    assert delong_paired(labels, scores, -scores, groups=np.arange(600)).method == "delong, paired, clustered"
    with pytest.raises(DataError, match="groups"):
        delong(labels, scores, groups=np.zeros(3))
