"""One instant is one number, however it is written; what would be changed by reading is refused."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from time import tzset

import polars as pl
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.faults import Faults
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.time_column import Moment, as_moment, duration, read_time

MICROS = 1_000_000
TIMES = Moment(temporal=True)
NUMBERS = Moment(temporal=False)
NOON = datetime(2026, 1, 31, 12, 0, 0, 500_000)
STAMP = int(NOON.replace(tzinfo=UTC).timestamp() * MICROS)


def faults(rows: RawRows, tolerance: float = 0.0) -> Faults:
    return Faults(raw=rows, rejects=Rejects(tolerance=tolerance))


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
def test_one_instant_is_one_number(column, raw) -> None:
    rows = raw(column)
    found, moment = read_time(rows, "x", faults(rows))
    assert moment == TIMES
    assert found.tolist() == [STAMP]


def test_times_of_several_types_and_days(raw) -> None:
    rows = raw(pl.Series([date(2026, 1, 31)]), pl.Series(["2026-01-31"]), pl.Series([NOON]))
    found, _ = read_time(rows, "x", faults(rows))
    assert found.tolist() == [STAMP - int(timedelta(hours=12, seconds=0.5).total_seconds() * MICROS)] * 2 + [STAMP]


def test_numbers_are_times_in_their_own_unit(raw) -> None:
    rows = raw([14102100], pl.Series(["14102101"]), pl.Series([14102102.0]))
    found, moment = read_time(rows, "x", faults(rows))
    assert moment == NUMBERS
    assert found.tolist() == [14102100, 14102101, 14102102]


def test_what_is_no_time_is_refused_or_rejected(raw) -> None:
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


def test_times_of_day_and_durations_count_in_microseconds(raw) -> None:
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
def test_a_time_that_would_be_changed_is_refused(column, shown, raw) -> None:
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
