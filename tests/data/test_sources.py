import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.sources import alike, dataset_files, guess_format, read_frame, read_source, source_paths

FRAME = pl.DataFrame({"y": [0, 1], "a": ["x", "z"]})


@pytest.mark.parametrize(
    ("name", "write"),
    [("t.parquet", "write_parquet"), ("t.pq", "write_parquet"), ("t.arrow", "write_ipc"), ("t.feather", "write_ipc")],
)
def test_typed_files(tmp_path: Path, name: str, write: str) -> None:
    getattr(FRAME, write)(tmp_path / name)
    assert read_source(str(tmp_path / name)).equals(FRAME)
    assert read_source(str(tmp_path / name), rows=1).equals(FRAME.head(1))


def test_text_files_are_texts(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "t.csv")
    FRAME.write_csv(tmp_path / "t.tsv", separator="\t")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    (tmp_path / "odd.txt").write_bytes((tmp_path / "t.csv").read_bytes())
    expected = FRAME.with_columns(pl.col("y").cast(pl.String))
    for name in ("t.csv", "t.tsv", "t.csv.gz"):
        assert read_source(str(tmp_path / name)).equals(expected)
    assert read_source(str(tmp_path / "odd.txt"), format="csv").equals(expected)


def test_shards_in_the_order_of_their_names(tmp_path: Path) -> None:
    for i in (2, 0, 1):
        FRAME.with_columns(pl.lit(i).alias("part"))[:, ::-1].write_parquet(tmp_path / f"d-{i}.parquet")
    found = read_source(f"{tmp_path}/d-*.parquet")
    assert found["part"].to_list() == [0, 0, 1, 1, 2, 2]
    assert read_source(f"{tmp_path}/d-*.parquet", rows=3)["part"].to_list() == [0, 0, 1]
    FRAME.with_columns(pl.lit(3.5).alias("part")).write_parquet(tmp_path / "d-3.parquet")  # other order, float
    assert read_source(f"{tmp_path}/d-*.parquet")["part"].to_list()[-1] == 3.5


def test_a_name_with_brackets_is_a_name_first(tmp_path: Path, monkeypatch) -> None:
    FRAME.write_csv(tmp_path / "x[1].csv")
    assert read_source(str(tmp_path / "x[1].csv")).height == 2
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert source_paths("$FOLDER/x*.csv") == [tmp_path / "x[1].csv"]
    assert source_paths("x*.csv") == [Path("x[1].csv")]


def test_sources_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "head.csv").write_text("a,b\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + b"x" * 30)
    (tmp_path / "bad.arrow").write_bytes(b"x" * 30)
    (tmp_path / "t.xls").write_text("a\n1\n")
    FRAME.write_parquet(tmp_path / "s-1.parquet")
    for name, message in {
        "none.csv": "none.csv: no such file",
        "none-*.csv": "none-*.csv: no file matches this pattern",
        "": "is a folder; name its files by a pattern such as",
        "empty.csv": "empty.csv: the file is empty",
        "head.csv": "head.csv: holds a header but no rows",
        "bad.parquet": "bad.parquet: cannot be read as parquet: ",
        "bad.arrow": "bad.arrow: cannot be read as Arrow IPC: ",
    }.items():
        with pytest.raises(DataError) as caught:
            read_source(str(tmp_path / name))
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"the ending '\.xls' says no format; set data\.format to one of: csv, ipc, "):
        read_source(str(tmp_path / "t.xls"))
    with pytest.raises(ConfigError, match="unknown format 'parkett'; did you mean 'parquet'"):
        read_source(str(tmp_path / "head.csv"), format="parkett")
    for other, message in (
        (FRAME.rename({"a": "b"}), "'a' stands in"),
        (FRAME.with_columns(a=pl.lit(1)), "column 'a' must have the same type"),
    ):
        other.write_parquet(tmp_path / "s-2.parquet")
        with pytest.raises(DataError, match=message) as caught:
            read_source(f"{tmp_path}/s-*.parquet")
        assert "s-2.parquet: " in str(caught.value)


