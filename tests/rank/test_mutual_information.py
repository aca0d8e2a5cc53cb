"""The checks that a ranking by information must pass: agreement with scikit-learn and scipy, invariances, nulls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.rank import FieldCounts, TableCounts
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.stats.counts import label_counts
from ctrsel.stats.held_out import held_out_gain


def _counts(fields, labels, *, valid_from=None):
    """Count columns of value numbers 0.., which become the codes 3.. as in a table."""
    labels = np.asarray(labels, dtype=np.uint8)
    found = {}
    for name, values in fields.items():
        codes = np.asarray(values) + 3
        size = int(codes.max(initial=0)) + 4
        cut = len(labels) if valid_from is None else valid_from
        found[name] = FieldCounts(
            train=label_counts(codes[:cut], labels[:cut], size=size),
            valid=None if valid_from is None else label_counts(codes[cut:], labels[cut:], size=size),
        )
    return TableCounts(fields=found)


def _rows(fields, labels, **how):
    frame = MutualInformation().score(_counts(fields, labels, **how)).frame
    return {row["field"]: row for row in frame.to_dicts()}


def _zipf(rng, n, k):
    mass = np.cumsum(1 / np.arange(1, k + 1))
    return np.minimum(np.searchsorted(mass / mass[-1], rng.random(n)), k - 1)


def test_the_small_reference():
    x = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    y = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0, 1])
    row = _rows({"x": x}, y)["x"]
    assert row["mi"] == pytest.approx(0.08630462173553458, abs=1e-14)
    assert row["expected_mi"] == pytest.approx(0.13575060590230034, abs=1e-12)
    assert row["ami"] == pytest.approx(-0.06546769975435288, abs=1e-12)
    assert row["mi_minus_expected"] == pytest.approx(row["mi"] - row["expected_mi"], abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=2, max_size=60))
def test_agrees_with_scikit_learn(pairs):
    x, y = (np.array(c) for c in zip(*pairs, strict=True))
    row = _rows({"x": x}, y)["x"]
    assert row["mi"] == pytest.approx(mutual_info_score(y, x), abs=1e-12)
    assert np.isfinite([v for k, v in row.items() if k not in ("field", "held_out_gain")]).all()
    if len(np.unique(x)) > 1 and len(np.unique(y)) > 1 and len(np.unique(x)) < len(x):
        table = contingency_matrix(y, x, sparse=True)
        expected = expected_mutual_information(table.astype(np.int64), len(x))
        assert row["expected_mi"] == pytest.approx(expected, abs=1e-10)
        assert row["ami"] == pytest.approx(adjusted_mutual_info_score(y, x), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_names_of_values_and_order_of_rows_do_not_matter(seed):
    rng = generator(seed, "invariance")
    x, y = rng.integers(0, 9, 200), rng.integers(0, 2, 200)
    order, names = rng.permutation(200), rng.permutation(9)
    one, two = _rows({"x": x}, y)["x"], _rows({"x": names[x][order]}, y[order])["x"]
    for key in ("mi", "expected_mi", "z", "p", "ami"):
        assert one[key] == pytest.approx(two[key], abs=1e-10)


def test_merged_chunks_are_one_pass():
    rng = generator(1, "merge")
    x, y = {"a": rng.integers(0, 50, 900), "b": rng.integers(0, 3, 900)}, rng.integers(0, 2, 900)
    size = {name: int(v.max()) + 4 for name, v in x.items()}

    def part(rows):
        return TableCounts(
            fields={
                n: FieldCounts(train=label_counts(v[rows] + 3, y[rows].astype(np.uint8), size=size[n]))
                for n, v in x.items()
            }
        )

    whole = MutualInformation().score(part(slice(None)))
    merged = MutualInformation().score(part(slice(600, None)) + part(slice(0, 100)) + part(slice(100, 600)))
    assert whole.frame.equals(merged.frame)


@pytest.mark.parametrize("k", [2, 20, 300, 3000])
def test_noise_scores_zero_on_average_at_every_cardinality(k):
    rng = generator(k, "noise")
    y = rng.random(4000) < 0.06
    rows = _rows({f"n{i:03d}": _zipf(rng, 4000, k) for i in range(200)}, y).values()
    for key in ("z", "mi_minus_expected", "ami"):
        found = np.array([r[key] for r in rows])
        assert abs(found.mean()) < 3 * found.std(ddof=1) / np.sqrt(200)
    assert 0.8 < np.std([r["z"] for r in rows]) < 1.25
    assert np.mean([r["p"] < 0.05 for r in rows]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_exclusive_or_shows_in_the_cross_only():
    rng = generator(2, "xor")
    a, b = rng.integers(0, 2, (2, 5000))
    rows = _rows({"a": a, "b": b, "cross": 2 * a + b}, a ^ b)
    assert rows["a"]["mi"] < 0.01
    assert rows["b"]["mi"] < 0.01
    assert rows["cross"]["mi"] > 0.6
    assert rows["cross"]["rank"] == 1


def test_a_field_that_can_say_nothing_scores_zero():
    rng = generator(3, "nothing")
    y = rng.integers(0, 2, 400)
    rows = _rows({"constant": np.zeros(400, int), "id": rng.permutation(400), "copy": y}, y, valid_from=300)
    for name in ("constant", "id"):
        row = rows[name]
        assert [row[k] for k in ("score", "z", "ami", "mi_minus_expected")] == [0.0] * 4
        assert row["p"] == row["q"] == 1.0
        assert row["held_out_gain"] == pytest.approx(0.0, abs=0.01)
    assert rows["id"]["mi"] == pytest.approx(rows["id"]["expected_mi"])
    copy = rows["copy"]
    assert copy["rank"] == 1
    assert copy["ami"] == pytest.approx(1.0)
    assert copy["held_out_gain"] > 0.5
    assert (rows["constant"]["values"], rows["id"]["values"], copy["values"]) == (1, 300, 2)


def test_one_class_scores_zero():
    row = _rows({"x": np.arange(10) % 3}, np.zeros(10), valid_from=6)["x"]
    assert [row[k] for k in ("score", "mi", "ami", "p", "held_out_gain")] == [0.0, 0.0, 0.0, 1.0, 0.0]


def test_q_values_are_those_of_scipy_and_ties_stand_by_name():
    rng = generator(4, "q")
    y = rng.random(2000) < 0.2
    fields = {f"f{i}": rng.integers(0, 4, 2000) for i in range(6)} | {
        "b": np.zeros(2000, int),
        "a": np.zeros(2000, int),
    }
    fields["f0"] = np.where(rng.random(2000) < 0.2, y, fields["f0"])
    frame = MutualInformation().score(_counts(fields, y)).frame
    np.testing.assert_allclose(frame["q"], false_discovery_control(frame["p"].to_numpy()), atol=1e-12)
    assert frame["rank"].to_list() == list(range(1, 9))
    assert frame["score"].to_list() == sorted(frame["score"].to_list(), reverse=True)
    names = frame["field"].to_list()
    assert names.index("b") == names.index("a") + 1


def test_the_held_out_gain_is_that_of_all_values():
    rng = generator(5, "held out")
    x, y = _zipf(rng, 3000, 2000), rng.random(3000) < 0.3
    counts = _counts({"x": x}, y, valid_from=2700).fields["x"]
    row = _rows({"x": x}, y, valid_from=2700)["x"]
    parts = (counts.train.positives, counts.train.totals, counts.valid.positives, counts.valid.totals)
    assert row["held_out_gain"] == pytest.approx(held_out_gain(*parts, prior=20.0), abs=1e-15)


def test_missing_share_and_the_chosen_score():
    codes, labels = np.array([0, 0, 3, 4, 3, 1]), np.array([0, 1, 0, 1, 0, 1], dtype=np.uint8)
    counts = label_counts(codes, labels, size=5)
    given = TableCounts(fields={"x": FieldCounts(train=counts, valid=counts)}, table="t", notes=("n",))
    row = MutualInformation().score(given).frame.row(0, named=True)
    assert row["missing_share"] == pytest.approx(1 / 3)
    assert row["values"] == 2
    for by, unit in (("ami", "share"), ("held_out_gain", "nats"), ("z", "sd")):
        ranking = MutualInformation(by=by).score(given)
        assert ranking.frame["score"][0] == row[by]
        assert ranking.unit == unit
        assert ranking.params["by"] == by
        assert (ranking.table, ranking.notes) == ("t", ("n",))


def test_the_effect_is_nought_where_chance_may_explain_it():
    rng = generator(6, "effect")
    n = 6000
    many, few = _zipf(rng, n, 400), rng.integers(0, 2, n)
    y = rng.random(n) < 0.15 + 0.25 * (many % 2) + 0.04 * few
    noise = {f"noise_{k}": _zipf(rng, n, k) for k in (2, 30, 3000)}
    frame = MutualInformation().score(_counts({"many": many, "few": few, **noise}, y)).frame
    rows = {row["field"]: row for row in frame.to_dicts()}
    for row in rows.values():
        assert row["score"] == (row["mi_minus_expected"] if row["q"] <= 0.05 else 0.0)
    assert frame["field"].to_list()[:2] == ["many", "few"]
    assert rows["few"]["q"] < 1e-3
    rest = frame.filter(frame["q"] > 0.05)
    assert rest["z"].to_list() == sorted(rest["z"].to_list(), reverse=True)
    assert MutualInformation(alpha=1e-9).score(_counts({"few": few}, y)).frame["score"].to_list() == [0.0]


def test_no_field_at_all_is_an_empty_ranking():
    ranking = MutualInformation().score(TableCounts(fields={}, refused={"l": "a list"}))
    assert ranking.frame.height == 0
    assert ranking.order == ()
    assert ranking.refused == {"l": "a list"}


def test_refuses_wrong_parameters():
    with pytest.raises(ConfigError, match=r"by: must be one of effect, z, ami.*, got 'nmi'"):
        MutualInformation(by="nmi")
    with pytest.raises(ConfigError, match="alpha: must be between 0 and 1, got 5"):
        MutualInformation(alpha=5)
    with pytest.raises(ConfigError, match="prior: must be above 0 rows, got 0"):
        MutualInformation(prior=0)


def test_rates_that_are_more_even_than_chance_are_noted():
    # Of every user's 30 rows exactly 10 are positive, as where negatives were drawn for each positive row.
    user = np.repeat(np.arange(300), 30)
    labels = np.tile([1] * 10 + [0] * 20, 300)
    noise = generator(1, "even").integers(0, 300, len(user))
    ranking = MutualInformation().score(_counts({"user": user, "noise": noise}, labels))
    assert ranking.score("user") == 0
    (note,) = ranking.notes
    assert "user (z -" in note
    assert "noise" not in note
