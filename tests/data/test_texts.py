"""Sorted texts are the same in memory, packed and memory-mapped, and are found as Python's bisection finds them."""

from __future__ import annotations

import bisect
import importlib.util
import io
import itertools
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data import _packed_texts, _text_bytes, texts
from ctrsel.data._packed_texts import PackedTexts, packed_bytes
from ctrsel.data.texts import SortedTexts

ONE = st.text(alphabet=["a", "b", "\0", "é", "ÿ", "語", "😀", "0"], max_size=20) | st.sampled_from(["", "x" * 300])
MANY = st.lists(ONE, max_size=40, unique=True)
ASKED = st.lists(st.none() | ONE, max_size=30)


def series(values) -> pl.Series:
    return pl.Series("value", values, dtype=pl.String)


def ascending(values) -> list[str]:
    return sorted(values, key=str.encode)


def packed(values, rows: int = 7) -> SortedTexts:
    ordered = series(ascending(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_packed_texts, "_ROWS", rows)
        return SortedTexts(PackedTexts(packed_bytes([ordered]), name="x"))


def by_bisection(values, asked) -> list[int]:
    keys = [v.encode() for v in ascending(values)]
    places = [-1 if q is None else bisect.bisect_left(keys, q.encode()) for q in asked]
    known = set(values)
    return [p if q in known else -1 for p, q in zip(places, asked, strict=True)]


@pytest.mark.parametrize("form", [SortedTexts.of, packed])
@pytest.mark.parametrize("loops", [False, True])
@settings(deadline=None)
@given(values=MANY, more=ASKED)
def test_find_is_bisection(form, loops: bool, values, more) -> None:
    held = form(series(values))
    asked = [*values, *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_text_bytes, "FEW", 0 if loops else 10**9)
        assert held.find(series(asked)).tolist() == by_bisection(values, asked)
        present = [q for q in asked if q is not None]
        keys = [v.encode() for v in ascending(values)]
        assert held.before(series(present)).tolist() == [bisect.bisect_left(keys, q.encode()) for q in present]
        assert held.find(series([None, None])).tolist() == [-1, -1]


@settings(deadline=None)
@given(values=MANY, rows=st.integers(1, 9), random=st.randoms())
def test_both_forms_agree(values, rows: int, random) -> None:
    small, large = SortedTexts.of(series(values)), packed(values, rows)
    ordered = ascending(values)
    places = np.array([random.randrange(len(values)) for _ in range(12)] if values else [], dtype=np.int64)
    mask = np.array([random.random() < 0.5 for _ in values], dtype=bool)
    for held in (small, large, pickle.loads(pickle.dumps(large))):
        assert len(held) == len(values)
        assert held.to_list() == ordered
        assert held.take(places).to_list() == [ordered[p] for p in places]
        assert held.keep(mask).to_list() == [v for v, m in zip(ordered, mask, strict=True) if m]
        pieces = list(held.chunks(rows))
        assert [v for piece in pieces for v in piece.to_list()] == ordered
        assert all(0 < len(piece) <= rows for piece in pieces)
        assert held.digest == small.digest
        assert not held.mapped


@settings(deadline=None, max_examples=30)
@given(values=MANY, cuts=st.lists(st.integers(0, 40), max_size=3))
def test_files_are_read_by_anybody_in_either_form(values, cuts, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("x")
    ordered = ascending(values)
    ends = [0, *sorted(min(c, len(ordered)) for c in cuts), len(ordered)]
    parts = [series(ordered[a:b]) for a, b in itertools.pairwise(ends)]
    written = SortedTexts.write(parts, folder / "written.arrow")
    written.save(folder / "saved.arrow")
    packed(values).save(folder / "packed.arrow")
    for file in folder.glob("*.arrow"):
        assert pl.read_ipc(io.BytesIO(file.read_bytes()))["value"].to_list() == ordered
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
        assert table.schema.field("value").type == pa.large_string()
        assert table["value"].to_pylist() == ordered
        for limit in (texts.SMALL, 0):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(texts, "SMALL", limit)
                back = SortedTexts.load(file)
            assert back.mapped == (limit == 0)
            assert back.to_list() == ordered
            assert back.digest == written.digest
            asked = [*values[::2], "strange"]
            assert back.find(series(asked)).tolist() == by_bisection(values, asked)


def test_digests_tell_texts_apart() -> None:
    digests = {
        SortedTexts.of(series(v)).digest for v in ([], [""], ["a"], ["ab"], ["a", "b"], ["a", "bc"], ["ab", "c"])
    }
    assert len(digests) == 7


def test_many_texts_are_packed_and_may_lie_in_a_scratch_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(texts, "SMALL", 100)
    values = [f"v{i:03d}" for i in range(100)]
    parts = [series(values[:50]), series([]), series(values[50:])]
    here, there = SortedTexts.join(parts), SortedTexts.join(iter(parts), scratch=tmp_path)
    assert (here.mapped, there.mapped) == (False, True)
    assert not list(tmp_path.iterdir())  # it vanishes with its last user
    assert here.digest == there.digest == SortedTexts.of(series(values[::-1])).digest
    mask = np.arange(100) % 2 == 0
    kept = there.keep(mask, scratch=tmp_path)
    assert kept.to_list() == values[::2]
    assert kept.mapped
    assert kept.keep(np.ones(50, dtype=bool)) is kept
    assert there.keep(mask & (np.arange(100) < 9)).enum is not None
    assert there.nbytes > 1000
    assert "100 texts, mapped" in repr(there)


def test_numpy_takes_over_where_numba_is_not_installed(monkeypatch) -> None:
    held = packed([f"v{i}" for i in range(50)])
    monkeypatch.setattr(_text_bytes, "FEW", 0)
    compiled = held.find(series(["v7", "w"])).tolist()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert _text_bytes.loops(10**9) is None
    assert held.find(series(["v7", "w"])).tolist() == compiled


def test_refusals(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(DataError, match="must not be null"):
        SortedTexts.of(series(["a", None]))
    with pytest.raises(DataError, match="'b' comes twice"):
        SortedTexts.of(series(["b", "a", "b"]))
    monkeypatch.setattr(_packed_texts, "_ROWS", 1)
    with pytest.raises(DataError, match="'a' comes after 'b'"):
        SortedTexts.write([series(["b"]), series(["a"])], tmp_path / "x.arrow")
    held = SortedTexts.of(series(["a", "b"]))
    with pytest.raises(DataError, match=r"in 0\.\.1"):
        held.take(np.array([2]))
    with pytest.raises(DataError, match="must have 2 places, got 3"):
        held.keep(np.ones(3, dtype=bool))


@pytest.mark.parametrize("limit", [0, texts.SMALL])
def test_damaged_files_are_refused(tmp_path: Path, monkeypatch, limit: int) -> None:
    monkeypatch.setattr(texts, "SMALL", limit)
    file = tmp_path / "x.arrow"
    with pytest.raises(DataError, match=r"x\.arrow: expected a whole Arrow file"):
        SortedTexts.load(file)
    SortedTexts.of(series(["a", "b"])).save(file)
    whole = file.read_bytes()
    for damaged in (b"PAR1", whole[:-20], whole[20:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.arrow: expected a whole Arrow file"):
            SortedTexts.load(file)
    for strange in (pl.DataFrame({"value": [1]}), pl.DataFrame({"text": ["a"]})):
        strange.write_ipc(file)
        with pytest.raises(DataError, match="expected one column 'value'"):
            SortedTexts.load(file)


def test_damaged_offsets_are_refused_by_the_digest() -> None:
    data = bytearray(packed_bytes([series(["aa", "bb", "cc"])]).to_pybytes())
    ends = np.array([0, 2, 4, 6], dtype=np.int64).tobytes()
    at = data.index(ends)
    for wrong in ([0, 4, 2, 6], [0, 2, 4, 2**40], [-8, 2, 4, 6]):
        data[at : at + 32] = np.array(wrong, dtype=np.int64).tobytes()
        held = SortedTexts(PackedTexts(pa.py_buffer(bytes(data)), name="x"))
        with pytest.raises(DataError, match="offsets of the texts are damaged"):
            _ = held.digest
