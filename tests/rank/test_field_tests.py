"""G-test, chi-square, information value and held-out gain against scipy and plain numpy, and on noise of many values."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, false_discovery_control, fisher_exact, power_divergence

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import CATALOG, CodedRows, FieldCounts, TableCounts
from ctrsel.rank.chi_square import ChiSquare
from ctrsel.rank.g_test import GTest
from ctrsel.rank.held_out_gain import HeldOutGain
from ctrsel.rank.information_value import InformationValue
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.stats.counts import label_counts, weighted_label_counts

FIELD_TESTS = (GTest, ChiSquare, InformationValue, HeldOutGain)


def counted(columns, labels, *, weight=None, valid_from=None, **of):
    """Count columns of value numbers, which become the codes 3.. as in a table."""
    labels = np.asarray(labels, dtype=np.uint8)
    cut = len(labels) if valid_from is None else valid_from
    spans = [slice(0, cut)] + ([] if valid_from is None else [slice(cut, None)])
    columns = {n: (np.asarray(c) + 3).astype(np.uint32) for n, c in columns.items()}
    sizes = {n: int(c.max(initial=0)) + 4 for n, c in columns.items()}
    rows = [
        CodedRows(
            columns={n: c[span] for n, c in columns.items()},
            sizes=sizes,
            labels=labels[span],
            row=np.arange(len(labels))[span],
            weight=None if weight is None else weight[span],
        )
        for span in spans
    ]
    fields = {}
    for n in columns:
        plain = [label_counts(r.columns[n], r.labels, size=sizes[n]) for r in rows]
        by_weight = [
            weighted_label_counts(r.columns[n], r.labels, size=sizes[n], weight=r.weight)
            for r in rows
            if r.weight is not None
        ]
        fields[n] = FieldCounts(
            train=plain[0],
            valid=plain[1] if len(plain) > 1 else None,
            weighted_train=by_weight[0] if by_weight else None,
            weighted_valid=by_weight[1] if len(by_weight) > 1 else None,
        )
    return TableCounts(
        fields=fields, rows=rows[0], valid_rows=rows[1] if len(rows) > 1 else None, seed=1, threads=1, **of
    )


def by_field(ranker, counts):
    return {row["field"]: row for row in ranker.score(counts).frame.to_dicts()}


def table_of(counts, name):
    """A field's table, negatives beside positives."""
    train = counts.fields[name].train
    seen = train.totals > 0
    return np.stack([train.totals - train.positives, train.positives], axis=1)[seen]


def zipf(rng, n, k):
    mass = np.cumsum(1 / np.arange(1, k + 1))
    return np.minimum(np.searchsorted(mass / mass[-1], rng.random(n)), k - 1)


@pytest.fixture(scope="module")
def dense():
    rng = generator(1, "dense")
    few, more = rng.integers(0, 3, 3000), rng.integers(0, 12, 3000)
    labels = rng.random(3000) < 0.2 + 0.05 * (few == 1) + 0.02 * (more % 2)
    return counted({"few": few, "more": more, "two": rng.integers(0, 2, 3000)}, labels)


def test_g_is_that_of_scipy(dense):
    for name, row in by_field(GTest(), dense).items():
        table = table_of(dense, name)
        known = chi2_contingency(table, correction=False, lambda_="log-likelihood")
        assert row["test"] == "chi2"
        assert row["freedom"] == known.dof
        assert row["g"] == pytest.approx(known.statistic, rel=1e-10)
        assert row["p"] == pytest.approx(known.pvalue, rel=1e-8)
        assert row["score"] == pytest.approx(-math.log10(known.pvalue), rel=1e-8)
        again = power_divergence(table, f_exp=known.expected_freq, lambda_="log-likelihood", axis=None)
        assert row["g"] == pytest.approx(again.statistic, rel=1e-10)


