"""Fields that say the same are one group, and what they add to each other is measured against the right null."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import TableCounts
from ctrsel.rank.field_association import field_association, same_fields
from ctrsel.rank.redundancy import Redundancy
from ctrsel.stats.association import conditional_information
from ctrsel.testing.counts import counts_of


def _planted(n=6000):
    rng = generator(1, "redundancy")
    city = rng.integers(0, 60, n)
    user = rng.integers(0, 2500, n)
    y = (rng.random(n) < 0.1 + 0.25 * (city % 3 == 0) + 0.1 * (user % 2)).astype(int)
    noisy = np.where(rng.random(n) < 0.1, rng.integers(0, 60, n), city)
    columns = {
        "city": city,
        "city_noisy": noisy,
        "city_again": (city * 7 + 1) % 60,
        "country": city // 10,
        "user": user,
        "user_again": rng.permutation(2500)[user],
        "noise": rng.integers(0, 400, n),
        "row": rng.permutation(n),
    }
    return columns, y


def test_the_matrix_is_that_of_scikit_learn():
    columns, y = _planted(1500)
    found = field_association(counts_of(columns, y))
    assert found.names == tuple(columns)
    np.testing.assert_array_equal(found.share, found.share.T)
    np.testing.assert_array_equal(np.diag(found.share), 1.0)
    for i, a in enumerate(columns):
        for j, b in enumerate(columns):
            if i < j and "row" not in (a, b):
                reference = adjusted_mutual_info_score(columns[a], columns[b])
                assert found.share[i, j] == pytest.approx(max(reference, 0.0), abs=1e-6)
    at = {n: i for i, n in enumerate(found.names)}
    assert found.told[at["country"], at["city"]] == pytest.approx(1.0)
    assert found.told[at["city"], at["country"]] == pytest.approx(0.43, abs=0.05)
    assert abs(found.z[at["city"], at["noise"]]) < 4
    assert found.z[at["city"], at["country"]] > 100
    assert found.share[at["row"]].sum() == 1.0  # only itself: a value in every row tells what chance tells
    assert found.rows == 1500


def test_groups_their_best_and_what_the_others_add():
    columns, y = _planted()
    ranking = Redundancy().score(counts_of(columns, y))
    row = {r["field"]: r for r in ranking.frame.to_dicts()}
    groups = {}
    for r in row.values():
        groups.setdefault(r["cluster"], set()).add(r["field"])
    assert sorted(map(sorted, groups.values())) == [
        ["city", "city_again", "city_noisy", "country"],
        ["noise"],
        ["row"],
        ["user", "user_again"],
    ]
    assert row["city"]["cluster"] == 1
    assert row["city"]["cluster_size"] == 4
    assert ranking.order[0] == "city"
    assert row["city"]["score"] == row["city"]["mi_minus_expected"] == row["city"]["left_beside_representative"]
    for name in ("city_again", "country"):
        assert row[name]["score"] == 0.0
        assert row[name]["representative"] == "city"
    assert row["city_again"]["mi_minus_expected"] > 0.01
    assert row["city_again"]["nearest"] == "city"
    assert row["city_again"]["nearest_nmi"] == pytest.approx(1.0)
    assert row["city_again"]["left"] == 0.0
    assert row["country"]["nearest_tells"] == pytest.approx(1.0)
    assert row["user_again"]["score"] == 0.0
    assert row["user"]["q"] < 0.05
    assert row["noise"]["score"] == row["row"]["score"] == 0.0
    assert set(ranking.order[:2]) == {"city", "user"}
    assert ranking.unit == "nats"
    scores = ranking.frame["score"].to_list()
    assert scores == sorted(scores, reverse=True)
    assert sorted(ranking.frame["cluster"].unique()) == [1, 2, 3, 4]


def test_left_is_the_conditional_information():
    columns, y = _planted(2000)
    counts = counts_of(columns, y)
    for r in Redundancy().score(counts).frame.to_dicts():
        expected = conditional_information(counts.rows.joint([r["nearest"], r["field"]]))
        assert r["left"] == pytest.approx(expected.excess, abs=1e-12)
        assert r["left_z"] * expected.deviation == pytest.approx(expected.excess, abs=1e-12)


def test_the_threshold_says_what_is_the_same():
    columns, y = _planted()
    found = field_association(counts_of(columns, y))
    strict, loose = same_fields(found, threshold=1.0), same_fields(found, threshold=1e-3)
    assert strict.tolist() == [0, 1, 0, 2, 3, 3, 4, 5]
    assert len(set(loose.tolist())) < len(set(strict.tolist()))
    sizes = Redundancy(threshold=1.0).score(counts_of(columns, y)).frame
    assert dict(zip(sizes["field"], sizes["cluster_size"], strict=True))["city_noisy"] == 1


def test_order_of_columns_and_rows_does_not_matter():
    columns, y = _planted(1500)
    order = generator(2, "order").permutation(1500)
    one = Redundancy().score(counts_of(columns, y)).frame
    two = Redundancy().score(counts_of({n: columns[n][order] for n in reversed(columns)}, y[order])).frame
    assert one["field"].to_list() == two["field"].to_list()
    assert one["cluster"].to_list() == two["cluster"].to_list()
    assert one["representative"].to_list() == two["representative"].to_list()
    np.testing.assert_allclose(one["score"], two["score"], atol=1e-9)


def test_every_pair_is_counted_once_and_few_twice():
    columns, y = _planted(300)
    counts = counts_of(columns, y)
    Redundancy().score(counts)
    taken = sum(counts.rows.reads.values())
    fields = len(columns)
    assert taken <= fields * (fields - 1) + 2 * 2 * fields


def test_edges():
    y = np.array([0, 1] * 30)
    lone = Redundancy().score(counts_of({"x": np.arange(60) % 4, "c": np.zeros(60, int)}, y))
    row = lone.frame.row(0, named=True)
    assert (row["field"], row["nearest"], row["left"], row["cluster"]) == ("x", None, None, 1)
    assert "one value in the training rows" in lone.refused["c"]
    assert Redundancy().score(counts_of({}, y)).frame.height == 0
    with pytest.raises(DataError, match="redundancy: counts fields together and needs the rows"):
        Redundancy().score(TableCounts(fields={}))


def test_a_sample_is_told():
    columns, y = _planted(2000)
    ranking = Redundancy(rows=1000).score(counts_of(columns, y))
    assert ranking.notes == ("pairs of fields are counted on a sample of 1000 of 2000 rows",)
    assert field_association(counts_of(columns, y), rows=500).rows == 500


def test_refuses_wrong_parameters():
    with pytest.raises(ConfigError, match=r"redundancy.threshold: must be above 0 and at most 1, got 1.5"):
        Redundancy(threshold=1.5)
    with pytest.raises(ConfigError, match=r"redundancy.alpha: must be between 0 and 1, got 0"):
        Redundancy(alpha=0)
    with pytest.raises(ConfigError, match=r"redundancy.rows: must be at least 1 row or absent for all, got -1"):
        Redundancy(rows=-1)
    columns, y = _planted(100)
    with pytest.raises(ConfigError, match="threshold: must be above 0 and at most 1, got 0"):
        same_fields(field_association(counts_of(columns, y)), threshold=0)
