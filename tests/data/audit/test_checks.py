"""What each check finds and lets pass, by hand; the leak check has a file of its own."""

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data.audit import CATALOG, AuditView
from ctrsel.data.ingest import ingest
from ctrsel.records.audit import Finding


def found(rule: str, data, *, min_count: int = 1, split: SplitConfig | None = None, **schema) -> list[Finding]:
    table = ingest(
        data,
        schema=SchemaConfig(label=LabelConfig(name="y"), **schema),
        settings=IngestConfig(min_count=min_count),
        split=split,
    )
    return CATALOG.create(rule).check(AuditView(table=table))


def frame(n: int = 2000, seed: int = 0, rate: float = 0.4, **columns) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {"y": (rng.random(n) < rate).astype(int), "a": rng.integers(0, 9, n), "b": rng.integers(0, 9, n), **columns}
    )


def test_constant() -> None:
    n = 2000
    f = frame(same=["x"] * n, empty=pl.Series([None] * n, dtype=pl.String), lists=[[]] * n, number=[3.0] * n)
    findings = found("constant", f, fields={"number": FieldConfig(kind="numeric", bucket="none")})
    assert {(x.field, x.severity) for x in findings} == {(k, "warn") for k in ("same", "empty", "lists", "number")}
    assert "are missing (100.0000%)" in next(x.evidence for x in findings if x.field == "empty")
    assert found("constant", frame(nearly=["x"] * (n - 1) + ["z"])) == []
    nearly = found("constant", frame(20_000, nearly=["x"] * 19_999 + ["z"]))
    assert [x.severity for x in nearly] in (["note"], ["warn"])  # the one other row may stand in training or not


