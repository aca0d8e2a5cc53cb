"""Feed: each day's rows are added to a store once; a missing day is awaited, a bad one is set aside until it is mended.

What happened to each day stands in a ledger beside the store (`<store>.days.json`). The store is what counts: rows that it
has are not added again, so a process may be killed between the store and the ledger.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ctrsel.api.days import days_until, delay_days, end_of, is_there, read_day, source_of
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.building import build
from ctrsel.core.config import DataConfig, RunConfig
from ctrsel.core.errors import AbsentError, ConfigError, DataError
from ctrsel.core.log import event, logger
from ctrsel.data.append import append, check_told
from ctrsel.data.ingest import ingest
from ctrsel.data.intake import source_digests
from ctrsel.data.paths import expand
from ctrsel.data.table import Table
from ctrsel.data.tally import Tally

__all__ = ["DayEntry", "FeedResult", "days_of", "feed", "store_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEntry:
    """What is known of one day.

    Attributes:
        day: The date, 2026-01-31.
        status: stored; waiting, as some of its rows are too young for their outcome; missing; refused, as its rows break a rule.
        since: The day as of which it was first looked for.
        rows: Added by the last attempt that added any.
        source: What it was called on this day.
        digests: Of the files that were refused, by part; None where only reading them tells.
        why: Of a missing or refused day, one sentence.
    """

    day: str
    status: Literal["stored", "waiting", "missing", "refused"]
    since: str
    rows: int = 0
    source: str = ""
    digests: dict[str, list[str]] | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """What a feeding did.

    Attributes:
        added: Days whose rows were added, with how many each.
        rows: Added in all.
        rejected: Rows that were rejected within the tolerance.
        new_values: Values that got a code.
        total_rows: Of the store.
        missing: Days without rows, with the reason.
        refused: Days that are set aside, with the reason.
        newly_refused: Those of them that were refused now.
        newest: The newest stored day.
    """

    added: dict[str, int]
    rows: int
    rejected: int
    new_values: int
    total_rows: int
    missing: dict[str, str]
    refused: dict[str, str]
    newly_refused: tuple[str, ...]
    newest: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; numbers for a collector of metrics among them."""
        return {**asdict(self), "missing_days": len(self.missing), "refused_days": len(self.refused)}


def store_of(config: RunConfig) -> Path:
    """Return the folder of a config's store.

    Raises:
        ConfigError: If the config names none.
    """
    if config.data.store is None:
        raise ConfigError("data.store: name the folder of the table that each day's rows are added to")
    return Path(expand(config.data.store)).expanduser()


def days_of(config: RunConfig) -> dict[str, DayEntry]:
    """Return what is known of each day that was looked for, oldest first.

    Raises:
        DataError: If the ledger is damaged.
    """
    file = _ledger(store_of(config))
    if not file.is_file():
        return {}
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        return {d["day"]: build(DayEntry, d, place=str(file)) for d in given["days"]}
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise DataError(
            f"{file}: expected the days of a feed, got {error}; without the file, days are read again and known rows left out"
        ) from error


def feed(
    config: RunConfig,
    *,
    as_of: datetime.date,
    attempt: Callable[[Callable[[], Table]], Table] = lambda work: work(),
) -> FeedResult:
    """Add the rows of all days that have come since, oldest first.

    A day that is missing is looked for again each time, for `give_up` days. A day whose rows break a rule beyond the tolerance
    is set aside as a whole, the later ones go on; when its files have changed it is tried again, and its rows are added though
    they are late. A kill at any moment leaves the store with a day or without it.

    Args:
        config: With `data.store` and `pipelines.ingest_daily`; how values become codes stays as it is in the store.
        as_of: The last day that may be looked at; with a label delay, rows whose outcome may still come wait.
        attempt: Runs what reads a source, again perhaps when that cannot be reached.

    Raises:
        DataError: If a day was refused now, or the last one is missing; `result` holds what was done with the others.
        ConfigError: If the config has no feed, or tells of columns otherwise than the store.
        UnreachableError: If the source cannot be reached; days before it are stored.
    """
    settings, store, days = config.pipelines.ingest_daily, store_of(config), days_of(config)
    if settings is None:
        raise ConfigError("pipelines.ingest_daily: name the source of each day's rows and the first day")
    first = read_day(settings.first, place="pipelines.ingest_daily.first")
    last = as_of - datetime.timedelta(days=delay_days(config))
    if last < first:
        raise ConfigError(f"pipelines.ingest_daily.first: the first day is {first}, but rows are wanted until {last}")
    state = _State(config=config, store=store, days=days, as_of=as_of)
    for day in days_until(first, last):
        entry = days.get(day.isoformat())
        if entry is not None and entry.status == "stored":
            continue
        waited = 0 if entry is None else (as_of - read_day(entry.since, place=str(_ledger(store)))).days
        if entry is not None and entry.status != "waiting" and waited > settings.give_up:
            continue
        state.take(day, entry, attempt)
    result = state.result()
    event("feed", rows=result.rows, days=len(result.added), missing=len(result.missing), refused=len(result.refused))
    problem = None
    if result.newly_refused:
        day_text = result.newly_refused[0]
        others = f" (and {len(result.newly_refused) - 1} more days)" if len(result.newly_refused) > 1 else ""
        problem = f"{day_text}: refused and set aside until its rows are mended; {result.refused[day_text]}{others}"
    elif last.isoformat() in result.missing:
        problem = f"{last}: {result.missing[last.isoformat()]}; it is looked for again with the next days"
    if problem is not None:
        error = DataError(problem)
        error.result = result.to_dict()
        raise error
    return result


