"""Numbering the values of columns: both ways give what numbering canonical texts row by row gives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.data import _coding_dictionary, _coding_spill
from ctrsel.data._text_order import text_order
from ctrsel.data.canonical import canonical_text
from ctrsel.data.coding import NONE, Coded, code_columns

MUCH, LITTLE = 2**30, 2_000  # bytes

TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "3", "3.0", "-0.0", "-0", "03", "3.00", "true", "1e3", "2024-01-01", "é", "e\u0301", "\x00", "a\x00"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
CHUNKS = st.one_of(
    st.lists(TEXTS, max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.String)),
    st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.Int64)),
    st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.Float64)),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.Boolean)),
    st.lists(st.one_of(st.none(), st.dates()), max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.Date)),
    st.lists(TEXTS, max_size=30).map(lambda v: pl.Series("x", v, dtype=pl.String).cast(pl.Categorical)),
    st.integers(0, 9).map(lambda n: pl.Series("x", [None] * n, dtype=pl.Null)),
)


def coded(columns: Sequence[Sequence[pl.Series]], *, memory: int, scratch: Path) -> Coded:
    """Code columns that are given as their chunks."""
    again: list[Callable[[], Iterator[pl.Series]]] = [partial(iter, chunks) for chunks in columns]
    return code_columns(again, rows=[sum(map(len, c)) for c in columns], memory=memory, scratch=scratch)


def rows_of(found: Coded) -> list[list[str | None]]:
    """The canonical text of each row of each column."""
    texts = [*found.texts.to_list(), None]
    places = np.append(found.places, NONE)
    return [[texts[min(p, len(texts) - 1)] for p in places[np.minimum(ids, len(places) - 1)]] for ids in found.ids]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=st.lists(st.lists(CHUNKS, max_size=4), min_size=1, max_size=3))
def test_both_ways_number_what_canonical_texts_say(columns: list[list[pl.Series]], tmp_path: Path) -> None:
    truth = [[t for chunk in chunks for t in canonical_text(chunk).to_list()] for chunks in columns]
    distinct = sorted({t for column in truth for t in column if t is not None}, key=str.encode)
    for memory in (MUCH, LITTLE):
        found = coded(columns, memory=memory, scratch=tmp_path)
        assert found.texts.to_list() == distinct
        assert rows_of(found) == truth
        assert found.places.dtype == np.uint32
        assert all(ids.dtype == np.uint32 for ids in found.ids)
        assert set(found.places.tolist()) - {int(NONE)} == set(range(len(distinct)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory", [MUCH, 400_000, 20_000])
@pytest.mark.parametrize("chunk", [700, 30_000])
def test_chunks_and_order_do_not_change_texts(memory: int, chunk: int, tmp_path: Path) -> None:
    rng = generator(1, "coding")
    values = pl.Series("x", [f"https://site/{i % 7}/{i:06}" for i in rng.zipf(1.2, size=20_000).clip(0, 10**6)])
    values = values.set(pl.Series(rng.random(20_000) < 0.1), None)
    shuffled = values.gather(rng.permutation(len(values)))
    expected = values.drop_nulls().unique().sort().to_list()
    for column in (values, shuffled):
        found = coded([[column[i : i + chunk] for i in range(0, len(column), chunk)]], memory=memory, scratch=tmp_path)
        assert found.texts.to_list() == expected
        assert rows_of(found) == [column.to_list()]


@pytest.mark.parametrize("when", ["at first", "later"])
def test_two_texts_with_one_hash_stay_two(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_coding_dictionary, "_MANY", 100)
    monkeypatch.setattr(_coding_dictionary, "_STEP", 200)
    hashed = _coding_dictionary.text_hash
    poor = 300 if when == "later" else 0

    def text_hash(texts: pl.Series) -> np.ndarray:
        good = hashed(texts)
        return np.where(texts.cast(pl.Int64).to_numpy() < poor, good, good & np.uint64(63))

    monkeypatch.setattr(_coding_dictionary, "text_hash", text_hash)
    dictionary = _coding_dictionary.Dictionary()
    values = pl.Series("x", [None if i % 7 == 0 else f"{i % 900}" for i in range(4_000)])
    ids = np.concatenate([dictionary.ids(values[i : i + 50]) for i in range(0, len(values), 50)])
    texts, places = dictionary.close()
    expected = values.drop_nulls().unique().sort()
    assert texts.equals(expected)
    assert texts.gather(places[ids[ids != NONE]]).to_list() == values.drop_nulls().to_list()
    assert np.array_equal(ids == NONE, values.is_null().to_numpy())


@pytest.mark.parametrize("piece", [90, 1_000, 100_000])
def test_many_texts_are_numbered_by_hashes_as_by_categories(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = pl.Series("x", generator(1, "many").integers(0, 8_000, 20_000)).cast(pl.String)
    values = values.set(pl.Series(range(len(values))) % 11 == 0, None)
    found = []
    for many in (10**9, 50):
        monkeypatch.setattr(_coding_dictionary, "_MANY", many)
        monkeypatch.setattr(_coding_dictionary, "_STEP", 100)
        dictionary = _coding_dictionary.Dictionary()
        ids = np.concatenate([dictionary.ids(values[i : i + piece]) for i in range(0, len(values), piece)])
        cost = dictionary.cost
        texts, places = dictionary.close()
        found.append((ids.tolist(), cost, texts.to_list(), places.tolist()))
    assert found[0] == found[1]


def test_a_range_that_is_too_large_is_divided_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_coding_spill, "_RANGES", 2)
    counted = []
    cuts = _coding_spill.Spill._cuts

    def counting(self: _coding_spill.Spill, source: _coding_spill.Rows) -> pl.Series:
        counted.append(1)
        return cuts(self, source)

    monkeypatch.setattr(_coding_spill.Spill, "_cuts", counting)
    values = pl.Series("x", [f"{i:05}" for i in range(3_000)])
    found = coded([[values]], memory=150_000, scratch=tmp_path)
    assert len(counted) > 3
    assert rows_of(found) == [values.to_list()]


def test_a_large_float_is_the_value_that_its_text_is(tmp_path: Path) -> None:
    floats = pl.Series("x", [2.0**53, -(2.0**53), 2.0**60])
    found = coded([[floats, floats.cast(pl.String), pl.Series("x", [2**53])]], memory=MUCH, scratch=tmp_path)
    assert rows_of(found)[0][:3] == rows_of(found)[0][3:6]
    assert rows_of(found)[0][0] == f"{2**53}.0"  # a float of that size may stand for several integers
    assert rows_of(found)[0][6] == str(2**53)


def test_no_dictionary_costs_more_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[float] = []
    close = _coding_dictionary.Dictionary.close

    def closing(self: _coding_dictionary.Dictionary) -> tuple[pl.Series, np.ndarray]:
        costs.append(self.cost)
        return close(self)

    monkeypatch.setattr(_coding_dictionary.Dictionary, "close", closing)
    rng = generator(1, "cost")
    short = pl.Series("x", rng.permutation(30_000)).cast(pl.String)
    long = pl.Series("x", [f"{i}" * 50 for i in range(2_000)])
    memory = 1_000_000
    found = coded([[short], [long, short]], memory=memory, scratch=tmp_path)
    assert len(found.texts) == pl.concat([short, long]).n_unique()
    assert len(costs) > sum(costs) / memory
    assert max(costs) < memory


def test_one_text_larger_than_memory_is_held(tmp_path: Path) -> None:
    values = pl.Series("x", ["a" * 9_000, None, "a" * 9_000])
    assert rows_of(coded([[values]], memory=1_000, scratch=tmp_path)) == [values.to_list()]


@pytest.mark.parametrize("memory", [MUCH, LITTLE])
def test_times_of_any_unit_and_zone_are_one_value(memory: int, tmp_path: Path) -> None:
    when = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    seconds = pl.Series("x", [when, None] * 20, dtype=pl.Datetime("ms", "UTC"))
    zoned = seconds.dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns")
    spans = pl.Series("x", [dt.timedelta(days=i) for i in range(20)])
    clock = pl.Series("x", [dt.time(i) for i in range(20)])
    found = coded([[seconds], [zoned], [spans, clock]], memory=memory, scratch=tmp_path)
    truth = [canonical_text(s).to_list() for s in (seconds, zoned, spans, clock)]
    assert rows_of(found) == [truth[0], truth[0], truth[2] + truth[3]]


def test_each_row_is_read_once_in_memory_and_three_times_at_most_otherwise(tmp_path: Path) -> None:
    for memory, passes in ((MUCH, 1), (LITTLE, 3)):
        read: list[int] = []

        def column(read: list[int] = read) -> Iterator[pl.Series]:
            read.append(1)
            yield pl.Series("x", range(100)).cast(pl.String)

        code_columns([column], rows=[100], memory=memory, scratch=tmp_path)
        assert len(read) == passes


def test_no_rows_and_no_columns(tmp_path: Path) -> None:
    assert [len(i) for i in coded([[], [pl.Series("x", [], dtype=pl.String)]], memory=1, scratch=tmp_path).ids] == [
        0,
        0,
    ]
    assert coded([], memory=1, scratch=tmp_path).ids == ()


@pytest.mark.parametrize("rows", [2, 4])
def test_a_source_that_changed_is_an_error(rows: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"must have {rows} rows"):
        code_columns([lambda: iter([pl.Series("x", ["a", "b", "c"])])], rows=[rows], memory=MUCH, scratch=tmp_path)


def test_a_type_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a text"):
        coded([[pl.Series("x", [{"a": 1}])]], memory=MUCH, scratch=tmp_path)


@pytest.mark.parametrize("alphabet", ["ab", "a\0", "aé漢", "0123456789"])
@pytest.mark.parametrize("prefix", ["", "same_prefix_"])
@pytest.mark.parametrize("length", [1, 9, 20])
def test_text_order_is_byte_order(alphabet: str, prefix: str, length: int) -> None:
    rng = generator(1, "order", alphabet, prefix, length)
    letters: Any = np.array(list(alphabet), dtype=object)
    sizes = rng.integers(0, length + 1, size=5_000)
    texts = [prefix + "".join(letters[rng.integers(0, len(letters), size=n)]) for n in sizes]
    order = text_order(pl.Series(texts))
    assert np.array_equal(np.sort(order), np.arange(len(texts)))
    assert [texts[i] for i in order] == sorted(texts, key=str.encode)
