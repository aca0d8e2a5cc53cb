import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import canonical_text, list_items, numeric_values

MOMENT = dt.datetime(2024, 2, 29, 13, 5, 7)


def text(values, dtype=None) -> list[str | None]:
    return canonical_text(pl.Series("a", values, dtype=dtype)).to_list()


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 0, -7, None], pl.Int8, ["1", "0", "-7", None]),
        ([1.0, -0.0, 2.5, None, float("nan")], pl.Float64, ["1", "0", "2.5", None, None]),
        ([1.0, 0.1], pl.Float32, ["1", "0.1"]),
        (["1", "1.0", "-3.0", "", None, "v1.0", "1.50", "01"], pl.String, ["1", "1", "-3", None, None, "v1.0", "1.50", "01"]),
        ([True, False, None], pl.Boolean, ["true", "false", None]),
        (["x", "", None], pl.Categorical, ["x", None, None]),
        (["x", None], pl.Enum(["x"]), ["x", None]),
        ([None, None], pl.Null, [None, None]),
        ([2**53 + 1, 2**63 - 1], pl.Int64, ["9007199254740993", "9223372036854775807"]),
        ([2**64 - 1], pl.UInt64, ["18446744073709551615"]),
        (["9007199254740993", "1.50", "100", "0.00", None], pl.Decimal(38, 2), ["9007199254740993", "1.5", "100", "0", None]),
        (["9007199254740993", "100"], pl.Decimal(38, 0), ["9007199254740993", "100"]),
        ([dt.date(2024, 2, 29)], pl.Date, ["2024-02-29"]),
        ([dt.timedelta(seconds=1)], pl.Duration, ["1000000"]),
        ([], pl.Float64, []),
        ([], pl.String, []),
        ([], pl.Datetime, []),
    ],
)  # fmt: skip
def test_one_text_per_value(values, dtype, expected) -> None:
    series = pl.Series("a", values, dtype=None if isinstance(dtype, pl.Decimal) else dtype)
    if isinstance(dtype, pl.Decimal):
        series = series.cast(dtype)
    found = canonical_text(series)
    assert found.to_list() == expected
    assert found.dtype == pl.String
    assert found.name == "a"


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_do_not_depend_on_unit_or_zone(unit) -> None:
    moments = pl.Series("a", [MOMENT, MOMENT.replace(microsecond=120_000), None], dtype=pl.Datetime(unit))
    expected = ["2024-02-29T13:05:07", "2024-02-29T13:05:07.12", None]
    assert canonical_text(moments).to_list() == expected
    paris = moments.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Paris")
    assert canonical_text(paris).to_list() == expected
    assert canonical_text(pl.Series([dt.datetime(2024, 1, 1)])).to_list() == ["2024-01-01T00:00:00"]


@given(st.lists(st.none() | st.integers(-(2**53) + 1, 2**53 - 1), min_size=1))
def test_a_null_that_turns_integers_to_floats_changes_no_text(values) -> None:
    whole = text(values, pl.Int64)
    assert text([None if v is None else float(v) for v in values], pl.Float64) == whole
    assert text([None if v is None else str(v) for v in values], pl.String) == whole
    assert text([None if v is None else f"{v}.0" for v in values], pl.String) == whole


@given(st.lists(st.text(), max_size=8))
def test_texts_are_canonical_once(values) -> None:
    once = text(values, pl.String)
    assert text(once, pl.String) == [None if t == "" else t for t in once] or any(
        (t or "").endswith(".0") for t in once
    )


@pytest.mark.parametrize("values", [[b"x"], [{"x": 1}], [[1]]])
def test_what_has_no_text(values) -> None:
    with pytest.raises(DataError, match="column 'a': a categorical value must be a text, a number or a time, got"):
        text(values)


def test_numeric_values() -> None:
    assert numeric_values(pl.Series([1, None])).to_list() == [1.0, None]
    assert numeric_values(pl.Series([" 1 ", "", "2e3", "-inf", "NaN"])).to_list() == [
        1.0,
        None,
        2000.0,
        float("-inf"),
        None,
    ]
    assert numeric_values(pl.Series([True, None])).to_list() == [1.0, None]
    assert numeric_values(pl.Series([None], dtype=pl.Null)).to_list() == [None]
    assert numeric_values(pl.Series([dt.date(1970, 1, 3)])).to_list() == [2.0]
    with pytest.raises(DataError, match=r"f\.csv: column 'a': row 2 must be a number, got 'x' \(2 such rows\)"):
        numeric_values(pl.Series("a", ["1", "x", "y"]), place="f.csv: ")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([[1, None, 2], None, []], pl.List(pl.Int64), [["1", "2"], [], []]),
        ([[1.0, float("nan"), 2.5]], pl.List(pl.Float64), [["1", "2.5"]]),
        ([["a|b", "", None]], pl.List(pl.String), [["a|b"]]),  # only text columns are split
        ([[], None], pl.List(pl.Null), [[], []]),
        ([[1, 2], None], pl.Array(pl.Int64, 2), [["1", "2"], []]),
        (["a|b", "a||b", "", None, "x"], pl.String, [["a", "b"], ["a", "b"], [], [], ["x"]]),
        ([1, None], pl.Int64, [["1"], []]),
        ([True], pl.Boolean, [["true"]]),
        ([None], pl.Null, [[]]),
        ([], pl.List(pl.Int64), []),
        ([], pl.String, []),
    ],
)
def test_list_items(values, dtype, expected) -> None:
    found = list_items(pl.Series("h", values, dtype=dtype))
    assert found.to_list() == expected
    assert found.dtype == pl.List(pl.String)
    assert found.name == "h"
    assert found.null_count() == 0


def test_lists_of_lists_are_refused_by_the_column_name() -> None:
    with pytest.raises(DataError, match="column 'h': a list must hold single values"):
        list_items(pl.Series("h", [[[1]]]))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[1, 2]", ["1", "2"]),
        (' ["a, b", null, 3.0, true] ', ["a, b", "3", "true"]),
        ("[]", []),
        ("[a]|[b]", ["[a]", "[b]"]),
        ("[[1], [2]]", ["[[1], [2]]"]),
        ("[1 2]", ["[1 2]"]),
    ],
)
def test_a_text_that_is_a_json_array_is_a_list(written, expected) -> None:
    found = list_items(pl.Series("h", ["x|y", None, written]))
    assert found.to_list() == [["x", "y"], [], expected]
    assert found.dtype == pl.List(pl.String)