@dataclass(kw_only=True)
class _State:
    """A feeding under way; the ledger is written after each day."""

    config: RunConfig
    store: Path
    days: dict[str, DayEntry]
    as_of: datetime.date
    added: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    rejected: int = 0
    new_values: int = 0

    def take(self, day: datetime.date, entry: DayEntry | None, attempt: Callable[[Callable[[], Table]], Table]) -> None:
        name, source = day.isoformat(), source_of(self.config, day)
        since = self.as_of.isoformat() if entry is None else entry.since
        made = DayEntry(day=name, status="missing", since=since, source=source)
        data = replace(self.config.data, store=None, train=source, newest=None, as_of=None)
        digests = None
        try:
            if not is_there(source, format=data.format):
                self._note(replace(made, why=f"{source}: no such file"))
                return
            digests = source_digests(data)
            if entry is not None and entry.status == "refused" and digests is not None and digests == entry.digests:
                self._still_refused(entry)
                return
            before = Table.load(self.store) if (self.store / "manifest.json").is_file() else None
            after = attempt(lambda: self._add(data, before))
        except AbsentError as error:
            self._note(replace(made, why=str(error)))
            return
        except DataError as error:
            if entry is not None and entry.status == "refused" and digests is None and str(error) == entry.why:
                self._still_refused(entry)
                return
            logger().warning("a day is refused and set aside", extra={"facts": {"day": name, "why": str(error)}})
            self.refused.append(name)
            self._note(replace(made, status="refused", digests=digests, why=str(error)))
            return
        more = _more(before, after)
        self.rejected += more.rejected
        self.new_values += after.encoder.n_values - (0 if before is None else before.encoder.n_values)
        if more.stored or entry is None or entry.status != "waiting":
            self.added[name] = more.stored
        rows = more.stored or (0 if entry is None else entry.rows)
        self._note(replace(made, status="waiting" if more.young else "stored", rows=rows))

    def _add(self, data: DataConfig, before: Table | None) -> Table:
        config = self.config
        as_of = end_of(self.as_of) if config.schema.label.delay is not None else None
        if before is None:
            return ingest(
                replace(data, as_of=as_of),
                schema=config.schema,
                split=config.split,
                settings=config.ingest,
                seed=config.seed,
                out=self.store,
            )
        schema, rule = config.schema, asdict(config.split)
        told = {f"schema.{role}": getattr(schema, role) for role in ("time", "group", "weight", "sampling_rate")}
        told |= {"schema.label.name": schema.label.name, **{f"split.{k}": v for k, v in rule.items()}}
        check_told(self.store, told)
        return append(self.store, data, settings=config.ingest, as_of=as_of, late=True)

    def _still_refused(self, entry: DayEntry) -> None:
        logger().warning("a day is still set aside", extra={"facts": {"day": entry.day, "why": entry.why}})

    def _note(self, entry: DayEntry) -> None:
        self.days[entry.day] = entry
        ordered = [asdict(self.days[name]) for name in sorted(self.days)]
        atomic_text(_ledger(self.store), to_json({"store": str(self.store), "days": ordered}, indent=1) + "\n")

    def result(self) -> FeedResult:
        there = Table.load(self.store) if (self.store / "manifest.json").is_file() else None
        stored = [d.day for d in self.days.values() if d.status in ("stored", "waiting")]
        return FeedResult(
            added=self.added,
            rows=sum(self.added.values()),
            rejected=self.rejected,
            new_values=self.new_values,
            total_rows=0 if there is None else there.n_rows,
            missing={d.day: str(d.why) for d in self.days.values() if d.status == "missing"},
            refused={d.day: str(d.why) for d in self.days.values() if d.status == "refused"},
            newly_refused=tuple(self.refused),
            newest=max(stored, default=None),
        )


def _more(before: Table | None, after: Table) -> Tally:
    """Return the tally of the last increment alone."""
    assert after.tally is not None
    if before is None or before.tally is None:
        return after.tally
    mine, old = after.tally.to_dict(), before.tally.to_dict()
    return Tally(**{k: v - old[k] for k, v in mine.items()})


def _ledger(store: Path) -> Path:
    return store.parent / f"{store.name}.days.json"
