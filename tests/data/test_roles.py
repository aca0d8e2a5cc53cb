import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from time import tzset

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import LabelConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.faults import Faults
from ctrsel.data.hashing import stable_hash
from ctrsel.data.raw import RawRows, Shard
from ctrsel.data.rejects import Rejects
from ctrsel.data.roles import (
    Moment,
    as_moment,
    duration,
    find_label,
    number_values,
    read_group,
    read_label,
    read_time,
    read_weight,
)

MICROS = 1_000_000
TIMES = Moment(temporal=True)
NUMBERS = Moment(temporal=False)


def raw(*columns: list | pl.Series, parts: tuple[str, ...] = ("train",) * 9) -> RawRows:
    shards = tuple(
        Shard(part=p, name="frame", source=pl.DataFrame({"x": c}), rows=len(c))
        for p, c in zip(parts, columns, strict=False)
    )
    return RawRows(shards=shards, columns=("x",))


def faults(rows: RawRows, tolerance: float = 0.0) -> Faults:
    return Faults(raw=rows, rejects=Rejects(tolerance=tolerance))


def label(rows: RawRows, tmp_path: Path, *, tolerance: float = 0.0, **more):
    held = faults(rows, tolerance)
    config = LabelConfig(name="x", **{k: v for k, v in more.items() if k == "positive"})
    values = more.get("values")
    return (*read_label(rows, config, held, memory=2**30, scratch=tmp_path, values=values), held)


def test_the_label_has_one_text_form_in_all_shards(tmp_path: Path) -> None:
    rows = raw([0, 1], pl.Series([1.0, 0.0]), pl.Series(["1", "0.0"]), pl.Series([True, False]).cast(pl.Int8))
    found, values, positive, _ = label(rows, tmp_path)
    assert (found.positive, values) == ("1", ("0", "1"))
    assert positive.tolist() == [False, True, True, False, True, False, True, False]


def test_rows_without_a_known_label_are_rejected_under_a_tolerance(tmp_path: Path) -> None:
    rows = raw([0, 1, 0, 1, None, 2, 0], [1, 3], parts=("train", "test"))
    _, values, positive, held = label(rows, tmp_path, tolerance=0.5)
    assert values == ("0", "1")
    assert held.bad.tolist() == [False, False, False, False, True, True, False, False, True]
    assert positive[~held.bad].tolist() == [False, True, False, True, False, True]
    assert held.rejects.frame().rows() == [
        ("train", "frame", 5, None, "label 'x': has no value"),
        ("train", "frame", 6, None, "label 'x': must be '0' or '1', got 2"),
        ("test", "frame", 2, None, "label 'x': must be '0' or '1', got 3"),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1, None, None],), r"data\.train: label 'x': every row needs a label, but row 3 has none \(2 such rows\)"),
        (([0, 1], [1, 7]), r"data\.test: label 'x': row 2 must have one of the training values '0' and '1', got '7'"),
        (([0, 1, 2],), "label 'x': must have exactly two values, got 3: '0', '1', '2'"),
        (([1, 1],), "label 'x': must have exactly two values, got 1: '1'"),
    ],
)
def test_a_label_that_is_none_is_said(tmp_path: Path, columns, message) -> None:
    with pytest.raises(DataError, match=message):
        label(raw(*columns, parts=("train", "test")), tmp_path)


def test_known_values_hold_for_increments(tmp_path: Path) -> None:
    _, values, positive, _ = label(raw([1, 1]), tmp_path, positive="1", values=("0", "1"))
    assert (values, positive.tolist()) == (("0", "1"), [True, True])
    with pytest.raises(DataError, match="must have one of the training values '0' and '1', got '2'"):
        label(raw([1, 2]), tmp_path, positive="1", values=("0", "1"))


def test_which_value_is_positive() -> None:
    assert find_label(["-1", "1"], LabelConfig(name="y")).positive == "1"
    assert find_label(["a", "b"], LabelConfig(name="y", positive="a")).positive == "a"
    with pytest.raises(ConfigError, match="say which of 'a' and 'b'"):
        find_label(["b", "a"], LabelConfig(name="y"))
    with pytest.raises(DataError, match="the positive value 'c' does not occur"):
        find_label(["b", "a"], LabelConfig(name="y", positive="c"))


