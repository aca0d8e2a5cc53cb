"""The greedy loop by hand, and mRMR, JMI and CMIM against plain numpy on small tables."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import TableCounts
from ctrsel.rank._field_terms import CHANCE, FieldTerms
from ctrsel.rank._greedy import greedy
from ctrsel.rank.cmim import Cmim
from ctrsel.rank.jmi import Jmi
from ctrsel.rank.mrmr import Mrmr
from ctrsel.stats.chance_table import ChanceTable
from ctrsel.stats.permutation import expected_mutual_information, permutation_moments
from ctrsel.testing.counts import counts_of


def _entropy(*columns):
    """Plug-in joint entropy of some columns, by counting tuples."""
    share = np.array(list(Counter(zip(*(c.tolist() for c in columns), strict=True)).values())) / len(columns[0])
    return float(-(share * np.log(share)).sum())


def _information(a, b):
    return _entropy(a) + _entropy(b) - _entropy(a, b)


def _corrected(x, y):
    return _information(x, y) - expected_mutual_information(int(y.sum()), np.bincount(x))


def _between(a, b):
    table = ChanceTable(len(a))
    mean, deviation = table.null(table.weights(np.bincount(a)), table.weights(np.bincount(b)))
    excess = _information(a, b) - mean
    return excess if excess > CHANCE * deviation else 0.0


def _given(f, y, s):
    plain = _entropy(f, s) + _entropy(y, s) - _entropy(f, y, s) - _entropy(s)
    mean, variance = 0.0, 0.0
    for v in np.unique(s):
        inside = s == v
        null = permutation_moments(int(y[inside].sum()), np.bincount(f[inside]))
        mean += inside.sum() * null.mean / len(y)
        variance += (inside.sum() / len(y)) ** 2 * null.variance
    limit = CHANCE * np.sqrt(variance)
    assume(abs(plain - mean - limit) > 0.05 * limit or limit < 1e-9)  # the ranker's deviation is this one within 2 %
    return plain - mean if plain - mean > limit + 1e-9 else 0.0


def _by_hand(columns, y, criterion):
    """The definition: at each step the field whose criterion beside the chosen ones is highest; of equal ones, the most significant."""
    deviation = {n: np.sqrt(permutation_moments(int(y.sum()), np.bincount(c)).variance) for n, c in columns.items()}
    own = {n: _corrected(columns[n], y) for n in columns}
    left, chosen, values = sorted(columns, key=lambda n: (-own[n] / deviation[n], n)), [], []
    while left:
        score = {n: criterion(own, n, chosen) if chosen else own[n] for n in left}
        best = max(left, key=lambda n: score[n])
        values.append(score[best])
        chosen.append(best)
        left.remove(best)
    return chosen, values


def _table(seed, n=120):
    rng = generator(seed, "greedy")
    a, b, c = rng.integers(0, 3, n), rng.integers(0, 6, n), rng.integers(0, 20, n)
    y = (rng.random(n) < 0.2 + 0.3 * (a == 1) + 0.3 * (b % 2)).astype(int)
    return {"a": a, "b": b, "c": c, "mix": (a + (rng.random(n) < 0.3)) % 3, "d": rng.integers(0, 2, n)}, y


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_all_three_against_their_definitions(seed):
    columns, y = _table(seed)
    counts = counts_of(columns, y)
    pairs = {(f, s): _between(columns[f], columns[s]) for f in columns for s in columns if f != s}
    conditional = {(f, s): _given(columns[f], y, columns[s]) for f in columns for s in columns if f != s}
    definitions = {
        Mrmr(alpha=1.0): lambda own, n, chosen: own[n] - np.mean([pairs[n, s] for s in chosen]),
        Jmi(): lambda own, n, chosen: np.mean([conditional[n, s] for s in chosen]),
        Cmim(): lambda own, n, chosen: min(conditional[n, s] for s in chosen),
    }
    for ranker, criterion in definitions.items():
        frame = ranker.score(counts).frame
        _, values = _by_hand(columns, y, criterion)
        np.testing.assert_allclose(frame["criterion"], values, atol=1e-9)
        np.testing.assert_allclose(frame["score"], np.minimum.accumulate(values), atol=1e-9)
        assert frame["rank"].to_list() == [1, 2, 3, 4, 5]
        gaps = np.abs(np.diff(np.sort(values)))
        if gaps.min() > 1e-6:  # no ties
            assert frame["field"].to_list() == _by_hand(columns, y, criterion)[0]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_order_of_columns_rows_and_names_of_values_do_not_matter(seed):
    columns, y = _table(seed)
    rng = generator(seed, "permuted")
    rows = rng.permutation(len(y))
    names = rng.permutation(20)
    other = {n: names[columns[n]][rows] for n in reversed(columns)}
    for ranker in (Mrmr(), Mrmr(form="miq"), Jmi(), Cmim()):
        one, two = ranker.score(counts_of(columns, y)), ranker.score(counts_of(other, y[rows]))
        assert one.order == two.order
        np.testing.assert_allclose(one.frame["criterion"], two.frame["criterion"], atol=1e-8)


def _copies(n=4000):
    rng = generator(1, "copies")
    strong, weak = rng.integers(0, 12, n), rng.integers(0, 4, n)
    y = (rng.random(n) < 0.1 + 0.05 * (strong % 6) + 0.1 * (weak == 0)).astype(int)
    return {"strong": strong, "again": (strong * 5 + 3) % 12, "weak": weak, "noise": rng.integers(0, 50, n)}, y


def test_a_second_name_gets_less_than_nothing_from_mrmr():
    columns, y = _copies()
    ranking = Mrmr().score(counts_of(columns, y))
    assert ranking.order == ("again", "weak", "noise", "strong")
    last = ranking.frame.to_dicts()[-1]
    own, expected = _corrected(columns["strong"], y), _entropy(columns["strong"])
    table = ChanceTable(len(y))
    weights = table.weights(np.bincount(columns["strong"]))
    # the mean over the three chosen ones, of which one says the same and two nothing
    assert last["criterion"] == pytest.approx(own - (expected - table.expected(weights, weights)) / 3, abs=1e-9)
    assert last["criterion"] < -0.5
    assert last["partner"] == "again"
    assert ranking.frame["partner"].to_list()[:3] == [None, None, None]


def test_a_second_name_gets_exactly_nothing_from_cmim_and_stays_high_in_jmi():
    columns, y = _copies()
    frame = Cmim().score(counts_of(columns, y)).frame
    row = {r["field"]: r for r in frame.to_dicts()}
    assert row["strong"]["criterion"] == 0.0
    assert row["strong"]["partner"] == "again"
    assert row["weak"]["rank"] == 2
    assert Jmi().score(counts_of(columns, y)).order[:3] == ("again", "weak", "strong")


def test_the_second_input_of_an_exclusive_or():
    rng = generator(2, "xor")
    n = 4000
    a, b = rng.integers(0, 2, (2, n))
    y = np.where(rng.random(n) < 0.1, a, a ^ b)  # the first input shows a little alone, the second nothing
    columns = {"a": a, "b": b} | {f"noise_{k}": rng.integers(0, k, n) for k in (2, 5, 40, 300)}
    for ranker in (Cmim(), Jmi()):
        frame = ranker.score(counts_of(columns, y)).frame
        assert frame["field"].to_list()[:2] == ["a", "b"]
        assert frame["criterion"][1] > 0.3
        assert frame["score"][1] == frame["score"][0]  # never more than the field before
        assert frame["partner"][1] == "a"
    frame = Mrmr().score(counts_of(columns, y)).frame
    assert dict(zip(frame["field"], frame["criterion"], strict=True))["b"] == pytest.approx(0.0, abs=1e-3)


def test_k_asks_only_for_pairs_of_chosen_fields():
    columns, y = _table(3)
    counts = counts_of(columns, y)
    whole = Cmim().score(counts)
    some = Cmim(k=2).score(counts)
    assert some.order[:2] == whole.order[:2]
    assert some.frame["chosen"].to_list() == [True, True, False, False, False]
    assert some.notes == ("the last 3 fields stand in the order of their criterion beside the first 2",)
    assert some.frame["criterion"][2] == pytest.approx(whole.frame["criterion"][2])
    terms, asked = FieldTerms(counts, ranker="x"), []

    def term(field, left):
        asked.append((field, len(left)))
        return terms.association(field, left)

    greedy(
        terms.names,
        terms.relevance,
        z=terms.z,
        terms=term,
        criterion=lambda own, seen: own - seen.mean(axis=0),
        decisive=lambda seen: 0,
        k=2,
    )
    assert [count for _, count in asked] == [4, 3]
    assert terms.pairs == 7
    assert Cmim(k=9).score(counts).order == whole.order


def test_the_quotient():
    columns, y = _copies()
    frame = Mrmr(form="miq").score(counts_of(columns, y)).frame
    assert frame["field"].to_list() == ["again", "weak", "strong", "noise"]
    row = {r["field"]: r for r in frame.to_dicts()}
    assert row["again"]["criterion"] == pytest.approx(row["again"]["mi_minus_expected"] / 1e-3)
    assert row["noise"]["criterion"] == 0.0
    assert 0 < row["strong"]["criterion"] < 0.2


def test_a_sample_of_rows_is_told_and_repeats_with_the_seed():
    columns, y = _copies()
    one, two, other = (Jmi(rows=2000).score(counts_of(columns, y, seed=s)) for s in (1, 1, 2))
    assert one.notes == ("pairs of fields are counted on a sample of 2000 of 4000 rows",)
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(other.frame)
    assert Jmi(rows=4000).score(counts_of(columns, y)).notes == ()
    assert one.frame["mi_minus_expected"][0] == Jmi().score(counts_of(columns, y)).frame["mi_minus_expected"][0]


@pytest.mark.parametrize("ranker", [Mrmr(), Jmi(), Cmim()])
def test_edges(ranker):
    y = np.array([0, 1] * 20)
    constant = counts_of({"c": np.ones(40, int), "x": np.arange(40) % 4}, y)
    ranking = ranker.score(constant)
    assert ranking.order == ("x",)
    assert ranking.refused == {
        "c": "has one value in the training rows, which tells nothing of the label or of another field"
    }
    assert ranker.score(counts_of({"c": np.ones(40, int)}, y)).frame.height == 0
    assert ranker.score(counts_of({}, y)).frame.height == 0
    one_class = ranker.score(counts_of({"x": np.arange(40) % 4, "w": np.arange(40) // 20}, np.zeros(40)))
    assert one_class.frame["score"].to_list() == [0.0, 0.0]
    with pytest.raises(DataError, match=f"{ranking.method}: counts fields together and needs the rows"):
        ranker.score(TableCounts(fields=constant.fields))


def test_refuses_wrong_parameters():
    with pytest.raises(ConfigError, match=r"mrmr.form: must be 'mid' or 'miq', got 'nmi'"):
        Mrmr(form="nmi")
    with pytest.raises(ConfigError, match=r"mrmr.alpha: must be above 0 and at most 1, got 0"):
        Mrmr(alpha=0)
    for ranker, name in ((Mrmr, "mrmr"), (Jmi, "jmi"), (Cmim, "cmim")):
        with pytest.raises(ConfigError, match=rf"{name}.k: must be at least 1 field or absent for all, got 0"):
            ranker(k=0)
        with pytest.raises(ConfigError, match=rf"{name}.rows: must be at least 1 row or absent for all, got 0"):
            ranker(rows=0)
