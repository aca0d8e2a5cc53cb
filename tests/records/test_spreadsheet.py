"""Tables for spreadsheets: no text is a formula, numbers stay, and what was put before texts is taken away again."""

from __future__ import annotations

import csv
import math
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.records.spreadsheet import as_meant, as_text, read_sheet, write_sheet

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
HOSTILE = [
    "=cmd()|' /C calc'!A0",
    "@SUM(A1)",
    "+1+1",
    "-2+3|x",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1+1",
    "-",
    "+",
    "-inf",
    "-1,5",
]
PLAIN = ["", "a", "a=b", "-1", "+3.5e2", "-.5", "7.", "1e-3", "'a'", "a\t=1", "'", "http://a/?b=-c"]

cells = st.none() | st.text(st.sampled_from("=+-@\t\r\n ' ,;|\"a1.eE\uff1d"), max_size=6) | st.text(max_size=6)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_formula_is_shown_as_text(text):
    assert as_text(pl.DataFrame({"a": [text]}))["a"].to_list() == ["'" + text]


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_and_words_stay(text):
    assert as_text(pl.DataFrame({"a": [text]}))["a"].to_list() == [text]


@given(st.lists(cells, max_size=8), st.booleans())
def test_every_text_that_begins_like_a_formula_is_marked_and_comes_back(texts, as_category):
    frame = pl.DataFrame({"a": pl.Series(texts, dtype=pl.String)})
    shown = as_text(frame.cast(pl.Categorical) if as_category else frame)["a"].to_list()
    for before, after in zip(texts, shown, strict=True):
        if before is None:
            assert after is None
        elif before.startswith(tuple("=+-@\t\r")):
            assert after == before if NUMBER.fullmatch(before) else after == "'" + before
        else:
            assert after in (before, "'" + before)
    assert len(set(shown)) == len(set(texts))
    assert as_meant(pl.DataFrame({"a": pl.Series(shown, dtype=pl.String)})).equals(frame)


@given(st.floats() | st.integers(-(10**9), 10**9))
def test_numbers_as_texts_are_no_formulas(number):
    told = str(number)
    [shown] = as_text(pl.DataFrame({"a": [told]}))["a"]
    assert shown == ("'-inf" if number == -math.inf else told)


@given(st.lists(st.none() | st.floats(), max_size=5), st.lists(st.none() | st.integers(-5, 5), max_size=5))
def test_columns_of_numbers_stay(floats, ints):
    for frame in (
        pl.DataFrame({"a": pl.Series(floats, dtype=pl.Float64)}),
        pl.DataFrame(
            {
                "a": pl.Series(ints, dtype=pl.Int64),
                "b": pl.Series([None if i is None else i > 0 for i in ints], dtype=pl.Boolean),
            }
        ),
    ):
        assert as_text(frame).equals(frame, null_equal=True)
        assert as_text(frame).schema == frame.schema


def test_names_of_columns_are_cells_too():
    frame = pl.DataFrame({"=a": [1], "'=a": [2], "-1": [3], "b": ["=x"]})
    assert as_text(frame).columns == ["'=a", "''=a", "-1", "b"]
    assert as_meant(as_text(frame)).equals(frame)
    assert as_text(pl.DataFrame()).equals(pl.DataFrame())


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_file_holds_no_formula_wherever_it_is_split(tmp_path, separator):
    texts = [*HOSTILE, *PLAIN, "a;=cmd()", "a\t=cmd()", 'a";=cmd()', "a\n=cmd()", None]
    frame = pl.DataFrame({"=field": texts, "score": [-0.5] * len(texts)})
    path = tmp_path / "a.csv"
    write_sheet(frame, path, separator=separator)
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter=separator))
    assert rows[0] == ["'=field", "score"]
    assert all(NUMBER.fullmatch(c) or not c.startswith(tuple("=+-@\t\r\n")) for row in rows for c in row)
    for other in ",;\t":
        with path.open(newline="") as file:
            first = [c for row in csv.reader(file, delimiter=other) for c in row]
        assert not [c for c in first if c.lstrip().startswith(("=", "@"))]
    assert read_sheet(path, separator=separator).equals(frame)