def test_duplicate_up_to_renaming() -> None:
    f = frame()
    a = f["a"].cast(pl.String)
    f = f.with_columns(
        renamed="v" + a, merged=(pl.col("a") // 2), lists=pl.concat_list("a", "b"), float=pl.col("a") / 7
    )
    f = f.with_columns(lists2=pl.col("lists").list.eval(pl.element() + 100), float2=pl.col("float") * 3)
    kept = {k: FieldConfig(kind="numeric", bucket="none") for k in ("float", "float2")}
    findings = found("duplicate", f, fields=kept)
    assert {x.field for x in findings} == {"renamed", "float", "float2", "lists2"}  # the first of each stays
    assert "'a'" in next(x.evidence for x in findings if x.field == "renamed")
    almost = f["renamed"].to_list()
    almost[0], almost[1] = "other", "other2"
    assert {x.field for x in found("duplicate", frame(almost=almost))} == set()
    ids = frame(
        id=[f"u{i}" for i in range(2000)], id2=[f"w{i}" for i in range(2000)], one=["x"] * 2000, two=["z"] * 2000
    )
    assert found("duplicate", ids) == []


def test_same_counts_are_not_the_same_field() -> None:
    x = np.tile([0, 0, 1, 1], 500)
    z = np.tile([0, 1, 0, 1], 500)
    assert found("duplicate", frame(x=x, z=z), split=SplitConfig(use="hash")) == []


def test_row_ids() -> None:
    n = 2000
    ids = [f"u{i}" for i in np.random.default_rng(0).permutation(n)]
    f = frame(
        id=ids,
        mostly=[v if i % 20 else "u0" for i, v in enumerate(ids)],
        half=[f"u{i // 2}" for i in range(n)],
        counter=np.arange(n),
        noise=np.random.default_rng(0).normal(size=n),
    )
    findings = found("row_id", f, fields={"noise": FieldConfig(bucket="none")})
    assert {x.field for x in findings} == {"id", "mostly", "half", "counter"} - {"half"}
    assert all("sensitive" in x.advice for x in findings if x.field != "counter")
    rare = found("row_id", f.select("y", "a", "id"), min_count=5)
    assert [x.field for x in rare] == ["id"]
    assert "occur in fewer than 5 rows (100.0%)" in rare[0].evidence
    floats = found("row_id", f.select("y", "a", "counter"), fields={"counter": FieldConfig(bucket="none")})
    assert [x.field for x in floats] == ["counter"]


@pytest.mark.parametrize(("positives", "rules"), [(4000, 0), (300, 2), (8, 4), (9_992, 4)])
def test_label_balance(positives: int, rules: int) -> None:
    n = 10_000
    y = np.zeros(n, dtype=int)
    y[np.random.default_rng(0).choice(n, positives, replace=False)] = 1
    findings = found("label", pl.DataFrame({"y": y, "a": np.arange(n) % 7}), split=SplitConfig(valid=0.2, test=0.2))
    assert len(findings) == rules
    assert all(x.field is None for x in findings)
    if positives > n / 2:
        assert "negative rows" in findings[-1].evidence


def test_unseen() -> None:
    f = frame()
    new = f.with_columns(a=pl.when(pl.int_range(2000) % 10 < 3).then(pl.lit(99)).otherwise(pl.col("a")))
    some = f.with_columns(a=pl.when(pl.int_range(2000) % 10 < 1).then(pl.lit(99)).otherwise(pl.col("a")))
    findings = found("unseen", {"train": f, "valid": some, "test": new})
    assert [(x.field, x.severity, x.number) for x in findings] == [("a", "warn", 0.3)]
    assert "10.0% of its valid values, 30.0% of its test values" in findings[0].evidence
    assert [x.severity for x in found("unseen", {"train": f, "valid": some, "test": f})] == ["note"]
    # Rare values that training pooled as well are not unseen.
    rare = frame(id=[f"u{i}" for i in range(2000)])
    assert found("unseen", rare, min_count=5) == []


def test_drift() -> None:
    f = frame(8000)
    moved = f.with_columns(a=pl.when(pl.int_range(8000) % 2 == 0).then(pl.lit(0)).otherwise(pl.col("a")))
    findings = found("drift", {"train": f, "test": moved})
    assert [x.field for x in findings] == ["a"]
    assert "to test; over 0.25" in findings[0].evidence
    richer = f.with_columns(y=pl.when(pl.int_range(8000) % 4 == 0).then(pl.lit(1)).otherwise(pl.col("y")))
    labels = found("drift", {"train": f, "test": richer})
    assert [(x.field, round(x.number, 1)) for x in labels] == [(None, pytest.approx(1.4, abs=0.1))]
    assert found("drift", {"train": f, "test": frame(8000, seed=1)}) == []


@pytest.mark.parametrize("seed", range(5))
def test_small_splits_of_one_table_do_not_drift(seed: int) -> None:
    f = frame(300, seed=seed, many=np.random.default_rng(seed).integers(0, 60, 300).astype(str))
    assert found("drift", f) == []


def test_strong_field_between_the_thresholds() -> None:
    f = frame(8000)
    rng = np.random.default_rng(1)

    def flipped(share: float) -> np.ndarray:
        return np.where(rng.random(8000) < share, 1 - f["y"].to_numpy(), f["y"].to_numpy())

    f = f.with_columns(strong=pl.Series(flipped(0.05)), copy=f["y"] * 2, weak=pl.Series(flipped(0.3)))
    assert [x.field for x in found("strong_field", f)] == ["strong"]


def test_lone_gain() -> None:
    f = frame(8000)
    rng = np.random.default_rng(1)
    strong = np.where(rng.random(8000) < 0.2, 1 - f["y"].to_numpy(), f["y"].to_numpy())
    weak = [np.where(rng.random(8000) < 0.42, 1 - f["y"].to_numpy(), f["y"].to_numpy()) for _ in range(3)]
    f = f.with_columns(strong=pl.Series(strong))
    assert [x.field for x in found("lone_gain", f)] == ["strong"]
    assert "naive Bayes" in found("lone_gain", f)[0].evidence
    honest = frame(8000).with_columns(**{f"w{i}": pl.Series(w) for i, w in enumerate(weak)})
    assert found("lone_gain", honest) == []
    assert found("lone_gain", f.select("y", "strong")) == []  # there is nothing to compare it with


def test_fill_rate() -> None:
    f = frame(4000)
    rng = np.random.default_rng(1)
    y = f["y"].to_numpy() == 1
    more = np.where(y, rng.random(4000) < 0.9, rng.random(4000) < 0.4)
    little = np.where(y, rng.random(4000) < 0.6, rng.random(4000) < 0.4)
    findings = found(
        "fill_rate",
        f.with_columns(
            more=pl.when(pl.Series(more)).then(pl.lit("x")), little=pl.when(pl.Series(little)).then(pl.lit("x"))
        ),
    )
    assert [x.field for x in findings] == ["more"]
    # 2 asin(sqrt(0.1)) - 2 asin(sqrt(0.6)) is -1.13; an AUC of 0.5 + 0.5 * |0.1 - 0.6| = 0.75.
    assert findings[0].number == pytest.approx(-1.13, abs=0.07)
    assert "AUC of 0.7" in findings[0].evidence
