import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.data.writer import Writer, expand


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=20), st.data())
def test_lists_go_to_their_place(lists, data) -> None:
    rows = np.array(data.draw(st.permutations(range(len(lists)))), dtype=np.int64)
    offsets = np.cumsum([0, *map(len, lists)])
    values = np.array([x for one in lists for x in one], dtype=np.uint32)
    lut = np.array([10, 11, 12, 13, 14, 15, 0], dtype=np.uint8)
    found = Writer(folder=None).ragged("x", offsets, values, rows, lut=lut)
    assert [found.codes[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)] == [
        [x + 10 for x in lists[r]] for r in rows
    ]


def test_what_lies_past_the_lookup_is_its_last_entry() -> None:
    ids = np.array([0, 2**32 - 1, 1], dtype=np.uint32)
    lut = np.array([7, 8, 0], dtype=np.uint8)
    assert Writer(folder=None).plain("x", ids, np.array([2, 1, 0]), lut=lut).tolist() == [8, 0, 7]


@pytest.mark.parametrize("rows", [0, 3])
def test_files_hold_what_memory_holds(tmp_path: Path, rows: int) -> None:
    order = np.arange(rows)[::-1].copy()
    written = Writer(folder=tmp_path).plain("x", np.arange(5.0), order)
    assert isinstance(written, np.memmap) == bool(rows)
    assert np.load(tmp_path / "x.npy").tolist() == Writer(folder=None).plain("x", np.arange(5.0), order).tolist()
    Writer(folder=tmp_path).keep("y", order)
    assert np.load(tmp_path / "y.npy").tolist() == order.tolist()


def test_space_is_taken_before_it_is_filled(tmp_path: Path, monkeypatch) -> None:
    """Else a page that is written to a full disk ends the process by a signal, without a word."""
    Writer(folder=tmp_path).array("x", 100_000, np.int64)
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= 800_000

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        Writer(folder=tmp_path).array("y", 10, np.int64)


def test_positions_of_lists() -> None:
    assert expand(np.array([4, 0, 9]), np.array([2, 0, 1])).tolist() == [4, 5, 9]
    assert expand(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
