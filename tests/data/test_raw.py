import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.raw import RawRows, Shard


def rows_of(frames: list[list], *, lazy: tuple[int, ...] = ()) -> RawRows:
    shards = []
    for i, values in enumerate(frames):
        frame = pl.DataFrame({"x": pl.Series(values)})
        source = frame.lazy() if i in lazy else frame
        part = "train" if i < 2 else "test"
        shards.append(Shard(part=part, name=f"file{i}", source=source, rows=len(values)))
    return RawRows(shards=tuple(shards), columns=("x",))


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=3, max_size=9),
    st.integers(1, 40),
    st.sets(st.integers(0, 8)),
)
def test_chunks_are_the_rows_in_order_and_no_larger_than_wanted(frames, size, lazy) -> None:
    raw = rows_of(frames, lazy=tuple(lazy))
    chunks = [c.to_list() for c in raw.chunks("x", rows=size)]
    assert [v for c in chunks for v in c] == [v for f in frames for v in f]
    assert max(map(len, chunks)) <= size
    train = [v for c in raw.chunks("x", rows=size, part="train") for v in c.to_list()]
    assert train == [v for f in frames[:2] for v in f]


def test_small_frames_of_one_type_are_joined() -> None:
    raw = rows_of([[1], [2], ["a"], ["b"], [3]])
    assert [c.to_list() for c in raw.chunks("x", rows=32)] == [[1, 2], ["a", "b"], [3]]
    assert raw.types("x") == (pl.Int64, pl.String)
    assert raw.parts == {"train": slice(0, 2), "test": slice(2, 5)}


def test_a_row_is_named_by_its_file() -> None:
    raw = rows_of([[1, 2], [3], [4]])
    assert [raw.place(i) for i in range(4)] == ["file0: row 1", "file0: row 2", "file1: row 1", "file2: row 1"]
    with pytest.raises(IndexError):
        raw.place(4)


def test_a_file_that_is_gone_is_said(tmp_path) -> None:
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "x.parquet")
    shard = Shard.of_parquet(tmp_path / "x.parquet", part="train", name="the file")
    (tmp_path / "x.parquet").unlink()
    with pytest.raises(DataError, match="the file: cannot be read"):
        shard.read(["x"])
