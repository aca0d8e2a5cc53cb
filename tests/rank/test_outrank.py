"""OutRank's score against its own definition, written slowly, and its order 3MR against the published loop."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import CodedRows, TableCounts
from ctrsel.rank.outrank import Outrank
from ctrsel.rank.outrank_3mr import Outrank3mr
from ctrsel.stats.association import joint_information
from ctrsel.stats.chance_table import ChanceTable
from ctrsel.stats.information import mutual_information
from ctrsel.stats.information_test import information_test
from ctrsel.stats.permutation import expected_mutual_information as expected_of_label
from ctrsel.testing.counts import counts_of


def _slow(feature, label):
    """Literal form: for each class the entropy of the field in shifted rows less that in the class's own rows."""
    out, n = 0.0, len(label)
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        if rows.size == 1:
            continue
        for sign, values in ((1, feature[(rows + rows.size) % n]), (-1, feature[rows])):
            share = np.unique(values, return_counts=True)[1] / rows.size
            out += sign * rows.size / n * float(-(share * np.log(share)).sum())
    return out


def _columns(n, seed=1):
    rng = generator(seed, "outrank")
    columns = {f"u{k}": rng.integers(0, k, n) for k in (2, 30, 1000)}
    y = (rng.random(n) < 0.2 + 0.3 * columns["u2"]).astype(int)
    return columns, y


def test_against_the_slow_form():
    columns, y = _columns(3000)
    ranking = Outrank(subsampling=1).score(counts_of(columns, y))
    for row in ranking.frame.to_dicts():
        assert row["score"] == pytest.approx(_slow(columns[row["field"]], y), abs=1e-12)
        assert (row["batches"], row["batch_sd"]) == (1, None)
    assert ranking.order[0] == "u2"
    assert ranking.notes == ("3000 of 3000 training rows in 1 minibatches",)


def test_by_hand():
    # Two classes of two rows: the field tells the class in its own rows (entropy 0); two rows further stand 0 and 1.
    x, y = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    assert Outrank(subsampling=1).score(counts_of({"x": x}, y)).frame["score"][0] == 0.0  # shifted into the other class
    x, y = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    assert Outrank(subsampling=1).score(counts_of({"x": x}, y)).frame["score"][0] == 0.0
    x, y = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    # class 0: own 3:1, shifted by 4 rows 1, 1, 0, 0; class 1: own 0:2, shifted by 2 rows 0, 0
    own = -(3 * np.log(3 / 4) + np.log(1 / 4)) / 6
    assert Outrank(subsampling=1).score(counts_of({"x": x}, y)).frame["score"][0] == pytest.approx(
        4 / 6 * np.log(2) - own
    )


def test_a_class_of_one_row_is_skipped():
    x, y = np.array([0, 1, 1, 0, 1]), np.array([1, 0, 0, 0, 0])
    assert Outrank(subsampling=1).score(counts_of({"x": x}, y)).frame["score"][0] == pytest.approx(_slow(x, y))


def test_batches_subsampling_and_order():
    columns, y = _columns(30_000)
    counts = counts_of(columns, y)
    ranking = Outrank(subsampling=3, minibatch_size=4000).score(counts)
    taken = np.arange(2, 30_000, 3)  # lines are numbered from 1
    parts = [taken[:4000], taken[4000:8000], taken[8000:]]
    for row in ranking.frame.to_dicts():
        found = [_slow(columns[row["field"]][p], y[p]) for p in parts]
        assert row["score"] == pytest.approx(np.median(found), abs=1e-12)
        assert row["batch_sd"] == pytest.approx(np.std(found, ddof=1), abs=1e-12)
    short = Outrank(subsampling=3, minibatch_size=4500).score(counts)
    assert short.notes == ("9000 of 30000 training rows in 2 minibatches",)  # the last 1,000 rows are left out
    order = generator(2, "order").permutation(30_000)
    rows = counts.rows
    mixed = CodedRows(
        columns={n: c[order] for n, c in rows.columns.items()}, sizes=rows.sizes, labels=rows.labels[order], row=order
    )
    again = Outrank(subsampling=3, minibatch_size=4000).score(TableCounts(fields=counts.fields, rows=mixed))
    assert again.frame.equals(ranking.frame)


def test_a_small_table_and_a_constant_are_told():
    columns, y = _columns(500)
    ranking = Outrank().score(counts_of(columns | {"c": np.zeros(500, int)}, y))
    assert ranking.notes[0] == "scored on 50 rows, where OutRank itself gives no result"
    assert "one value" in ranking.refused["c"]
    with pytest.raises(DataError, match=r"outrank.subsampling: every 501th of 500 training rows is none"):
        Outrank(subsampling=501).score(counts_of(columns, y))
    with pytest.raises(ConfigError, match=r"outrank.subsampling: must be at least 1 row, got 0"):
        Outrank(subsampling=0)
    with pytest.raises(ConfigError, match=r"outrank.minibatch_size: must be at least 1 row, got 0"):
        Outrank(minibatch_size=0)


