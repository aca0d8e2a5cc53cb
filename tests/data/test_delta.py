import sys
from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.config import DataConfig
from ctrsel.core.errors import DataError, MissingExtraError
from ctrsel.data.intake import open_raw, source_digests
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

pytest.importorskip("deltalake", reason="the extra 'delta' is not installed")

FRAME = pl.DataFrame({"y": [0, 1, 1], "a": ["x", "z", None]})


def opened(path: Path, scratch: Path, **settings: int) -> RawRows:
    data = DataConfig(train=str(path), format="delta", **settings)  # type: ignore[arg-type]
    return open_raw(data, rejects=Rejects(), scratch=scratch / "scratch", memory=1 << 30, digests=True)


def rows(raw: RawRows) -> list[tuple[object, ...]]:
    return [r for s in raw.shards for r in s.read(raw.columns).rows()]


def test_the_newest_version_is_read_and_named(tmp_path: Path) -> None:
    table = tmp_path / "clicks"
    FRAME.write_delta(table)
    first = opened(table, tmp_path)
    assert first.shards[0].name == f"{table} (version 0)"
    assert rows(first) == FRAME.rows()
    FRAME.with_columns(a=pl.lit("new")).write_delta(table, mode="append")
    second = opened(table, tmp_path)
    assert second.shards[0].name == f"{table} (version 1)"
    assert second.place(1) == f"{table} (version 1): row 2"
    assert sorted(rows(second), key=str) == sorted([*FRAME.rows(), (0, "new"), (1, "new"), (1, "new")], key=str)
    assert rows(opened(table, tmp_path)) == rows(second)  # in the same order again
    assert rows(first) == FRAME.rows()  # what was opened stays what it was
    assert first.shards[0].digest != second.shards[0].digest
    assert source_digests(DataConfig(train=str(table))) == {"train": [second.shards[0].digest]}


def test_a_folder_with_a_log_is_known_for_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.write_delta(tmp_path / "clicks")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    for path in (str(tmp_path / "clicks"), "$FOLDER/clicks"):
        raw = open_raw({"train": path}, rejects=Rejects(), scratch=tmp_path / "s", memory=1 << 30)
        assert rows(raw) == FRAME.rows()


def test_deleted_rows_partitions_and_many_files(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    table = tmp_path / "clicks"
    FRAME.write_delta(table, delta_write_options={"partition_by": ["y"]})
    DeltaTable(table).delete("a = 'x'")
    raw = opened(table, tmp_path)
    assert sorted(rows(raw), key=str) == sorted([(1, None), (1, "z")], key=str)
    assert opened(table, tmp_path, rows=1).n_rows == 1
    for _ in range(33):
        FRAME.write_delta(tmp_path / "many", mode="append")
    raw = opened(tmp_path / "many", tmp_path)
    assert raw.n_rows == 99
    assert list((tmp_path / "scratch").rglob("rows.parquet"))  # copied once
    assert raw.shards[0].digest == source_digests(DataConfig(train=str(tmp_path / "many")))["train"][0]  # type: ignore[index]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder with a _delta_log"):
        opened(tmp_path, tmp_path)
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(DataError, match="cannot be read as a Delta table: ") as caught:
        opened(tmp_path, tmp_path)
    assert "\n" not in str(caught.value)
    FRAME.head(0).write_delta(tmp_path / "empty")
    with pytest.raises(DataError, match=r"empty \(version 0\): holds no rows"):
        opened(tmp_path / "empty", tmp_path)
    FRAME.write_delta(tmp_path / "lost")
    next((tmp_path / "lost").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="lost"):
        rows(opened(tmp_path / "lost", tmp_path))


def test_without_the_library_its_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ctrsel\[delta\]'"):
        opened(tmp_path, tmp_path)
