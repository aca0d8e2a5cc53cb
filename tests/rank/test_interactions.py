from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank import FieldCounts, TableCounts, count, rank
from ctrsel.rank._pairs import PairScan
from ctrsel.rank._screen import evenness, screen_rows
from ctrsel.rank.interactions import Interactions
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.pair_cost import estimate
from ctrsel.rank.rows import CodedRows
from ctrsel.stats.counts import label_counts
from ctrsel.stats.information import mutual_information
from ctrsel.stats.joint import joint_counts
from ctrsel.stats.permutation import expected_mutual_information
from ctrsel.stats.synergy import interaction_test
from ctrsel.testing.tables import tiny_table


def counted(columns, labels, *, seed=1, refused=None):
    sizes = {name: int(codes.max()) + 1 for name, codes in columns.items()}
    fields = {n: FieldCounts(train=label_counts(c, labels, size=sizes[n])) for n, c in columns.items()}
    rows = CodedRows(columns=columns, sizes=sizes, labels=labels, row=np.arange(len(labels)))
    return TableCounts(fields=fields, rows=rows, seed=seed, refused=refused or {}, threads=1)


def drawn(seed, rows, sizes, *, parity=(), effect=0.8, strong=()):
    """Fields of noise but for a parity of some and additive effects of others."""
    rng = np.random.default_rng(seed)
    columns = {f"f{i}": rng.integers(0, s, rows).astype(np.uint16) for i, s in enumerate(sizes)}
    odds = np.full(rows, -1.2)
    for name in strong:
        odds += 0.7 * rng.normal(size=2000)[columns[name]]
    if parity:
        odd = np.bitwise_xor.reduce([columns[n] & 1 for n in parity])
        odds += effect * (2.0 * odd - 1.0)
    return columns, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.uint8)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    kinds=st.tuples(*[st.sampled_from([np.uint8, np.uint16, np.uint32])] * 2),
    rows=st.integers(4, 400),
)
def test_a_scan_counts_what_a_joint_table_counts(seed, sizes, kinds, rows):
    rng = np.random.default_rng(seed)
    columns = {n: rng.integers(0, s, rows).astype(k) for n, s, k in zip("ab", sizes, kinds, strict=True)}
    labels = rng.integers(0, 2, rows).astype(np.uint8)
    labels[:2] = [0, 1]
    scan = PairScan(columns, dict(zip("ab", sizes, strict=True)), labels, threads=1)
    found = scan.pairs([("a", "b")])["a", "b"]
    table = joint_counts(list(columns.values()), labels, sizes=sizes)
    assert found.cells == len(table.cells)
    assert found.information == pytest.approx(mutual_information(table.positives, table.totals), abs=1e-11)
    expected = expected_mutual_information(int(labels.sum()), table.totals)
    assert found.expected == pytest.approx(expected, abs=1e-11)
    assert found.fitted
    assert found.test.z == pytest.approx(interaction_test(table).z, abs=0.01)  # up to where a fit stops


def test_large_cells_have_the_expected_information_too():
    columns, labels = drawn(1, 60_000, (2, 3))
    found = PairScan(columns, {"f0": 2, "f1": 3}, labels, threads=1).pairs([("f0", "f1")])["f0", "f1"]
    table = joint_counts(list(columns.values()), labels, sizes=(2, 3))
    assert table.totals.min() > 4096
    expected = expected_mutual_information(int(labels.sum()), table.totals)
    assert found.expected == pytest.approx(expected, rel=1e-7)


def test_many_cells_are_tested_as_the_fitted_model_would():
    columns, labels = drawn(2, 20_000, (120, 90), parity=("f0", "f1"), strong=("f0",))
    found = PairScan(columns, {"f0": 120, "f1": 90}, labels, threads=1).pairs([("f0", "f1")])["f0", "f1"]
    assert not found.fitted
    fitted = interaction_test(joint_counts(list(columns.values()), labels, sizes=(120, 90)))
    assert found.test.z == pytest.approx(fitted.z, rel=0.05)
    assert found.test.beyond_additive == pytest.approx(fitted.beyond_additive, rel=0.05)


