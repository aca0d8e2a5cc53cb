"""Codes of columns in memory: every kind of column from every library, and what is missing."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.column_codes import column_codes

TEXTS = ["b", "a", None, "b"]
KINDS = {
    "objects": np.array(TEXTS, dtype=object),
    "polars texts": pl.Series(TEXTS),
    "polars categories": pl.Series(TEXTS, dtype=pl.Categorical),
    "polars enum": pl.Series(TEXTS, dtype=pl.Enum(["x", "a", "b"])),
    "polars bytes": pl.Series([b"b", b"a", None, b"b"]),
    "pandas texts": pd.Series(TEXTS),
    "pandas objects": pd.Series(TEXTS, dtype=object),
    "pandas categories": pd.Series(TEXTS, dtype="category"),
    "mixed": np.array([1, "1", None, 1], dtype=object),
    "numbers as objects": np.array([2.5, 1, None, 2.5], dtype=object),
    "floats": np.array([2.5, 1, np.nan, 2.5]),
    "float32": np.array([2.5, 1, np.nan, 2.5], dtype=np.float32),
    "polars ints": pl.Series([7, 3, None, 7]),
    "pandas nullable ints": pd.Series([7, 3, None, 7], dtype="Int64"),
    "polars booleans": pl.Series([True, False, None, True]),
    "pandas booleans": pd.Series([True, False, None, True], dtype="boolean"),
    "polars days": pl.Series([date(2026, 1, 2), date(2026, 1, 1), None, date(2026, 1, 2)]),
    "pandas times": pd.Series(pd.to_datetime(["2026-01-02", "2026-01-01", None, "2026-01-02"])),
    "pandas times of a zone": pd.Series(pd.to_datetime(["2026-01-02", "2026-01-01", None, "2026-01-02"], utc=True)),
    "numpy times": np.array(["2026-01-02", "2026-01-01", "NaT", "2026-01-02"], dtype="datetime64[s]"),
    "polars decimals": pl.Series(["2.5", "1.0", None, "2.5"]).cast(pl.Decimal(10, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_equal_cells_have_equal_codes_and_missing_ones_none(kind):
    codes = column_codes(KINDS[kind])
    assert codes.dtype == np.uint32
    assert codes[0] == codes[3] != codes[1]
    assert codes[2] == 0
    assert set(codes.tolist()) == {0, 3, 4}


def test_texts_of_numpy():
    assert column_codes(np.array(["b", "a", "b"])).tolist() == [3, 4, 3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "", "ä", None]), min_size=1, max_size=30))
def test_libraries_agree(cells):
    def pattern(codes):
        return [codes.tolist().index(c) if c else None for c in codes]

    found = [column_codes(c) for c in (pl.Series(cells, dtype=pl.String), pd.Series(cells, dtype=object))]
    assert pattern(found[0]) == pattern(found[1]) == pattern(column_codes(np.array(cells, dtype=object)))


def test_few_numbers_are_values_and_many_are_bucketed():
    assert len(set(column_codes(np.arange(40) % 20).tolist())) == 20
    assert len(set(column_codes(np.arange(1_000) % 21, bins=4).tolist())) == 4
    assert len(set(column_codes(np.arange(1_000) % 21, bins=4, categorical=True).tolist())) == 21
    assert len(set(column_codes(np.arange(1_000) % 3, bins=2, categorical=False).tolist())) == 2
    late = np.concatenate([np.zeros(5_000), np.arange(100.0)])  # many numbers, but not in the first rows
    assert len(set(column_codes(late, bins=5).tolist())) <= 5
    missing = np.where(np.arange(100) % 2, np.nan, np.arange(100) % 40)
    assert column_codes(missing)[1] == 0
    assert (column_codes(np.array([1.0, np.inf, -np.inf] * 10)) > 0).all()


def test_large_ids_do_not_fall_together():
    ids = [2**53, 2**53 + 1, None]
    assert len(set(column_codes(pl.Series(ids), categorical=True).tolist())) == 3
    assert len(set(column_codes(np.array(ids[:2]), categorical=True).tolist())) == 2


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pd.Series([[1], [2]]),
        np.array([{"a": 1}, 2], dtype=object),
    ],
    ids=["list", "struct", "pandas list", "dictionary"],
)
def test_cells_that_cannot_be_compared_are_refused(column):
    with pytest.raises(DataError, match="column 'x': a cell must be a text, a number"):
        column_codes(column, place="column 'x'")


def test_times_are_bucketed_when_there_are_many():
    times = pl.Series([datetime(2026, 1, 1, h, m) for h in range(24) for m in range(60)])
    codes = column_codes(times, bins=4)
    assert np.bincount(codes)[3:].tolist() == [360] * 4
    assert column_codes(times.to_pandas(), bins=4).tolist() == codes.tolist()
