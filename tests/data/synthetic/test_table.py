"""The table as a whole: chunks, columns, files, schema, roles and refusals."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import (
    BLOCK_ROWS,
    PRESETS,
    Clock,
    Conversion,
    Copy,
    Derived,
    Drift,
    History,
    LabelCopy,
    Noise,
    Numeric,
    Planted,
    RowId,
    Sessions,
    Signal,
    Strong,
    Tags,
    TargetEncoding,
    Truth,
    ValueLeak,
    Xor,
)
from ctrsel.data.synthetic.__main__ import main
from ctrsel.data.synthetic.plain import shuffled


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_chunks_and_columns_change_no_cell(preset: str) -> None:
    table = PRESETS[preset](rows=BLOCK_ROWS + 700, seed=5, texts="integers")
    whole = table.frame()
    assert whole.shape == (BLOCK_ROWS + 700, len(table.columns))
    for rows in (BLOCK_ROWS + 700, 40_001):
        chunks = list(table.chunks(rows))
        assert [c.height for c in chunks[:-1]] == [rows] * (len(chunks) - 1)
        assert pl.concat(chunks).equals(whole)  # bit for bit
    for name in table.columns[-3:]:
        assert table.frame(columns=[name]).equals(whole.select(name))
    again = PRESETS[preset](rows=BLOCK_ROWS + 700, seed=5, texts="integers")
    assert again.frame(columns=list(table.columns[:2])).equals(whole.select(table.columns[:2]))


def test_lazy_reads_what_is_asked() -> None:
    table = PRESETS["values"](rows=BLOCK_ROWS + 10, seed=1)
    whole = table.frame()
    assert_frame_equal(table.lazy().select("noise", "label").collect(), whole.select("noise", "label"))
    assert_frame_equal(table.lazy().head(7).collect(), whole.head(7))
    few = table.lazy().filter(pl.col("noise") == "noise=3").collect()
    assert_frame_equal(few, whole.filter(pl.col("noise") == "noise=3"))
    assert table.lazy().collect_schema() == whole.schema


@pytest.mark.parametrize("texts", ["names", "integers"])
@pytest.mark.parametrize("preset", ["audit", "sequences", "funnel"])
def test_files(tmp_path: Path, preset: str, texts: str) -> None:
    table = PRESETS[preset](rows=500, seed=2, texts=texts)
    whole = table.frame()
    table.write(tmp_path / "rows.parquet")
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(whole)
    table.write(tmp_path / "rows.csv", truth=False)
    read = pl.read_csv(tmp_path / "rows.csv", infer_schema=False)
    assert read.columns == whole.columns
    for name, kind in whole.schema.items():
        if isinstance(kind, pl.List):
            assert [json.loads(text) for text in read[name]] == whole[name].to_list()
        else:
            assert_frame_equal(read.select(pl.col(name).cast(kind)), whole.select(name))
    assert Truth.load(tmp_path / "rows.truth.json").bayes_auc == table.truth.bayes_auc


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.parquet or \.csv, got \.xlsx"):
        PRESETS["peers"](rows=1).write(tmp_path / "rows.xlsx")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_schema_fits(preset: str) -> None:
    planted = PRESETS[preset](rows=400, seed=3)
    table = ingest(planted.frame(), schema=planted.schema, seed=1)
    assert table.n_rows == 400
    assert set(table.schema.names) == set(planted.truth.fields)
    for field in table.schema.fields:
        assert (field.kind == "sequence") == (planted.truth.fields[field.name].kind == "sequence")
    if planted.conversion is not None:
        schema = planted.schema_for("conversion")
        assert (schema.label.name, schema.ignore) == ("conversion", ("label",))


def test_texts_and_missing_cells() -> None:
    table = Planted(parts=(Noise(name="a", values=3, missing=0.5), Numeric(name="b", missing=0.25)), rows=4000, seed=1)
    frame = table.frame()
    assert set(frame["a"].drop_nulls()) == {"a=0", "a=1", "a=2"}
    assert frame["a"].null_count() == pytest.approx(2000, abs=100)
    assert frame["b"].null_count() == pytest.approx(1000, abs=90)
    assert frame["b"].min() > 0
    numbers = Planted(parts=table.parts, rows=4000, seed=1, texts="integers").frame()
    assert numbers.select(pl.format("a={}", "a")).to_series().to_list() == frame["a"].to_list()


def test_group_weight_and_time() -> None:
    table = Planted(
        parts=(Signal(name="user", values=9),), rows=3000, group="user", weight=0.5, clock=Clock(days=2.0, start=100)
    )
    frame, schema = table.frame(), table.schema
    assert (schema.group, schema.weight, schema.time) == ("user", "weight", "time")
    assert frame["time"].is_sorted()
    assert frame["time"].min() >= 100
    assert frame["time"].max() < 100 + 2 * 86_400
    assert frame["weight"].log().std() == pytest.approx(0.5, abs=0.03)


def test_repeated_rows() -> None:
    table = Planted(parts=(RowId(name="id"), Numeric(name="z")), rows=5000, repeated=0.1, clock=Clock())
    frame = table.frame()
    assert frame.height - frame["id"].n_unique() == pytest.approx(500, abs=70)
    assert frame.drop("time").n_unique() == frame["id"].n_unique()
    assert frame["time"].is_sorted()
    with pytest.raises(ConfigError, match="repeated rows has none"):
        table.oracle()


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 65_537])
def test_shuffled_is_a_permutation(size: int) -> None:
    order = shuffled(np.arange(size), size, seed=4)
    assert sorted(order.tolist()) == list(range(size))
    if size > 100:
        assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 0.1
        parts = [shuffled(np.arange(a, min(a + 9000, size)), size, seed=4) for a in range(0, size, 9000)]
        assert (np.concatenate(parts) == order).all()


def test_rate_in_place_of_base() -> None:
    for kwargs in ({}, {"clock": Clock(rate=1.0), "sessions": Sessions(rows=5, effect=1.0)}):
        table = Planted(
            parts=(Strong(name="a", values=30), Xor(left="l", right="r")), rows=100_000, rate=0.03, **kwargs
        )
        assert table.truth.rate == pytest.approx(0.03, abs=1e-6)
        assert table.frame(columns=["label"])["label"].mean() == pytest.approx(0.03, abs=0.003)


def test_a_table_without_signal() -> None:
    truth = Planted(parts=(Noise(name="a", values=3),), rows=10, rate=0.2).truth
    assert (truth.bayes_auc, truth.bayes_log_loss) == (pytest.approx(0.5), pytest.approx(truth.entropy))
    assert truth.fields["a"].adds == 0.0


def test_truth_round_trip(tmp_path: Path) -> None:
    for preset in PRESETS.values():
        truth = preset(rows=10).truth
        truth.save(tmp_path / "truth.json")
        read = Truth.load(tmp_path / "truth.json")
        for key in (
            "rows",
            "seed",
            "label",
            "rate",
            "fields",
            "pairs",
            "leaks",
            "drifts",
            "conversion",
            "session_rows",
        ):
            assert getattr(read, key) == getattr(truth, key)
        for name in truth.values:
            assert_frame_equal(read.value_frame(name), truth.value_frame(name))


def test_truth_refuses_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"rows": 3}')
    with pytest.raises(Exception, match="not the truth of a planted table"):
        Truth.load(tmp_path / "a.json")
    with pytest.raises(ConfigError, match="unknown field with effects by value 'noise'"):
        PRESETS["values"](rows=1).truth.value_frame("noise")


S = Strong(name="s", values=4)
REFUSED = [
    (lambda: Planted(parts=(S,), rows=0), "rows: must be at least 1, got 0"),
    (lambda: Planted(parts=(S,), rows=1, rate=1.0), "rate: must lie between 0 and 1, got 1"),
    (lambda: Planted(parts=(S, S), rows=1), "got 's' twice"),
    (lambda: Planted(parts=(S,), rows=1, label="s"), "got 's' twice"),
    (lambda: Planted(parts=(S,), rows=1, group="t"), "unknown column 't'"),
    (lambda: Planted(parts=(Noise(name="a", values=3, drift=Drift(popularity=0.5)),), rows=1), "'a' drifts"),
    (lambda: Planted(parts=(Numeric(name="a", shift=1.0),), rows=1), "'a' drifts"),
    (lambda: Planted(parts=(S,), rows=1, conversion=Conversion()), "conversions take time"),
    (lambda: Planted(parts=(Signal(name="a", values=2, conversion=1.0),), rows=1), "needs a table with a second label"),
    (lambda: Planted(parts=(Copy(name="c", source="s"), S), rows=1), "stands before it, got 's'; known: none"),
    (lambda: Planted(parts=(RowId(name="i"), Copy(name="c", source="i")), rows=1), "must be a Signal or Noise"),
    (lambda: Planted(parts=(S, Derived(name="d", source="s", values=5)), rows=1), "from 1 to the 4 of 's', got 5"),
    (lambda: Planted(parts=(Noise(name="n", values=4), Derived(name="d", source="n")), rows=1), "has no groups"),
    (lambda: Planted(parts=(RowId(name="i"), TargetEncoding(name="t", source="i")), rows=1), "must be a category"),
    (lambda: Planted(parts=(LabelCopy(name="l"), TargetEncoding(name="t", source="l")), rows=1), "before the outcome"),
    (lambda: Strong(name="s", values=0), "s.values: must be at least 1, got 0"),
    (lambda: Strong(name="s", values=4, active=5), "s.active: must be from 1 to the 4 values, got 5"),
    (lambda: Noise(name="n", values=4, missing=1.5), "n.missing: must be from 0 to 1, got 1.5"),
    (lambda: Drift(since=0.5, until=0.4), "drift.until: must be from 0.5 to 1, got 0.4"),
    (lambda: Xor(left="l", right="r", values=1), "two sides need at least 2 values"),
    (lambda: Numeric(name="z", shape="line"), "unknown shape 'line'"),
    (lambda: Numeric(name="z", tilt=1.0), "needs a share of missing cells"),
    (lambda: Numeric(name="z", drift=Drift(popularity=0.1)), "numbers move by `shift`"),
    (lambda: Tags(name="t", values=500), "t.values: must be from 1 to 200, got 500"),
    (lambda: History(item="i", history="h", values=30), "must be a multiple of 20 clusters, got 30"),
    (lambda: History(item="i", history="h", length=20), "must be more than the 20 items that count"),
    (lambda: History(item="i", history="h", recent=0), "must be at least 1, got 10, 0"),
    (lambda: Sessions(rows=0.5), "sessions.rows: must be at least 1, got 0.5"),
    (lambda: Conversion(delay=-1.0), "must not be negative, got -1"),
    (lambda: ValueLeak(name="v", values=0), "v.values: must be at least 1, got 0"),
    (lambda: PRESETS["audit"](rows=1, faults=["leek"]), "unknown fault 'leek'"),
    (lambda: next(PRESETS["peers"](rows=1).chunks(0)), "a chunk has at least 1, got 0"),
    (lambda: PRESETS["peers"](rows=1).frame(columns=["s_3"]), "unknown column 's_3'; did you mean"),
    (lambda: PRESETS["peers"](rows=1).schema_for("click"), "unknown label 'click'"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_refusals(make, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert message in str(refused.value)


def test_main(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.parquet"
    assert main(["--rows", "50", "--out", str(file), "--preset", "values", "--integers"]) == 0
    assert "50 rows, 8 fields, 7 informative; rate 0.2" in capsys.readouterr().out
    assert pl.read_parquet(file)["noise"].dtype == pl.Int64
    assert main(["--rows", "0", "--out", str(file)]) == 2
    assert "rows: must be at least 1" in capsys.readouterr().err
    for name in ("a.csv", "a.parquet"):
        assert main(["--rows", "5", "--out", str(tmp_path / "none" / name)]) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "a.truth.json"]
