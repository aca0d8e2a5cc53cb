"""The drawn nulls against slow forms in numpy, against the exact one where both hold, and on noise that is not independent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import CodedRows, FieldCounts, TableCounts
from ctrsel.rank._null_draws import _strata, _urn, blocks
from ctrsel.rank._null_loops import information_of_rows, regrouped, statistic_of_rows
from ctrsel.rank._nulls import Null, choose_null
from ctrsel.rank.information_value import InformationValue
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.stats.chi_square import chi_square
from ctrsel.stats.counts import label_counts, weighted_label_counts
from ctrsel.stats.information import weighted_mutual_information
from ctrsel.stats.permutation import expected_mutual_information, permutation_moments, statistic_setting


def counted(columns, labels, *, seed=1, threads=1, **of):
    """Count columns of codes; `of` are weight, time and group."""
    labels = np.asarray(labels, dtype=np.uint8)
    columns = {n: np.asarray(c).astype(np.uint32) for n, c in columns.items()}
    sizes = {n: int(c.max()) + 1 for n, c in columns.items()}
    weight = of.get("weight")
    rows = CodedRows(columns=columns, sizes=sizes, labels=labels, row=np.arange(len(labels)), **of)
    fields = {
        n: FieldCounts(
            train=label_counts(c, labels, size=sizes[n]),
            weighted_train=None if weight is None else weighted_label_counts(c, labels, size=sizes[n], weight=weight),
        )
        for n, c in columns.items()
    }
    return TableCounts(fields=fields, rows=rows, seed=seed, threads=threads)


def null_of(counts, name, **how):
    return choose_null(counts, null=name, **{"draws": 30, "min_shift": 0.05, "ranker": "test", **how})


def arrangements(counts, null):
    return [draw for block in blocks(null, counts, counts.rows) for draw in block]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=60), st.data())
def test_the_loops_count_moved_labels(pairs, data):
    codes, labels = np.array([c for c, _ in pairs], np.uint8), np.array([y for _, y in pairs])
    moved = np.flatnonzero(np.array(data.draw(st.permutations(labels.tolist()))))
    n, size = len(codes), 6
    totals = np.bincount(codes, minlength=size)
    cells = np.zeros(size, np.int64)
    table = np.append(0.0, np.arange(1, 5) * np.log(np.arange(1, 5)))  # larger counts are not looked up
    labels_moved = np.isin(np.arange(n), moved)
    share = len(moved) / n
    entropy = -sum(p * np.log(p) for p in (share, 1 - share) if p > 0)
    found = information_of_rows(codes, moved, totals, cells, table)
    assert entropy + found / n == pytest.approx(mutual_info_score(labels_moved, codes), abs=1e-12)
    assert not cells.any()
    if 0 < len(moved) < n:
        setting, _ = statistic_setting("chi_square", rows=n, positives=len(moved), values=1)
        found = statistic_of_rows(codes, moved, totals, cells, setting)
        positives = np.bincount(codes[moved], minlength=size)
        assert found == pytest.approx(chi_square(positives, totals), abs=1e-9)


def test_shifts_keep_the_sequence_and_stay_away_from_none():
    rng = generator(1, "shift")
    labels = rng.random(400) < 0.2
    time = rng.permutation(400)
    counts = counted({"x": rng.integers(0, 5, 400)}, labels, time=time)
    in_time = labels[np.argsort(time)]
    steps = []
    for draw in arrangements(counts, null_of(counts, "shift", draws=40)):
        moved = np.zeros(400, bool)
        moved[draw.rows] = True
        moved = moved[np.argsort(time)]
        steps += [k for k in range(400) if np.array_equal(np.roll(in_time, k), moved)]
    assert len(steps) == 40
    assert min(steps) >= 20
    assert max(steps) <= 380
    assert steps == sorted(steps)  # one in each of forty equal parts
    note = null_of(counted({"x": [0, 1] * 10}, [0, 1] * 10), "shift").notes
    assert "order of the source's rows" in note[0]


def test_groups_of_one_size_are_exchanged_whole():
    group = np.repeat(np.arange(30), 4)
    labels = (np.arange(120) % 4 < np.repeat(np.arange(30) % 5, 4)).astype(int)
    order = generator(2, "rows").permutation(120)
    counts = counted({"x": group[order]}, labels[order], group=group[order])
    back = np.argsort(order)
    bags = sorted(labels.reshape(30, 4).sum(1).tolist())
    seen = set()
    for draw in arrangements(counts, null_of(counts, "group")):
        moved = np.zeros(120, int)
        moved[draw.rows] = 1
        moved = moved[back].reshape(30, 4).sum(1)
        kept = moved if 2 * labels.sum() <= 120 else 4 - moved
        assert sorted(kept.tolist()) == bags
        seen.add(tuple(kept))
    assert len(seen) == 30


def test_strata_hold_groups_of_like_size_and_enough_of_them():
    sizes = np.concatenate([np.full(50, 3), np.arange(10, 40), [500]])
    by_size, stratum = _strata(sizes)
    assert (np.diff(sizes[by_size]) >= 0).all()
    assert (np.diff(stratum.astype(int)) >= 0).all()
    assert np.bincount(stratum).min() >= 20
    assert set(sizes[by_size][stratum == 0]) == {3}


def test_rows_that_a_smaller_group_lacks_are_drawn_as_from_an_urn():
    # 200 groups of 2 and 200 of 40 rows take each other's place; labels of a group are all alike.
    sizes = np.array([2, 40] * 200)
    starts = np.append(0, np.cumsum(sizes))
    labels = np.repeat(generator(3, "urn").integers(0, 2, 400), sizes)
    order, out = np.arange(starts[-1]), np.zeros(starts[-1], np.int64)
    donors = np.arange(400) ^ 1
    positives = np.add.reduceat(labels, starts[:-1])
    assert _urn(sizes, positives) == pytest.approx(0.0, abs=1e-9)
    regrouped((order, starts), donors, np.zeros(400, np.int64), (0.0, 7), out)
    for group in range(400):
        taken = labels[out[starts[group] : starts[group + 1]]]
        assert set(taken) == {labels[starts[donors[group]]]}
    # With labels that have nothing in common the rest are labels of any rows.
    regrouped((order, starts), donors, np.zeros(400, np.int64), (1e12, 7), out)
    filled = np.concatenate([out[starts[g] + 2 : starts[g + 1]] for g in range(1, 400, 2)])
    assert abs(labels[filled].mean() - labels.mean()) < 0.03
    assert len(np.unique(filled)) > 4000


@pytest.mark.parametrize("statistic", ["information", "information_value"])
def test_draws_from_the_counts_have_the_exact_moments(statistic):
    rng = generator(4, "draws")
    columns = {"few": rng.integers(0, 3, 900), "many": np.append(rng.integers(0, 300, 600), np.arange(300, 600))}
    counts = counted(columns, rng.random(900) < 0.2)
    bare = dataclasses.replace(counts, rows=None)
    drawn = null_of(bare, "shuffled", draws=3000).values(bare, statistic=statistic, smoothing=1.0, ranker="test")
    for name, values in drawn.items():
        field = counts.fields[name].train
        exact = permutation_moments(int(field.positives.sum()), field.totals, statistic=statistic, smoothing=1.0)
        assert abs(values.mean() - exact.mean) < 4 * np.sqrt(exact.variance / 3000)
        assert values.var() == pytest.approx(exact.variance, rel=0.15 + 0.2 * (exact.skewness > 1))


def test_equal_weights_are_no_weights():
    rng = generator(5, "weights")
    columns, labels = {"x": rng.integers(0, 6, 800), "y": rng.integers(0, 40, 800)}, rng.random(800) < 0.3
    weighted = counted(columns, labels, weight=np.full(800, 2.5))
    plain = counted(columns, labels)
    one = MutualInformation(draws=999).score(weighted).frame.sort("field")
    two = MutualInformation().score(plain).frame.sort("field")
    assert one["mi"].to_list() == pytest.approx(two["mi"].to_list(), abs=1e-12)
    assert one["expected_mi"].to_list() == pytest.approx(two["expected_mi"].to_list(), rel=0.1)
    for end in ("low", "high"):
        assert one[end].to_list() == pytest.approx(two[end].to_list(), abs=2e-3)
    assert "199" not in MutualInformation(draws=999).score(weighted).null
    with pytest.raises(ConfigError, match="'exact' is for rows without weights"):
        MutualInformation(null="exact").score(weighted)


@pytest.mark.parametrize("follows", [False, True])
def test_weighted_noise_scores_zero_on_average(follows):
    """Weights of rows, or those of negatives that were kept one in ten; either null must fit its own weights."""
    z, effect = [], []
    for seed in range(12):
        rng = generator(seed, "weighted noise")
        labels = rng.random(2000) < 0.15
        weight = np.where(labels, 1.0, 10.0) if follows else rng.choice([0.2, 1.0, 5.0], 2000)
        counts = counted({f"f{k}": rng.integers(0, k, 2000) for k in (2, 20, 700)}, labels, seed=seed, weight=weight)
        ranking = MutualInformation(draws=99).score(counts)
        assert ("each with its weight" in ranking.null) == follows
        z += ranking.frame["z"].to_list()
        effect.append(ranking.frame["mi_minus_expected"].to_list())
    assert abs(np.mean(z)) < 3.5 * np.std(z) / 6
    assert 0.6 < np.std(z) < 1.5


def test_weights_that_stay_with_their_rows_are_those_of_a_slow_form():
    rng = generator(6, "slow")
    codes, labels, weight = rng.integers(0, 7, 300), rng.random(300) < 0.3, rng.random(300) + 0.1
    counts = counted({"x": codes}, labels, weight=weight)
    null = null_of(counts, "shuffled")
    (found,) = null.values(counts, statistic="information", ranker="test").values()

    def entropy(yes):
        p = weight[yes].sum() / weight.sum()
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    for value, draw in zip(found, arrangements(counts, null), strict=True):
        moved = np.isin(np.arange(300), draw.rows)
        sums = [np.bincount(codes, weights=weight * m) for m in (moved, np.ones(300))]
        assert value == pytest.approx(weighted_mutual_information(*sums) * entropy(labels) / entropy(moved), abs=1e-12)


def dependent(kind, seed, rows=2400):
    """Noise fields and a label that share nothing but that neighbours (or rows of a group) resemble each other."""
    rng = generator(seed, "dependent", kind)
    runs = np.repeat(np.arange(rows), rng.integers(4, 13, rows))[:rows]
    other = np.repeat(np.arange(rows), rng.integers(4, 13, rows))[:rows] if kind == "time" else runs
    fields = {f"f{k}": rng.integers(0, k, rows)[runs] for k in (2, 8, 60, 1000)}
    labels = rng.random(rows) < rng.beta(0.5, 2, rows)[other]
    of = {"time": np.arange(rows)} if kind == "time" else {"group": runs}
    return counted(fields, labels, seed=seed, **of)


@pytest.mark.parametrize(("kind", "null"), [("time", "shift"), ("group", "group")])
def test_noise_of_dependent_rows_is_noise_under_its_null_only(kind, null):
    own, wrong = [], []
    for seed in range(20):
        counts = dependent(kind, seed)
        own.append(MutualInformation(null=null, draws=60).score(counts).frame.sort("field")["z"].to_list())
        plain = MutualInformation().score(counts)
        wrong.append(plain.frame.sort("field")["z"].to_list())
        assert any(f"`null: {null}`" in note for note in plain.notes)
    own = np.array(own)
    assert (abs(own.mean(0)) < 3.5 * own.std(0, ddof=1) / np.sqrt(20)).all()
    assert (own > 4).mean() < 0.05
    assert np.mean(wrong, axis=0).max() > 4


def test_signal_is_found_under_every_null():
    rng = generator(9, "signal")
    group = np.repeat(np.arange(300), 10)
    x = rng.integers(0, 12, 3000)
    labels = rng.random(3000) < 0.1 + 0.3 * (x % 3 == 0)
    counts = counted({"x": x, "noise": rng.integers(0, 12, 3000)}, labels, group=group, time=np.arange(3000))
    for null in ("exact", "shuffled", "shift", "group"):
        ranking = MutualInformation(null=null, draws=60).score(counts)
        row = ranking.frame.row(0, named=True)
        assert row["field"] == "x"
        assert row["low"] < row["mi_minus_expected"] < row["high"]
        assert row["low"] > 0
        assert ranking.score("noise") == 0
        drawn = "60 draws" if null != "exact" else "analytic"
        assert drawn in ranking.null


@pytest.mark.parametrize("ranker", [MutualInformation, InformationValue])
@pytest.mark.parametrize("null", ["shuffled", "shift", "group"])
def test_threads_and_memory_mapped_columns_change_nothing(ranker, null, tmp_path):
    counts = dependent("group", 3)
    counts = dataclasses.replace(counts, rows=dataclasses.replace(counts.rows, time=np.arange(2400)))
    mapped = {}
    for name, column in counts.rows.columns.items():
        column.tofile(tmp_path / name)
        mapped[name] = np.memmap(tmp_path / name, dtype=column.dtype, mode="r")
    there = dataclasses.replace(counts, threads=3, rows=dataclasses.replace(counts.rows, columns=mapped))
    one, two = (ranker(null=null, draws=30).score(c) for c in (counts, there))
    assert one.frame.equals(two.frame)


@pytest.mark.parametrize("null", ["shuffled", "shift", "group"])
def test_fields_that_cannot_vary_score_zero(null):
    rng = generator(9, "fixed")
    group, n = np.repeat(np.arange(50), 8), 400
    for weight in (None, rng.random(n) + 0.5):
        counts = counted(
            {"id": rng.permutation(n), "constant": np.full(n, 3)}, rng.random(n) < 0.4, group=group, weight=weight
        )
        for row in MutualInformation(null=null, draws=30).score(counts).frame.to_dicts():
            assert [row[k] for k in ("score", "z", "ami", "mi_minus_expected")] == [0.0] * 4
            assert row["p"] == row["q"] == 1.0
            assert row["mi"] == row["expected_mi"]
    one_class = counted({"x": np.arange(n) % 5}, np.zeros(n), group=group)
    assert MutualInformation(null=null, draws=30).score(one_class).frame["score"].to_list() == [0.0]


def test_refuses():
    counts = counted({"x": np.arange(40) % 3}, np.arange(40) % 2)
    with pytest.raises(DataError, match="needs a table with a group column"):
        MutualInformation(null="group").score(counts)
    few = dataclasses.replace(counts, rows=dataclasses.replace(counts.rows, group=np.arange(40) // 10))
    with pytest.raises(DataError, match="at least 20 groups to exchange, got 4"):
        MutualInformation(null="group").score(few)
    with pytest.raises(DataError, match="needs the rows"):
        MutualInformation(null="shift").score(dataclasses.replace(counts, rows=None))
    with pytest.raises(ConfigError, match=r"null: must be one of auto, exact.*, got 'iid'"):
        MutualInformation(null="iid")
    with pytest.raises(ConfigError, match="draws: must be at least 20"):
        InformationValue(draws=5)
    with pytest.raises(ConfigError, match="min_shift: must be a share"):
        MutualInformation(min_shift=0.5)


def test_shuffled_rows_that_have_groups_are_noted_with_the_remedy():
    counts = dataclasses.replace(dependent("group", 1), notes=("n",))
    assert null_of(counts, "group").notes == ("n",)
    notes = null_of(counts, "auto").notes
    assert notes[0] == "n"
    assert "`null: group`" in notes[1]
    assert isinstance(null_of(counts, "auto"), Null)


def test_the_design_effect_widens_the_interval():
    counts = dependent("group", 2)
    field = counts.fields["f60"].train
    row = {r["field"]: r for r in MutualInformation(null="group", draws=99).score(counts).frame.to_dicts()}["f60"]
    assert row["expected_mi"] > 1.5 * expected_mutual_information(int(field.positives.sum()), field.totals)