NOON = datetime(2026, 1, 31, 12, 0, 0, 500_000)
STAMP = int(NOON.replace(tzinfo=UTC).timestamp() * MICROS)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([NOON], dtype=pl.Datetime("ms")),
        pl.Series([NOON], dtype=pl.Datetime("ns")),
        pl.Series([NOON.replace(tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(["2026-01-31T12:00:00.5"]),
        pl.Series(["2026-01-31 12:00:00.500"]),
        pl.Series(["2026-01-31T13:00:00.5+01:00"]),
        pl.Series(["2026-01-31T12:00:00.500Z"]),
        pl.Series(["2026-01-31 13:00:00.5+01"]),
        pl.Series(["2026-01-31T12:00:00.500"], dtype=pl.Categorical),
    ],
)
def test_one_instant_is_one_number(column) -> None:
    rows = raw(column)
    found, moment = read_time(rows, "x", faults(rows))
    assert moment == TIMES
    assert found.tolist() == [STAMP]


def test_times_of_several_types_and_days() -> None:
    rows = raw(pl.Series([date(2026, 1, 31)]), pl.Series(["2026-01-31"]), pl.Series([NOON]))
    found, _ = read_time(rows, "x", faults(rows))
    assert found.tolist() == [STAMP - int(timedelta(hours=12, seconds=0.5).total_seconds() * MICROS)] * 2 + [STAMP]


def test_numbers_are_times_in_their_own_unit() -> None:
    rows = raw([14102100], pl.Series(["14102101"]), pl.Series([14102102.0]))
    found, moment = read_time(rows, "x", faults(rows))
    assert moment == NUMBERS
    assert found.tolist() == [14102100, 14102101, 14102102]


def test_what_is_no_time_is_refused_or_rejected() -> None:
    rows = raw(pl.Series(["2026-01-31", "yesterday", None]))
    with pytest.raises(
        DataError, match=r"data\.train: row 2 of column 'x' must be a time or a whole number, got 'yesterday'"
    ):
        read_time(rows, "x", faults(rows))
    held = faults(rows, 0.9)
    read_time(rows, "x", held)
    assert held.bad.tolist() == [False, True, True]
    assert [r.rsplit(" ", 1)[1] for r in held.rejects.frame()["reason"]] == ["yesterday", "nothing"]
    with pytest.raises(DataError, match="must hold times or numbers, got Boolean"):
        read_time(raw([True]), "x", faults(raw([True])))


def test_times_of_day_and_durations_count_in_microseconds() -> None:
    rows = raw(pl.Series([time(0, 0, 1)]), pl.Series([timedelta(milliseconds=3)], dtype=pl.Duration("ms")))
    assert read_time(rows, "x", faults(rows))[0].tolist() == [MICROS, 3000]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pl.Series([1.5]), "1.5"),
        (pl.Series(["1.5"]), "'1.5'"),
        (pl.Series([Decimal("0.25")]), "Decimal('0.25')"),
        (pl.Series([1e300]), "1e+300"),
        (pl.Series([10**17]).cast(pl.Datetime("ms")), "100000000000000000"),
        (pl.Series([2**30], dtype=pl.Int32).cast(pl.Date), "1073741824"),
    ],
)
def test_a_time_that_would_be_changed_is_refused(column, shown) -> None:
    """Half a second is not left out, and a year that no calendar holds ends in a sentence."""
    rows = raw(column)
    with pytest.raises(DataError, match=re.escape(f"must be a time or a whole number, got {shown}")):
        read_time(rows, "x", faults(rows))
    held = faults(rows, 0.9)
    read_time(rows, "x", held)
    assert held.bad.all()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_moment_does_not_depend_on_where_it_is_read(monkeypatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    tzset()
    try:
        for text in ("20260131T120000.5", "2026-W05-6T12:00:00.5", "2026-01-31T12:00:00,5"):
            assert as_moment(text, TIMES, place="data.as_of") == STAMP
    finally:
        monkeypatch.undo()
        tzset()


def test_moments_and_durations_that_users_write() -> None:
    assert as_moment("2026-01-31T12:00:00.5", TIMES, place="data.as_of") == STAMP
    assert as_moment("2026-01-31T13:00:00.5+01:00", TIMES, place="data.as_of") == STAMP
    assert as_moment("-3", NUMBERS, place="data.as_of") == -3
    with pytest.raises(ConfigError, match=r"data\.as_of: must be a date or a time such as .*, got 'soon'"):
        as_moment("soon", TIMES, place="data.as_of")
    with pytest.raises(ConfigError, match="holds whole numbers, so this must be one, got '2026-01-31'"):
        as_moment("2026-01-31", NUMBERS, place="data.as_of")
    seconds = {"90s": 90, "1.5min": 90, "2h": 7200, "7d": 604_800, "1w": 604_800}
    assert {k: duration(k, TIMES, place="x") for k in seconds} == {k: v * MICROS for k, v in seconds.items()}
    for text, moment in (("7", TIMES), ("7d", NUMBERS), ("week", TIMES)):
        with pytest.raises(ConfigError, match="delay: must be a number"):
            duration(text, moment, place="delay")


def test_groups_are_hashes_of_their_text(tmp_path: Path) -> None:
    rows = raw([7, None, 8], pl.Series(["7", "b", ""]))
    found = read_group(rows, "x", memory=2**30, scratch=tmp_path)
    seven, b = stable_hash(pl.Series(["7", "b"])).view(np.int64).tolist()
    eight = int(stable_hash(pl.Series(["8"])).view(np.int64)[0])
    assert found.tolist() == [seven, 0, eight, seven, b, 0]


def test_weights() -> None:
    rows = raw([1, 2], pl.Series(["0.5", "1e3"]))
    assert read_weight(rows, "x", faults(rows)).tolist() == [1.0, 2.0, 0.5, 1000.0]
    rows = raw(pl.Series([1.0, -1.0, float("inf"), None, float("nan")]))
    held = faults(rows, 0.9)
    assert read_weight(rows, "x", held).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert held.bad.tolist() == [False, True, True, True, True]
    with pytest.raises(DataError, match=r"row 2 of column 'x' must be a weight of at least 0, got -1\.0"):
        read_weight(rows, "x", faults(rows))


def test_numbers_of_texts() -> None:
    assert number_values(pl.Series([" 1 ", "", "x", "nan", "inf"])).to_list() == [1.0, None, None, None, float("inf")]


def test_a_row_is_rejected_once() -> None:
    rows = raw([1, 2], [3], parts=("train", "test"))
    held = faults(rows, 0.9)
    held.add(np.array([1, 2]), "first", refuse=lambda: "never")
    held.add(np.array([0, 1]), lambda: pl.Series(["second", "third"]), refuse=lambda: "never")
    assert held.rejects.frame().select("part", "row", "reason").rows() == [
        ("train", 2, "first"),
        ("test", 1, "first"),
        ("train", 1, "second"),
    ]
