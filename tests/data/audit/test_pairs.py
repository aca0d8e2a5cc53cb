"""What fields say about each other, against brute force and scikit-learn."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.data.audit import AuditView, _pairs
from ctrsel.data.audit.dependency import Dependency
from ctrsel.data.audit.near_duplicate import NearDuplicate
from ctrsel.data.ingest import ingest


def view(frame: pl.DataFrame, *, min_count: int = 1, **fields: FieldConfig) -> AuditView:
    schema = SchemaConfig(label=LabelConfig(name="y"), fields=fields)
    return AuditView(table=ingest(frame, schema=schema, settings=IngestConfig(min_count=min_count), seed=1))


def frame(n: int = 6000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    city = rng.choice(60, n, p=(w := 1 / np.arange(1, 61)) / w.sum())
    noisy = np.where(rng.random(n) < 0.1, rng.integers(0, 60, n), city)
    return pl.DataFrame(
        {
            "y": rng.integers(0, 2, n),
            "city": [f"c{i}" for i in city],
            "country": [f"l{i % 7}" for i in city],
            "noisy": [f"n{i}" for i in noisy],
            "noise": rng.integers(0, 200, n).astype(str),
            "id": [f"r{i}" for i in range(n)],
            "wide": rng.integers(0, 3000, n).astype(str),
        }
    )


def test_tau_is_goodmans_and_kruskals() -> None:
    pairs = view(frame()).pairs
    at = {name: i for i, name in enumerate(pairs.names)}
    a, b = pairs.codes[at["noisy"]], pairs.codes[at["city"]]
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1)
    n, rows = len(a), joint.sum(axis=1)
    gini = 1 - (joint.sum(axis=0) ** 2).sum() / n**2
    within = 1 - (joint[rows > 0] ** 2).sum(axis=1) / rows[rows > 0] ** 2
    tau = 1 - (within * rows[rows > 0]).sum() / n / gini
    assert pairs.tau[at["noisy"], at["city"]] == pytest.approx(tau, abs=0.03)
    assert pairs.tau[at["city"], at["country"]] == 1
    assert abs(pairs.tau[at["noise"], at["city"]]) < 0.05
    assert abs(pairs.tau[at["wide"], at["noisy"]]) < 0.05  # no part of chance, however many values
    assert np.isnan(pairs.tau[at["id"]]).all()


@pytest.mark.parametrize(("one", "two"), [("city", "noisy"), ("city", "country"), ("noise", "wide"), ("noisy", "wide")])
def test_information_is_adjusted_for_chance(one: str, two: str) -> None:
    pairs = view(frame()).pairs
    a, b = pairs.names.index(one), pairs.names.index(two)
    expected = adjusted_mutual_info_score(pairs.codes[a], pairs.codes[b], average_method="max")
    assert pairs.alike(a, b) == pytest.approx(expected, abs=0.01)
    assert pairs.alike(b, a) == pytest.approx(expected, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 6))
def test_exceptions_are_those_of_brute_force(seed: int, fine: int, coarse: int) -> None:
    rng = np.random.default_rng(seed)
    n = 80
    a = rng.integers(0, fine, n)
    b = np.where(rng.random(n) < 0.2, rng.integers(0, coarse, n), a % coarse)
    shown = view(pl.DataFrame({"y": np.arange(n) % 2, "a": a.astype(str), "b": b.astype(str)}))
    train = shown.table.span("train")
    one, two = shown.codes("a")[train], shown.codes("b")[train]
    support, wrong, majority = 0, 0, True
    for value in np.unique(one):
        counts = np.bincount(two[one == value])
        if counts.sum() >= 2:
            support += counts.sum()
            wrong += counts.sum() - counts.max()
            majority &= 2 * counts.max() > counts.sum()
    rows, found, _ = _pairs.exceptions(shown, "a", "b")
    assert rows == support
    assert found == wrong if majority else found >= wrong


def test_chunks_do_not_matter(monkeypatch) -> None:
    shown = view(frame())
    whole = _pairs.exceptions(shown, "noisy", "city")
    monkeypatch.setattr(_pairs, "CHUNK", 11)
    assert _pairs.exceptions(shown, "noisy", "city") == whole


def test_a_hierarchy_is_one_note_and_an_id_determines_nothing() -> None:
    f = frame().with_columns(region=pl.col("country").replace_strict({f"l{i}": f"r{i % 2}" for i in range(7)}))
    found = Dependency().check(view(f))
    assert [(x.field, x.severity) for x in found] == [("country", "note"), ("region", "note")]
    assert "values of 'city'" in found[0].evidence
    assert "values of 'country'" in found[1].evidence
    assert "'city' determine it too" in found[1].evidence
    assert NearDuplicate().check(view(f)) == [x for x in NearDuplicate().check(view(f)) if x.field == "noisy"]


def test_some_exceptions_are_borne() -> None:
    n = 6000
    for every, told in ((3000, True), (100, False)):
        wrong = pl.int_range(n) % every == 0
        f = frame(n).with_columns(country=pl.when(wrong).then(pl.lit("l9")).otherwise(pl.col("country")))
        assert ([x.field for x in Dependency().check(view(f))] == ["country"]) is told


def test_values_that_do_not_repeat_prove_nothing() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    wide = rng.permutation(n)
    wide[:100] = 1  # all repeated rows of this field are one value
    f = pl.DataFrame(
        {"y": rng.integers(0, 2, n), "wide": wide.astype(str), "b": np.where(wide == 1, 0, rng.integers(0, 4, n))}
    )
    assert Dependency().check(view(f)) == []


def test_a_rare_flag_is_determined_by_nobody() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    f = frame(n).with_columns(flag=pl.Series((rng.random(n) < 0.001).astype(str)))
    assert "flag" not in {x.field for x in Dependency().check(view(f))}


def test_rare_values_of_one_name_determine_nothing() -> None:
    f = frame().with_columns(fine="w" + pl.col("wide"), coarse=(pl.col("wide").cast(pl.Int64) % 40).cast(pl.String))
    assert "coarse" in {x.field for x in Dependency().check(view(f))}
    pooled = Dependency().check(view(f, min_count=50))  # nearly all values of `wide` are one code now
    assert "coarse" not in {x.field for x in pooled}


@pytest.mark.parametrize(("share", "severity"), [(0.002, "warn"), (0.05, "note"), (0.3, None)])
def test_near_duplicates_by_degree(share: float, severity: str | None) -> None:
    n = 20_000
    rng = np.random.default_rng(1)
    f = frame(n).drop("noisy", "country")
    city = f["city"].str.slice(1).cast(pl.Int64).to_numpy()
    copy = np.where(rng.random(n) < share, rng.permutation(city), city)
    found = NearDuplicate().check(view(f.with_columns(copy=pl.Series(copy.astype(str)))))
    assert [(x.field, x.severity) for x in found] == ([] if severity is None else [("copy", severity)])
    if found:
        assert found[0].evidence.startswith("Normalised mutual information with 'city'")


def test_a_number_and_its_bucket_are_near_duplicates() -> None:
    n = 20_000
    rng = np.random.default_rng(1)
    load = rng.normal(size=n)
    f = frame(n).with_columns(
        load=pl.Series(load), rounded=pl.Series(np.searchsorted(np.quantile(load, np.arange(1, 200) / 200), load))
    )
    kinds = {"load": FieldConfig(kind="numeric", bucket="none"), "rounded": FieldConfig(kind="categorical")}
    found = NearDuplicate().check(view(f.select("y", "load", "rounded", "noise"), **kinds))
    assert [x.field for x in found] == ["rounded"]


def test_each_of_three_copies_is_named_once() -> None:
    rng = np.random.default_rng(2)
    f = frame(20_000).select("y", "city")
    for i in range(3):
        keep = pl.Series(rng.random(20_000) < 0.998)
        f = f.with_columns(pl.when(keep).then(pl.col("city")).otherwise(pl.lit("?")).alias(f"copy{i}"))
    assert [x.field for x in NearDuplicate().check(view(f))] == ["copy0", "copy1", "copy2"]


def test_the_sample_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(_pairs, "ROWS", 1000)
    monkeypatch.setattr(_pairs, "LINKS", 200)
    pairs = view(frame()).pairs
    assert pairs.codes.shape[1] == 1000
    assert pairs.links.max() == 200


def test_a_finer_field_with_fewer_codes() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    fine = rng.choice(3000, n, p=(w := 1 / np.arange(1, 3001) ** 0.7) / w.sum())
    f = pl.DataFrame({"y": rng.integers(0, 2, n), "fine": fine.astype(str), "coarse": (fine // 5).astype(str)})
    shown = view(f, min_count=10)
    assert shown.table.encoder.size("fine") < shown.table.encoder.size("coarse")
    assert [x.field for x in Dependency().check(shown)] == ["coarse"]


def test_lists_and_constants_are_not_compared() -> None:
    n = 1000
    tags = pl.Series([["p"], ["q", "p"]] * (n // 2))
    f = pl.DataFrame({"y": np.arange(n) % 2, "one": ["x"] * n, "tags": tags, "again": tags})
    shown = view(f)
    assert shown.pairs.names == ()
    assert NearDuplicate().check(shown) == Dependency().check(shown) == []
