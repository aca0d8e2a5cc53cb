import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import WHOLE_FLOAT, beyond_exact, canonical_text, list_items, numeric_values

MOMENT = dt.datetime(2024, 2, 29, 13, 5, 7)


def text(values, dtype=None) -> list[str | None]:
    return canonical_text(pl.Series("a", values, dtype=dtype)).to_list()


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 0, -7, None], pl.Int8, ["1", "0", "-7", None]),
        ([1.0, -0.0, 2.5, None, float("nan")], pl.Float64, ["1", "0", "2.5", None, None]),
        ([1.0, 0.1], pl.Float32, ["1", "0.1"]),
        ([float("inf"), -float("inf"), float("nan")], pl.Float32, ["inf", "-inf", None]),
        (["inf", "nan", "NaN", "NULL", "None", " ", " x ", "True"], pl.String, ["inf", "nan", "NaN", "NULL", "None", " ", " x ", "True"]),
        (["-0.0", "-0", "0.0", "00.0", "-01.0", "+1.0", "1.", ".0", "1.0\n", "1.0 ", "٣.0"], pl.String,
         ["0", "-0", "0", "00", "-01", "+1.0", "1.", ".0", "1.0\n", "1.0 ", "٣.0"]),
        (["e\u0301", "\u00e9"], pl.String, ["e\u0301", "\u00e9"]),  # one character or two: no one said they are the same
        ([1e20, 0.1 + 0.2, 1e-7, 16777216.0], pl.Float64, ["1e+20", "0.30000000000000004", "1e-7", "16777216"]),
        ([16777216.0, 2e7], pl.Float32, ["16777216", "20000000"]),
        ([10**20, -(10**20)], pl.Int128, [str(10**20), str(-(10**20))]),
        ([1.0, 2.5], pl.Float16, ["1", "2.5"]),
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


def test_a_float_that_may_stand_for_several_integers_is_none_of_them() -> None:
    floats = pl.Series("a", [2.0**53 - 1, 2.0**53, 2.0**60, 1e300, None])
    assert canonical_text(floats).to_list() == [str(2**53 - 1), f"{2**53}.0", "1.152921504606847e+18", "1e+300", None]
    assert canonical_text(floats.cast(pl.String)).equals(canonical_text(floats))  # nor where it was written as a text
    assert text([2**53, 2**53 + 1, 2**60], pl.Int64) == [str(2**53), str(2**53 + 1), str(2**60)]
    assert beyond_exact(floats) == 2.0**53
    assert beyond_exact(pl.Series([float("inf"), float("nan"), None, 2.5])) is None


def test_which_texts_are_whole_floats_is_told_digit_by_digit() -> None:
    near = [2**53 + d * 10**k for k in range(16) for d in (-1, 0, 1)] + [0, 7, 10**15, 10**16, 10**17]
    texts = pl.Series([f"{v}.0" for v in near])
    assert texts.str.contains(WHOLE_FLOAT).to_list() == [v < 2**53 for v in near]


WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)


@given(st.lists(st.none() | WHOLE, min_size=1))
def test_a_whole_number_has_one_text_in_all_containers(values) -> None:
    texts = [None if v is None else str(v) for v in values]
    floats = [None if v is None else float(v) for v in values]
    for held in (
        pl.Series("a", values, dtype=pl.Int64),
        pl.Series("a", values, dtype=pl.Int128),
        pl.Series("a", floats, dtype=pl.Float64),
        pl.Series("a", texts, dtype=pl.String),
        pl.Series("a", texts, dtype=pl.Categorical),
        pl.Series("a", values, dtype=pl.Int64).cast(pl.Decimal(38, 0)),
        pl.Series("a", values, dtype=pl.Int64).cast(pl.Decimal(38, 6)),
        pl.Series("a", floats, dtype=pl.Float64).cast(pl.String),
    ):
        assert canonical_text(held).to_list() == texts


@given(st.lists(st.none() | st.floats(), min_size=1))
def test_a_float_has_the_text_that_is_written_to_a_file(values) -> None:
    held = pl.Series("a", values, dtype=pl.Float64)
    written = held.fill_nan(None).cast(pl.String)
    assert canonical_text(written).to_list() == canonical_text(held).to_list()


@given(st.lists(st.text(max_size=8)))
def test_a_text_has_one_text_in_all_containers(values) -> None:
    held = pl.Series("a", values, dtype=pl.String)
    expected = canonical_text(held)
    assert canonical_text(held.cast(pl.Categorical)).equals(expected)
    assert canonical_text(held.cast(pl.Enum(held.unique()))).equals(expected)
    assert canonical_text(expected).equals(expected)


@settings(max_examples=40)  # of several values each
@given(st.lists(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), min_size=1))
def test_an_instant_has_one_text_in_all_units_and_zones(values) -> None:
    values = [v.replace(microsecond=v.microsecond // 1000 * 1000) for v in values]
    expected = text(values, pl.Datetime("ms"))
    for unit in ("us", "ns"):
        held = pl.Series("a", values, dtype=pl.Datetime(unit))
        assert canonical_text(held).to_list() == expected
        zoned = held.dt.replace_time_zone("UTC")
        for zone in ("UTC", "Asia/Kolkata", "America/New_York"):
            assert canonical_text(zoned.dt.convert_time_zone(zone)).to_list() == expected


def test_durations_keep_their_nanoseconds() -> None:
    held = pl.Series("a", [1, -1, 1_500, 2_000, -2_010, None, 0], dtype=pl.Int64).cast(pl.Duration("ns"))
    assert canonical_text(held).to_list() == ["0.001", "-0.001", "1.5", "2", "-2.01", None, "0"]


@pytest.mark.parametrize("kind", [pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Date])
def test_times_that_no_calendar_holds_are_refused_by_their_row(kind) -> None:
    far = pl.Series("a", [0, None, 2**62 + 2**61 if kind != pl.Date else 2**31 - 1]).cast(
        pl.Int32 if kind == pl.Date else pl.Int64
    )
    with pytest.raises(DataError, match="column 'a': row 3 must be a time within 200,000 years of now, got "):
        canonical_text(far.cast(kind))


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
    for unit in ("ms", "us", "ns"):
        moment = pl.Series([dt.datetime(1970, 1, 1, 0, 0, 1), None], dtype=pl.Datetime(unit))
        assert numeric_values(moment).to_list() == [1e6, None]
        assert numeric_values(moment.dt.replace_time_zone("Asia/Tokyo")).to_list() == [1e6 - 9 * 3600e6, None]
    with pytest.raises(DataError, match=r"must be a number, got 'xxxx\S{36}\.\.\.' \(1 such"):
        numeric_values(pl.Series("a", ["x" * 1000]))
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
    with pytest.raises(DataError, match=r"got List\(List\(Int64\)\) in row 3"):
        list_items(pl.Series("h", [None, [], [[1]]]))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[1, 2]", ["1", "2"]),
        (' ["a, b", null, 3.0, true] ', ["a, b", "3", "true"]),
        ("[]", []),
        ("[a]|[b]", ["[a]", "[b]"]),
        ("[[1], [2]]", ["[[1], [2]]"]),
        ("[1 2]", ["[1 2]"]),
        ('["\\ud800"]', ['["\\ud800"]']),
        ("[" * 5000 + "]" * 5000, ["[" * 5000 + "]" * 5000]),
    ],
)
def test_a_text_that_is_a_json_array_is_a_list(written, expected) -> None:
    found = list_items(pl.Series("h", ["x|y", None, written]))
    assert found.to_list() == [["x", "y"], [], expected]
    assert found.dtype == pl.List(pl.String)