def test_chi_square_is_that_of_scipy(dense):
    for name, row in by_field(ChiSquare(), dense).items():
        table = table_of(dense, name)
        known = chi2_contingency(table, correction=False)
        assert row["chi_square"] == pytest.approx(known.statistic, rel=1e-10)
        assert row["expected"] == pytest.approx(3000 * (len(table) - 1) / 2999, rel=1e-10)
        assert row["p"] == pytest.approx(known.pvalue, rel=0.15)
    two = by_field(ChiSquare(), dense)["two"]["p"]
    assert two == pytest.approx(fisher_exact(table_of(dense, "two")).pvalue, rel=0.02)


@pytest.mark.parametrize("ranker", FIELD_TESTS)
def test_q_values_are_those_of_scipy(ranker):
    rng = generator(2, "q")
    y = rng.random(2000) < 0.2
    fields = {f"f{i}": rng.integers(0, 4 + 40 * i, 2000) for i in range(6)}
    fields["signal"] = np.where(rng.random(2000) < 0.7, y, fields["f0"])
    frame = ranker().score(counted(fields, y, valid_from=1600)).frame
    np.testing.assert_allclose(frame["q"], false_discovery_control(frame["p"].to_numpy()), atol=1e-12)
    assert frame["field"][0] == "signal"
    assert frame["q"][0] < 1e-3
    assert frame["score"].to_list() == sorted(frame["score"].to_list(), reverse=True)


def test_a_p_value_too_small_for_a_number_still_has_a_place():
    rng = generator(3, "huge")
    y = rng.random(60_000) < 0.5
    copies = {
        f"copy_{share}": np.where(rng.random(60_000) < share / 10, y, rng.random(60_000) < 0.5) for share in (7, 9)
    }
    ranking = GTest().score(counted(copies, y))
    assert ranking.order == ("copy_9", "copy_7")
    assert ranking.frame["p"].to_list() == [0.0, 0.0]
    assert ranking.frame["score"][0] > ranking.frame["score"][1] > 1000


def test_sparse_tables_are_compared_with_shuffled_labels_or_pooled():
    rng = generator(4, "sparse")
    p = {"exact": [], "pool": [], "plain": [], "chi_square": []}
    for _ in range(40):
        y = rng.random(5000) < 0.05
        counts = counted({"x": rng.integers(0, 1000, 5000)}, y)
        exact, pool = (by_field(GTest(rare=rare), counts)["x"] for rare in ("exact", "pool"))
        assert (exact["test"], pool["test"]) == ("shuffled", "pooled chi2")
        p["exact"].append(exact["p"])
        p["pool"].append(pool["p"])
        p["chi_square"].append(by_field(ChiSquare(), counts)["x"]["p"])
        p["plain"].append(chi2_contingency(table_of(counts, "x"), lambda_="log-likelihood").pvalue)
    for name in ("exact", "chi_square"):
        assert 0.3 < np.mean(p[name]) < 0.7, name
    assert np.mean(p["plain"]) > 0.99  # what the chi-square says of such a table
    assert p["pool"] == [1.0] * 40  # no value has the hundred rows that it takes


def test_pooling_keeps_the_frequent_values():
    rng = generator(5, "pool")
    x = zipf(rng, 20_000, 3000)
    y = rng.random(20_000) < 0.1 + 0.1 * (x == 0)
    row = by_field(GTest(rare="pool"), counted({"x": x}, y))["x"]
    totals = np.bincount(x)
    least = 5 / y.mean()
    assert row["freedom"] == np.count_nonzero(totals >= least)  # the pool is one more value, and one degree less
    assert row["p"] < 1e-10