def test_its_noise_is_wider_than_that_of_information_less_its_mean():
    rng = generator(3, "noise")
    found = []
    for _ in range(40):
        x, y = (rng.random((2, 4000)) < 0.2).astype(int)
        counts = counts_of({"x": x}, y)
        train = counts.fields["x"].train
        shifted = Outrank(subsampling=1).score(counts).frame["score"][0]
        found.append((shifted, information_test(train.positives, train.totals).excess))
    spread = np.std(found, axis=0)
    assert spread[0] > 5 * spread[1]


def _published(relevance, redundancy, relation, *, aggregate, alpha, beta):
    """The loop of the package over dictionaries."""
    ranked = [max(relevance, key=lambda f: relevance[f])]
    while len(ranked) < len(relevance):
        best, top = None, -np.inf
        for f in sorted(set(relevance) - set(ranked)):
            importance = (
                relevance[f]
                - alpha * aggregate([redundancy[s, f] for s in ranked])
                + beta * aggregate([relation[s, f] for s in ranked])
            )
            if importance > top:
                best, top = f, importance
        ranked.append(best)
    return ranked


@pytest.mark.parametrize(("aggregate", "function"), [("median", np.median), ("mean", np.mean), ("sum", sum)])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 0.0), (2.0, 0.3)])
def test_3mr_against_the_published_loop(aggregate, function, alpha, beta):
    rng = generator(5, "3mr")
    n = 800
    a, b = rng.integers(0, 4, n), rng.integers(0, 9, n)
    y = (rng.random(n) < 0.2 + 0.2 * (a == 1) + 0.2 * (b % 2)).astype(int)
    columns = {
        "a": a,
        "b": b,
        "near": (a + (rng.random(n) < 0.2)) % 4,
        "n1": rng.integers(0, 40, n),
        "n2": a * 0 + b % 2,
    }
    counts = counts_of(columns, y)
    table = ChanceTable(n)
    weights = {f: table.weights(np.bincount(c)) for f, c in columns.items()}
    train = {f: c.train for f, c in counts.fields.items()}
    relevance = {f: information_test(c.positives, c.totals).excess for f, c in train.items()}
    redundancy, relation = {}, {}
    for f in columns:
        for s in columns:
            if f != s:
                joint = counts.rows.joint([s, f])
                plain = joint_information(joint.totals, train[s].totals, train[f].totals)
                redundancy[s, f] = plain - table.expected(weights[s], weights[f])
                told = mutual_information(joint.positives, joint.totals)
                relation[s, f] = told - expected_of_label(int(y.sum()), joint.totals)

    def stretched(terms):
        low, high = min(terms.values()), max(terms.values())
        return {k: (v - low) / (high - low) for k, v in terms.items()}

    expected = _published(
        *map(stretched, (relevance, redundancy, relation)), aggregate=function, alpha=alpha, beta=beta
    )
    ranking = Outrank3mr(alpha=alpha, beta=beta, aggregate=aggregate).score(counts)
    assert list(ranking.order) == expected
    assert ranking.frame["score"][0] == pytest.approx(1 + beta)
    scores = ranking.frame["score"].to_list()
    assert scores == sorted(scores, reverse=True)


def test_3mr_relation_finds_the_second_input_of_an_exclusive_or():
    rng = generator(6, "3mr xor")
    n = 4000
    a, b = rng.integers(0, 2, (2, n))
    y = np.where(rng.random(n) < 0.1, a, a ^ b)
    columns = {"a": a, "b": b} | {f"noise_{k}": rng.integers(0, k, n) for k in (2, 5, 40)}
    assert Outrank3mr().score(counts_of(columns, y)).order[:2] == ("a", "b")


def test_3mr_edges():
    y = np.array([0, 1] * 20)
    assert Outrank3mr().score(counts_of({"x": np.arange(40) % 4, "c": np.ones(40, int)}, y)).order == ("x",)
    assert Outrank3mr().score(counts_of({}, y)).frame.height == 0
    with pytest.raises(ConfigError, match=r"outrank_3mr.alpha: must be a finite number of at least 0, got -1"):
        Outrank3mr(alpha=-1)
    with pytest.raises(ConfigError, match=r"outrank_3mr.aggregate: must be one of median, mean, sum, got 'max'"):
        Outrank3mr(aggregate="max")
    with pytest.raises(ConfigError, match=r"outrank_3mr.rows: must be at least 1 row"):
        Outrank3mr(rows=0)
