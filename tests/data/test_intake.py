import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from ctrsel.core.artifact import digest_file
from ctrsel.core.config import DataConfig
from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.data.intake import open_raw, source_digests, source_files
from ctrsel.data.paths import dataset_files
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

FRAME = pl.DataFrame({"y": [0, 1, 1], "a": ["x", "z", None]})


def opened(data: Any, scratch: Path, *, tolerance: float = 0.0, memory: int = 1 << 30, **kwargs: Any) -> RawRows:
    return open_raw(data, rejects=Rejects(tolerance=tolerance), scratch=scratch / "scratch", memory=memory, **kwargs)


def whole(raw: RawRows) -> pl.DataFrame:
    return pl.concat([s.read(raw.columns) for s in raw.shards], how="vertical_relaxed")


def test_frames_of_every_kind_are_the_same_rows(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    FRAME.write_ipc(tmp_path / "t.arrow")
    for data in (
        FRAME,
        FRAME.lazy(),
        FRAME.to_pandas(),
        FRAME.to_arrow(),
        {"train": FRAME},
        tmp_path / "t.parquet",
        str(tmp_path / "t.arrow"),
        DataConfig(train=str(tmp_path / "t.*")),
    ):
        raw = opened(data, tmp_path)
        assert raw.columns == ("y", "a")
        assert whole(raw).head(3).equals(FRAME)
        assert not any(s.untyped for s in raw.shards)


def test_parts_are_in_order_and_have_digests_on_request(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    (tmp_path / "v.csv").write_text("a,y\nq,1\n")
    files = DataConfig(
        test=str(tmp_path / "v.csv"), train=str(tmp_path / "t.parquet"), valid=str(tmp_path / "t.parquet")
    )
    raw = opened(files, tmp_path, digests=True)
    assert raw.parts == {"train": slice(0, 3), "valid": slice(3, 6), "test": slice(6, 7)}
    assert [s.digest for s in raw.shards] == [digest_file(tmp_path / n) for n in ("t.parquet", "t.parquet", "v.csv")]
    assert source_digests(files) == {s.part: [s.digest] for s in raw.shards}
    assert {s.digest for s in opened(files, tmp_path).shards} == {""}
    assert raw.place(6) == f"{tmp_path}/v.csv: row 1"
    assert [c.to_list() for c in raw.chunks("y")] == [[0, 1, 1, 0, 1, 1], ["1"]]  # small frames of one type are joined
    assert any(s.untyped for s in raw.shards)


def test_large_files_are_scanned_and_small_ones_kept(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    [kept] = opened(tmp_path / "t.parquet", tmp_path).shards
    [scanned] = opened(tmp_path / "t.parquet", tmp_path, memory=1000).shards
    assert isinstance(kept.source, pl.DataFrame)
    assert isinstance(scanned.source, pl.LazyFrame)
    assert scanned.read(["a"], start=1, rows=1).equals(kept.read(["a"], start=1, rows=1))
    for memory in (1 << 30, 1000):
        raw = opened(DataConfig(train=str(tmp_path / "t.parquet"), rows=2), tmp_path, memory=memory)
        assert [c.to_list() for c in raw.chunks("y")] == [[0, 1]]


def test_shards_may_differ_in_types_and_order(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "l": [[1]], "n": [None]}).write_parquet(tmp_path / "0.parquet")
    pl.DataFrame({"n": ["x"], "a": ["one"], "l": [["x"]]}).write_parquet(tmp_path / "1.parquet")
    raw = opened(tmp_path / "*.parquet", tmp_path)
    assert raw.columns == ("a", "l", "n")
    assert raw.types("a") == (pl.Int64(), pl.String())
    assert [c.to_list() for c in raw.chunks("a")] == [[1], ["one"]]
    pl.DataFrame({"n": [1.5], "a": [1], "l": ["x"]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: column 'l' must hold lists in all shards or in none, got String"):
        opened(tmp_path / "*.parquet", tmp_path)


def test_text_of_any_part_may_stand_for_a_type(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    FRAME.write_csv(tmp_path / "v.csv")
    for train, test in (("t.parquet", "v.csv"), ("v.csv", "t.parquet")):
        raw = opened({"train": tmp_path / train, "test": tmp_path / test}, tmp_path)
        assert raw.n_rows == 6
    lists = FRAME.with_columns(a=pl.lit([1], dtype=pl.List(pl.Int64)))
    with pytest.raises(DataError, match=r"data\.test: column 'a' must have the training type String, got List"):
        opened({"train": tmp_path / "v.csv", "test": lists}, tmp_path)


def test_empty_shards_are_left_out(tmp_path: Path) -> None:
    FRAME.head(0).write_parquet(tmp_path / "0.parquet")
    FRAME.write_parquet(tmp_path / "1.parquet")
    assert len(opened(tmp_path / "*.parquet", tmp_path).shards) == 1
    with pytest.raises(DataError, match=r"0\.parquet: holds a header but no rows"):
        opened(tmp_path / "0.parquet", tmp_path)
    pl.DataFrame({"b": []}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: all shards must have the same columns, but 'a' stands in"):
        opened(tmp_path / "*.parquet", tmp_path)


def test_rows_rejected_and_stored_are_all_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3\n5,6\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"b,a\n1,2,3\n"))
    (tmp_path / "c.csv").write_text("a,b\n7,8\n")
    rejects = Rejects(tolerance=0.9)
    raw = open_raw(str(tmp_path / "*.csv*"), rejects=rejects, scratch=tmp_path / "s", memory=1 << 30)
    assert raw.n_rows + rejects.rows == 5
    assert rejects.frame()["file"].str.split("/").list.last().to_list() == ["a.csv", "b.csv.gz"]
    assert [v for c in raw.chunks("b") for v in c] == ["2", "6", "8"]
    with pytest.raises(
        DataError, match=r"b\.csv\.gz: every row had to be rejected; must have the header's 2 cells, got 3"
    ):
        opened(tmp_path / "b.csv.gz", tmp_path, tolerance=0.9)
    with pytest.raises(DataError, match=r"a\.csv: line 3 must have the header's 2 cells, got 1"):
        opened(tmp_path / "a.csv", tmp_path)


def test_other_text_formats(tmp_path: Path) -> None:
    (tmp_path / "t.ndjson").write_text('{"a": 1, "b": "x"}\n{"a": 2, "b": null}\n')
    (tmp_path / "t.libsvm").write_text("1 3:1 4:1\n0 5:1 6:1\n")
    assert opened(tmp_path / "t.ndjson", tmp_path).columns == ("a", "b")
    assert opened(tmp_path / "t.libsvm", tmp_path).columns == ("label", "f1", "f2")


def test_a_lazy_frame_is_read_once(tmp_path: Path) -> None:
    calls = []

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        calls.append(frame.height)
        return frame

    raw = opened(FRAME.lazy().map_batches(count), tmp_path)
    read = len(calls)
    assert whole(raw).equals(FRAME)
    assert len(calls) == read
    assert raw.place(0) == "data.train: row 1"
    with pytest.raises(DataError, match="the lazy frame cannot be read: unable to find column"):
        opened(FRAME.lazy().select("nothing"), tmp_path)


CASES: dict[str, tuple[Any, str]] = {
    "no train": ({"test": FRAME}, r"needs 'train' and may have 'valid' and 'test', got \['test'\]"),
    "a strange part": ({"train": FRAME, 1: FRAME}, r"got \['1', 'train'\]"),
    "no data": (7, "expected a path, a polars or pandas frame or an Arrow table, got builtins.int"),
    "no config": (DataConfig(), r"data\.train: name the training file"),
    "two sources": (DataConfig(dataset="census_income", train="x.csv"), "name a dataset or files, not both"),
    "an unknown format": (
        DataConfig(train="x.xls", format="parkett"),
        "unknown format 'parkett'; did you mean 'parquet'",
    ),  # type: ignore[arg-type]
    "an unknown ending": ("/dev/null/x.xls", "no such file"),
    "an empty frame": (FRAME.head(0), r"data\.train: has no rows"),
    "a column less": ({"train": FRAME, "valid": FRAME.drop("a")}, r"data\.valid: .* but 'a' is missing"),
    "another type": (
        {"train": FRAME, "test": FRAME.with_columns(a=1)},
        r"data\.test: column 'a' must have the training type String, got Int",
    ),
    "two columns of a name": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
    "a protocol": ("ftp://host/x.csv", "unknown protocol 'ftp'"),
    "a variable": ("$NO_SUCH_FOLDER/x.csv", "the environment variable NO_SUCH_FOLDER is not set"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    data, message = CASES[case]
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        opened(data, tmp_path)
    assert isinstance(caught.value, CtrselError)
    assert "\n" not in str(caught.value)


def test_duplicated_names_in_files(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table([[1], [2]], names=["a", "a"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "t.csv").write_text("a,a\n1,2\n")
    for name in ("t.parquet", "t.arrow", "t.csv"):
        with pytest.raises(DataError, match=rf"{name}: .*(two columns|twice)"):
            opened(tmp_path / name, tmp_path)


def test_a_shipped_dataset() -> None:
    data = DataConfig(dataset="census_income")
    assert source_files(data) == dict(sorted(dataset_files("census_income").items(), reverse=True))
    found = source_digests(data)
    assert found is not None
    assert list(found) == ["train", "test"]
    assert source_digests(DataConfig(train="select 1", format="sql")) is None
    assert source_digests(DataConfig(train="s3://bucket/x.parquet")) is None