@pytest.mark.parametrize("k", [2, 20, 300, 3000])
@pytest.mark.parametrize("ranker", [GTest, ChiSquare, InformationValue])
def test_noise_is_noise_at_every_cardinality(ranker, k):
    rng = generator(k, "noise", ranker.__name__)
    y = rng.random(4000) < 0.06
    counts = counted({f"n{i:03d}": zipf(rng, 4000, k) for i in range(150)}, y)
    frame = ranker().score(counts).frame
    z, p = frame["z"].to_numpy(), frame["p"].to_numpy()
    assert abs(z.mean()) < 3.5 * z.std(ddof=1) / np.sqrt(150)
    for level in (0.05, 0.2):
        assert np.mean(p <= level) < level + 3.5 * np.sqrt(level * (1 - level) / 150)
    assert not ((frame["q"].to_numpy() <= 0.05).sum() > 1)


def test_information_value_by_hand_and_less_what_chance_makes():
    rng = generator(6, "iv")
    x, noise = rng.integers(0, 4, 5000), zipf(rng, 5000, 4000)
    y = rng.random(5000) < 0.1 + 0.1 * (x == 2)
    counts = counted({"x": x, "noise": noise}, y)
    rows = by_field(InformationValue(smoothing=1.0), counts)
    table = table_of(counts, "x").astype(float)
    rate = y.mean()
    down, up = table[:, 0] + (1 - rate), table[:, 1] + rate
    down, up = down / down.sum(), up / up.sum()
    woe = np.log(up / down)
    assert rows["x"]["iv"] == pytest.approx(((up - down) * woe).sum(), rel=1e-12)
    assert rows["x"]["lowest_woe"] == pytest.approx(woe.min())
    assert rows["x"]["highest_woe"] == pytest.approx(woe.max())
    assert InformationValue(by="iv").score(counts).order == ("noise", "x")  # as everybody's information value does
    assert InformationValue(by="iv").score(counts).null is None
    assert InformationValue().score(counts).order == ("x", "noise")
    assert rows["noise"]["q"] > 0.05


def test_held_out_gain_and_its_error_by_hand():
    rng = generator(7, "gain")
    x = rng.integers(0, 5, 3000)
    y = rng.random(3000) < 0.2 + 0.1 * (x == 1)
    counts = counted({"x": x, "noise": zipf(rng, 3000, 900)}, y, valid_from=2000)
    row = by_field(HeldOutGain(prior=10.0), counts)["x"]
    base = y[:2000].mean()
    rate = (np.bincount(x[:2000], weights=y[:2000]) + 10 * base) / (np.bincount(x[:2000]) + 10)
    held = rate[x[2000:]]
    saved = np.where(y[2000:], np.log(held / base), np.log((1 - held) / (1 - base)))
    assert row["held_out_gain"] == row["score"] == pytest.approx(saved.mean(), abs=1e-14)
    assert row["error"] == pytest.approx(saved.std() / np.sqrt(1000), rel=1e-12)
    assert row["low"] < row["held_out_gain"] < row["high"]
    assert row["z"] == pytest.approx(row["held_out_gain"] / row["error"])
    # With weights: the same when all are equal, and each row counts by its own when not.
    weight = rng.choice([0.5, 2.0], 3000)
    same = counted({"x": x}, y, valid_from=2000, weight=np.full(3000, 4.0))
    for key in ("held_out_gain", "error", "p"):
        assert by_field(HeldOutGain(prior=10.0), same)["x"][key] == pytest.approx(row[key], rel=1e-9)
    twice = np.repeat(np.arange(3000), (weight * 2).astype(int))
    weighted = by_field(HeldOutGain(), counted({"x": x}, y, valid_from=2000, weight=weight))["x"]
    repeated = by_field(
        HeldOutGain(prior=20.0 * weight[:2000].mean() * 2),
        counted({"x": x[twice]}, y[twice], valid_from=int((twice < 2000).sum())),
    )["x"]
    assert weighted["held_out_gain"] == pytest.approx(repeated["held_out_gain"], rel=1e-9)
    assert by_field(MutualInformation(), counts)["x"]["held_out_gain"] != row["held_out_gain"]  # another prior
    assert by_field(MutualInformation(prior=10.0), counts)["x"]["held_out_gain"] == row["held_out_gain"]