def test_datasets() -> None:
    assert set(dataset_files("census_income")) == {"train", "test"}
    with pytest.raises(ConfigError, match=r"data\.dataset: unknown dataset 'census'; did you mean 'census_income'\?"):
        dataset_files("census")
    for name in ("", ".", "..", "census_income/train.parquet"):
        with pytest.raises(ConfigError, match="unknown dataset"):
            dataset_files(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.CSV", "csv"), ("a.b.tsv.gz", "tsv"), ("d/*.pq", "parquet"), ("x.libfm", "libfm"), ("x.svm.zst", "libsvm")],
)
def test_guess_format(name: str, expected: str) -> None:
    assert guess_format(name) == expected


def test_alike() -> None:
    assert alike(pl.Int8(), pl.Float64())
    assert alike(pl.Null(), pl.String())
    assert alike(pl.List(pl.Int64), pl.List(pl.Int32))
    assert not alike(pl.List(pl.Int64), pl.List(pl.String))
    assert not alike(pl.List(pl.Int64), pl.Int64())
    assert not alike(pl.Boolean(), pl.Int64())


@pytest.mark.parametrize(
    ("column", "dtype", "expected"),
    [
        (pd.Series([1, None]), pl.Float64, [1.0, None]),
        (pd.Series([1, None], dtype="Int64"), pl.Int64, [1, None]),
        (pd.Series([True, None], dtype="boolean"), pl.Boolean, [True, None]),
        (pd.Series([True, None], dtype=object), pl.Boolean, [True, None]),
        (pd.Series(["x", None]), pl.String, ["x", None]),
        (pd.Series(["x", None], dtype=object), pl.String, ["x", None]),
        (pd.Series(["x", None], dtype="string[pyarrow]"), pl.String, ["x", None]),
        (pd.Series(["x", None], dtype="category"), pl.String, ["x", None]),
        (pd.Series([2, 1, 2], dtype="category"), pl.Int64, [2, 1, 2]),
        (pd.Series([2, None], dtype="category"), pl.Int64, [2, None]),
        (pd.Series([1, "x", 2.0, 2.5, None], dtype=object), pl.String, ["1", "x", "2", "2.5", None]),
        (pd.Series([np.int64(1), np.int64(2)], dtype=object), pl.Int64, [1, 2]),
        (pd.Series([np.str_("a"), pd.NA], dtype=object), pl.String, ["a", None]),
        (pd.Series([[1, 2], None, np.array([3]), (4,)]), pl.List(pl.Int64), [[1, 2], None, [3], [4]]),
        (pd.Series([Decimal("1.5"), None]), pl.Decimal(38, 1), [Decimal("1.5"), None]),
        (pd.Series([None, float("nan"), pd.NaT], dtype=object), pl.Null, [None, None, None]),
        (pd.Series(pd.arrays.SparseArray([1, 0])), pl.Int64, [1, 0]),
    ],
)
def test_pandas_columns(column: pd.Series, dtype, expected) -> None:
    frame = pd.DataFrame({"a": column})
    frame.index = range(10, 10 + len(frame))  # is not data
    found = read_frame(frame)
    assert found["a"].to_list() == expected
    assert found["a"].dtype == dtype
    assert found.columns == ["a"]


def test_a_value_among_others_has_the_text_it_has_alone() -> None:
    """Rows are scored in frames whose columns are not as mixed as those of training."""
    day = pd.Timestamp("2024-01-01T12:30")
    values = [True, 1, 2.0, 1e20, Decimal("1.50"), day, day.tz_localize("Europe/Berlin"), "x", dt.date(2024, 1, 1)]
    mixed = read_frame(pd.DataFrame({"a": pd.Series(values, dtype=object)}))["a"].to_list()
    alone = [canonical_text(read_frame(pd.DataFrame({"a": [v]}))["a"])[0] for v in values]
    assert mixed == alone
    lists = read_frame(pd.DataFrame({"a": [[1, "x", None], [2.0, True], None]}))["a"]
    assert lists.to_list() == [["1", "x", None], ["2", "true"], None]
    large = read_frame(pd.DataFrame({"a": pd.Series([2**200, -5], dtype=object)}))["a"]
    assert large.to_list() == [str(2**200), "-5"]


def test_pandas_columns_without_a_form_are_named() -> None:
    for values in ([1j, 2], pd.Series(["secret\ud800"], dtype=object)):
        with pytest.raises(DataError, match=r"column 'a': must hold texts, .* holds something else") as told:
            read_frame(pd.DataFrame({"a": values}))
        assert "secret" not in str(told.value)


def test_pandas_times_and_names() -> None:
    zoned = read_frame(pd.DataFrame({"a": pd.to_datetime(["2024-07-01", None]).tz_localize("Europe/Berlin")}))["a"]
    assert zoned.to_list() == [dt.datetime(2024, 6, 30, 22, tzinfo=dt.UTC), None]
    found = read_frame(pd.DataFrame({3: pd.to_datetime(["2024-01-01", None])}))
    assert found["3"].to_list() == [dt.datetime(2024, 1, 1), None]
    with pytest.raises(DataError, match="two columns named 'a'"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_other_frames() -> None:
    assert read_frame(FRAME) is FRAME
    assert read_frame(FRAME.lazy()).equals(FRAME)
    assert read_frame(FRAME.to_arrow()).equals(FRAME)
    assert read_frame(pa.table({"a": pa.array(["x"]).dictionary_encode()}))["a"].to_list() == ["x"]
    with pytest.raises(DataError, match="two columns named 'a'"):
        read_frame(pa.table([[1], [2]], names=["a", "a"]))
    with pytest.raises(DataError, match="lazy frame cannot be read"):
        read_frame(pl.scan_parquet("/no/such/file.parquet"))
    for wrong in (3, None, [FRAME], {"a": [1]}, pa.array([1]), np.zeros((2, 2))):
        with pytest.raises(DataError, match="expected a path, a polars or pandas frame or an Arrow table, got"):
            read_frame(wrong)


def test_one_reader_for_all_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("deltalake", reason="the extra 'delta' is not installed")
    FRAME.write_delta(tmp_path / "table")
    assert read_source(str(tmp_path / "table")).equals(FRAME)
    (tmp_path / "u.data").write_text("1\t2\t3\t881250949\n1\t3\t4\t881250950\n")
    assert read_source(str(tmp_path / "u.data"), format="movielens", rows=1)["label"].to_list() == [0]
    (tmp_path / "latin.csv").write_bytes("y,a\n1,é\n".encode("latin-1"))
    assert read_source(str(tmp_path / "latin.csv"), encoding="latin-1")["a"].to_list() == ["é"]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    read_source(str(tmp_path / "latin.csv"), encoding="latin-1")
    assert set(tmp_path.iterdir()) == before  # nothing is left behind