def test_an_exclusive_or_is_first_and_strong_pairs_are_not():
    columns, labels = drawn(3, 20_000, (2, 2, 30, 40, 200), parity=("f0", "f1"), strong=("f2", "f3"))
    counts = counted(columns, labels)
    ranking = Interactions().score(counts)
    first = ranking.frame.to_dicts()[0]
    assert first["fields"] == ["f0", "f1"]
    assert first["field"] == "f0*f1"
    assert ranking.item == "cross"
    assert first["q"] < 1e-6
    assert first["low"] < first["beyond_additive"] < first["high"]
    assert first["synergy"] == pytest.approx(first["beyond_additive"], rel=0.1)
    assert first["cells"] == 4
    assert first["rows_per_cell"] == 5_000
    frame = ranking.frame
    assert frame.sort("joint_mi")["field"][-1] != "f0*f1"
    assert (frame["score"][1:] == 0).all()
    single = MutualInformation().score(counts).frame
    assert single.filter(pl.col("field").is_in(["f0", "f1"]))["q"].min() > 0.05


def test_exclusive_or_of_two_by_two_in_nats():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 4_000)).astype(np.uint8)
    (row,) = Interactions().score(counted({"a": a, "b": b}, a ^ b)).frame.to_dicts()
    assert max(row["single_scores"]) < 0.01
    assert row["joint_mi"] > 0.6
    assert row["synergy"] > 0.6


def test_noise_has_a_standard_normal_deviate():
    z, q = [], []
    for seed in range(6):
        columns, labels = drawn(seed, 8_000, (2, 10, 60, 500, 2_000), strong=("f1", "f3"))
        frame = Interactions().score(counted(columns, labels)).frame
        z += frame["z"].to_list()
        q.append(frame["q"].min())
    assert abs(np.mean(z)) < 4 / np.sqrt(len(z))
    assert 0.7 < np.std(z) < 1.3
    assert max(map(abs, z)) < 4
    assert sum(value < 0.05 for value in q) <= 1