@pytest.mark.parametrize("ranker", FIELD_TESTS)
def test_fields_that_can_say_nothing_score_zero(ranker):
    rng = generator(8, "nothing")
    y = rng.integers(0, 2, 400)
    fields = {"constant": np.zeros(400, int), "id": rng.permutation(400), "copy": y}
    rows = by_field(ranker(), counted(fields, y, valid_from=300))
    for name in ("constant", "id"):
        assert rows[name]["score"] == pytest.approx(0.0, abs=1e-12)
        assert rows[name]["p"] == pytest.approx(1.0)
    assert rows["copy"]["rank"] == 1
    one_class = ranker().score(counted(fields, np.zeros(400), valid_from=300))
    assert one_class.frame["score"].to_list() == [0.0] * 3
    assert one_class.frame["p"].to_list() == [1.0] * 3


@pytest.mark.parametrize("ranker", FIELD_TESTS)
def test_chunks_names_and_order_change_nothing(ranker):
    rng = generator(9, "chunks")
    x, y = {"a": rng.integers(0, 50, 900), "b": rng.integers(0, 3, 900)}, rng.integers(0, 2, 900)
    names, order = (
        {"a": rng.permutation(50), "b": rng.permutation(3)},
        np.append(rng.permutation(600), np.arange(600, 900)),
    )

    def part(rows):
        return TableCounts(
            fields={
                n: FieldCounts(
                    train=label_counts(v[:600][rows] + 3, y[:600][rows].astype(np.uint8), size=56),
                    valid=label_counts(v[600:][rows] + 3, y[600:][rows].astype(np.uint8), size=56),
                )
                for n, v in x.items()
            }
        )

    whole = ranker().score(part(slice(None)))
    merged = ranker().score(part(slice(200, None)) + part(slice(0, 70)) + part(slice(70, 200)))
    assert whole.frame.equals(merged.frame)
    other = ranker().score(counted({n: names[n][v[order]] for n, v in x.items()}, y[order], valid_from=600))
    for column in ("score", "p", "q"):
        assert other.frame[column].to_list() == pytest.approx(whole.frame[column].to_list(), abs=1e-9)
    assert other.order == whole.order


def test_dependent_rows_are_noted_with_the_remedy():
    counts = counted({"x": np.arange(60) % 3}, np.arange(60) % 2, valid_from=40)
    timed = dataclasses.replace(counts, rows=dataclasses.replace(counts.rows, time=np.arange(40)))
    for ranker in FIELD_TESTS:
        assert ranker().score(counts).notes == ()
        (note,) = ranker().score(timed).notes
        assert "`null: shift`" in note


def test_no_field_at_all_is_an_empty_ranking():
    for ranker in FIELD_TESTS:
        ranking = ranker().score(TableCounts(fields={}, refused={"l": "a list"}))
        assert ranking.frame.height == 0
        assert ranking.refused == {"l": "a list"}


def test_refuses():
    counts = counted({"x": np.arange(40) % 3}, np.arange(40) % 2)
    with pytest.raises(DataError, match="held_out_gain: needs validation rows"):
        HeldOutGain().score(counts)
    weighted = counted({"x": np.arange(40) % 3}, np.arange(40) % 2, valid_from=30, weight=np.ones(40))
    with pytest.raises(DataError, match="only counts are here"):
        HeldOutGain().score(dataclasses.replace(weighted, rows=None, valid_rows=None))
    for spec, message in (
        ({"use": "g_test", "rare": "drop"}, "rare"),
        ({"use": "chi_square", "by": "p"}, "by"),
        ({"use": "information_value", "by": "p"}, "by"),
        ({"use": "information_value", "smoothing": 0.0}, "smoothing: must be above 0"),
        ({"use": "held_out_gain", "prior": 0.0}, "prior: must be above 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            CATALOG.create(spec)
