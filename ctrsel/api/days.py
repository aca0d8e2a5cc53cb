"""Days: what a daily source is called on a day, whether it is there, and the rows of the newest days together."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.api.window import Window, newest_window
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.paths import expand, is_uri
from ctrsel.data.time_column import Moment, duration

__all__ = ["days_until", "delay_days", "end_of", "is_there", "newest_days", "on_day", "read_day", "source_of"]

_DAY = re.compile(r"\{day(?::([^{}]*))?\}")


def on_day(pattern: str, day: datetime.date, *, place: str) -> str:
    """Write a day into a pattern.

    Args:
        pattern: With `{day}`, or `{day:%Y/%m/%d}` for another form.
        day: Which day.
        place: Where the pattern stands, for the message.

    Raises:
        ConfigError: If it names no day.

    Examples:
        >>> on_day("logs/{day}/part-{day:%Y%m%d}.parquet", datetime.date(2026, 1, 31), place="source")
        'logs/2026-01-31/part-20260131.parquet'
    """
    if _DAY.search(pattern) is None:
        raise ConfigError(
            f"{place}: must hold {{day}}, where the date stands, such as logs/{{day}}.parquet, got {pattern!r}"
        )
    return _DAY.sub(lambda found: format(day, found[1] or "%Y-%m-%d"), pattern)


def read_day(text: Any, *, place: str) -> datetime.date:
    """Read a date.

    Raises:
        ConfigError: If it is none.
    """
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        raise ConfigError(f"{place}: must be a date such as 2026-01-31, got {str(text)!r}") from None


def days_until(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Return all days from the first to the last, both included."""
    return [first + datetime.timedelta(days=i) for i in range((last - first).days + 1)]


def end_of(day: datetime.date) -> str:
    """Return a day's last moment, UTC, as `data.as_of` takes it."""
    return f"{day.isoformat()}T23:59:59.999999"


def delay_days(config: RunConfig) -> int:
    """Return how many whole days an outcome may take.

    Raises:
        ConfigError: If the label's delay has no unit, so that days cannot be counted.

    Examples:
        >>> from ctrsel.core.config import DataConfig, LabelConfig, SchemaConfig
        >>> label = LabelConfig(name="click", delay="36h")
        >>> delay_days(RunConfig(name="x", data=DataConfig(), schema=SchemaConfig(label=label)))
        2
    """
    delay = config.schema.label.delay
    if delay is None:
        return 0
    return -(-duration(delay, Moment(temporal=True), place="schema.label.delay") // (86_400 * 1_000_000))


def is_there(source: str, *, format: str) -> bool:
    """Whether a source of this machine exists; what lies elsewhere is known when it is read."""
    if format == "sql" or is_uri(source):
        return True
    place = Path(expand(source)).expanduser()
    if place.exists() or not set("*?[") & set(str(place)):
        return place.exists()
    parts = place.parts[1:] if place.is_absolute() else place.parts
    return any(Path(place.anchor).glob(str(Path(*parts))))


def source_of(config: RunConfig, day: datetime.date) -> str:
    """Return what a config's daily source is called on a day.

    Raises:
        ConfigError: If the config has none.
    """
    feed = config.pipelines.ingest_daily
    if feed is None:
        raise ConfigError("pipelines.ingest_daily: name the source of each day's rows and the first day")
    return on_day(feed.source, day, place="pipelines.ingest_daily.source")


def newest_days(config: RunConfig, *, days: int, as_of: datetime.date, place: str) -> Window:
    """Read the raw rows of the newest days whose outcomes are known; a day without rows is left out.

    Args:
        config: With `pipelines.ingest_daily`.
        days: How many.
        as_of: The day at whose end it is looked; a label delay goes further back.
        place: Of the number of days in the config.

    Raises:
        ConfigError: If the number is not positive.
        DataError: If none of the days can be read.
    """
    if days < 1:
        raise ConfigError(f"{place}: must be at least 1 day, got {days}")
    last = as_of - datetime.timedelta(days=delay_days(config))
    found: list[Window] = []
    reasons: list[str] = []
    for day in days_until(last - datetime.timedelta(days=days - 1), last):
        data = replace(config.data, store=None, train=source_of(config, day), newest=None, as_of=None)
        try:
            if not is_there(str(data.train), format=data.format):
                raise DataError(f"{data.train}: no rows for {day}")
            label = replace(config.schema.label, delay=None)
            found.append(newest_window(data, schema=replace(config.schema, label=label)))
        except DataError as error:
            reasons.append(str(error))
    if not found:
        raise DataError(f"{place}: none of the {days} days until {last} can be read; {reasons[-1]}")
    return _joined(found, notes=tuple(f"left out: {r}" for r in reasons))


def _joined(parts: list[Window], *, notes: tuple[str, ...]) -> Window:
    first = parts[0]
    types = [p.rows.schema for p in parts]
    mixed = {name for name in first.rows.columns if len({t.get(name) for t in types}) > 1}
    frames = [
        p.rows.with_columns(canonical_text(p.rows[c]).alias(c) for c in mixed & set(p.rows.columns)) for p in parts
    ]
    weights = [np.ones(len(p.labels)) if p.weight is None else p.weight for p in parts]
    groups = [p.group for p in parts if p.group is not None]
    moments = [m for p in parts for m in (p.first, p.last) if m is not None]
    return Window(
        rows=pl.concat(frames, how="diagonal"),
        labels=np.concatenate([p.labels for p in parts]),
        source=first.source if len(parts) == 1 else f"{first.source} to {parts[-1].source}",
        weight=None if all(p.weight is None for p in parts) else np.concatenate(weights),
        group=np.concatenate(groups) if len(groups) == len(parts) else None,
        first=min(moments, key=_moment, default=None),
        last=max(moments, key=_moment, default=None),
        notes=notes,
    )


def _moment(text: str) -> tuple[int, str]:
    """Order moments, dates by their text and numbers by their size."""
    return (int(text), "") if text.lstrip("-").isdecimal() else (0, text)