def test_threads_the_order_of_rows_and_the_names_of_values_change_nothing():
    columns, labels = drawn(4, 6_000, (3, 12, 50, 300), parity=("f0", "f1"), strong=("f2",))
    frame = Interactions().score(counted(columns, labels)).frame
    assert Interactions().score(replace(counted(columns, labels), threads=3)).frame.equals(frame)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(labels))
    moved = counted({n: c[order] for n, c in columns.items()}, labels[order])
    renamed = {n: rng.permutation(int(c.max()) + 1).astype(c.dtype)[c] for n, c in columns.items()}
    for other in (moved, counted(renamed, labels)):
        again = Interactions().score(other).frame
        assert again["field"].to_list() == frame["field"].to_list()
        for name in ("synergy", "z", "beyond_additive", "q"):
            # A fit stops within a tolerance, and names decide where it starts.
            np.testing.assert_allclose(again[name], frame[name], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(again["joint_mi"], frame["joint_mi"], rtol=1e-10)


def test_three_way_parity_is_found_by_all_triples_only():
    columns, labels = drawn(5, 12_000, (2, 4, 6, 3, 5, 2, 8), parity=("f0", "f1", "f2"))
    counts = counted(columns, labels)
    assert MutualInformation().score(counts).frame["q"].min() > 0.01
    pairs = Interactions().score(counts).frame
    assert pairs["q"].min() > 0.01
    ranking = Interactions(order=3).score(counts)
    assert ranking.order[0] == "f0*f1*f2"
    assert ranking.frame["q"][0] < 1e-6
    assert ranking.frame["q"][1] > 0.01
    assert any("all 35 triples were tried" in note for note in ranking.notes)
    beam = Interactions(order=3, triples="beam", beam=1).score(counts)
    assert any("of 35 triples were tried" in note for note in beam.notes)


def test_a_beam_finds_a_triple_with_a_telling_pair():
    rng = np.random.default_rng(6)
    columns, _ = drawn(6, 20_000, (2, 4, 6, 3, 5))
    a, b, c = (columns[f"f{i}"] & 1 for i in range(3))
    labels = (rng.random(20_000) < 0.2 + 0.1 * (a ^ b) + 0.2 * ((a ^ b) & c)).astype(np.uint8)
    ranking = Interactions(order=3, triples="beam", beam=2).score(counted(columns, labels))
    assert set(ranking.order[:2]) == {"f0*f1", "f0*f1*f2"}
    assert ranking.frame["q"][2] > 0.01


def test_a_screen_keeps_what_it_promises_to_see():
    columns, labels = drawn(7, 60_000, (2, 6, 10, 20, 4, 8), parity=("f1", "f2"))
    ranking = Interactions(affordable=1000, detectable=0.01).score(counted(columns, labels))
    assert ranking.order[0] == "f1*f2"
    assert ranking.frame.height < 15
    assert any(note.startswith("screened 15 pairs on as many rows as see 0.01 nats") for note in ranking.notes)
    exact = Interactions().score(counted(columns, labels)).frame
    first = exact.filter(pl.col("field") == "f1*f2").to_dicts()[0]
    assert ranking.frame.to_dicts()[0]["z"] == first["z"]
    everything = Interactions(affordable=1000, pairs="all").score(counted(columns, labels)).frame
    assert everything["z"].to_list() == exact["z"].to_list()


def test_the_screens_sample_has_the_stated_power():
    sizes, effect = (30, 30), 0.4
    rates = 1 / (1 + np.exp(1.2 + np.array([effect, -effect])))
    base = rates.mean()
    nats = float(np.mean(rates * np.log(rates / base) + (1 - rates) * np.log((1 - rates) / (1 - base))))
    (rows,) = screen_rows([1 / 900], detectable=nats, power=0.8, keep_z=2.0)
    passed = []
    for seed in range(60):
        columns, labels = drawn(seed, rows, sizes, parity=("f0", "f1"), effect=effect)
        table = joint_counts(list(columns.values()), labels, sizes=sizes)
        passed.append(interaction_test(table).z >= 2.0)
    assert 0.65 < np.mean(passed) < 0.95


def test_evenness():
    assert evenness(np.array([5, 5, 5, 5])) == 0.25
    assert evenness(np.array([9, 1])) == pytest.approx(0.82)


def test_refuses_fields_that_cannot_take_part():
    columns, labels = drawn(8, 500, (3, 4))
    columns |= {"constant": np.full(500, 3, np.uint8), "id": np.arange(500, dtype=np.uint32)}
    ranking = Interactions().score(counted(columns, labels, refused={"tags": "a list"}))
    assert set(ranking.refused) == {"constant", "id", "tags"}
    assert "one value" in ranking.refused["constant"]
    assert "no two rows share a cell" in ranking.refused["id"]
    assert ranking.order == ("f0*f1",)


def test_lists_a_top_and_says_so():
    columns, labels = drawn(9, 1_000, (3, 4, 5, 2))
    ranking = Interactions(top=2).score(counted(columns, labels))
    assert ranking.frame.height == 2
    assert "lists 2 of 6 candidates; all of them count in q" in ranking.notes
    alone = Interactions().score(counted({"f0": columns["f0"]}, labels))
    assert alone.frame.height == 0


def test_takes_a_table_and_leaves_its_test_rows_alone():
    table = tiny_table(rows=2000)
    (ranking,) = rank(table, [Interactions(by="z")], seed=1, threads=1)
    assert ranking.unit == "sd"
    assert "id" in ranking.refused
    counts = count(table, threads=1)
    rows = counts.need_rows("test")
    before = dict(rows.reads)
    Interactions().score(counts)
    assert {n: rows.reads[n] - before.get(n, 0) for n in rows.reads} == {
        n: 1 for n in rows.names if n not in ranking.refused
    }


def test_needs_rows_and_both_classes():
    columns, labels = drawn(1, 100, (3, 4))
    counts = counted(columns, labels)
    with pytest.raises(DataError, match="needs the rows"):
        Interactions().score(TableCounts(fields=counts.fields))
    with pytest.raises(DataError, match="labels of both classes are needed, got 0 positive of 100"):
        Interactions().score(counted(columns, np.zeros(100, np.uint8)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"by": "mi"}, "by: must be one of effect"),
        ({"pairs": "some"}, "pairs: must be one of auto"),
        ({"order": 4}, "order: must be 2 or 3"),
        ({"alpha": 0.0}, "alpha: must be between"),
        ({"power": 1.0}, "power: must be at least"),
        ({"detectable": 0.0}, "detectable: must be above 0"),
        ({"top": 0}, "top: must be at least 1"),
    ],
)
def test_refuses_parameters(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Interactions(**wrong)


def test_estimate_grows_with_rows_and_pairs():
    small, large = estimate(rows=10**6, sizes=[10] * 40), estimate(rows=2 * 10**7, sizes=[10] * 40)
    assert small.pairs == 780
    assert large.seconds > 20 * small.seconds
    assert large.bytes > small.bytes
    assert estimate(rows=10**6, sizes=[10] * 40, threads=2).seconds == pytest.approx(small.seconds / 2)
    columns, labels = drawn(1, 100, (3, 4))
    assert Interactions().cost(counted(columns, labels)).pairs == 1
