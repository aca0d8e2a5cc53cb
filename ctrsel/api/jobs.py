"""Jobs: scheduled work on one config: a lock against overlap, a journal to resume from, tries again, a file of metrics."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ctrsel.api.cache import exclusive
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.core.log import event, logger

__all__ = ["Job", "Journal", "at_work", "metrics_text", "read_journal", "write_metrics"]

T = TypeVar("T")
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0  # seconds between two tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of scheduled work.

    Attributes:
        name: Of the pipeline.
        config: What it works on.
        as_of: The day at whose end the work is done.
        backfill: Whether a person named the day, so that later rows must not be looked at.
        out: The config's run folder.
    """

    name: str
    config: RunConfig
    as_of: datetime.date
    backfill: bool
    out: Path

    def attempt(self, work: Callable[[], T]) -> T:
        """Do what reaches for a server or a storage, again after a wait if that cannot be reached.

        Waits double from two seconds up to a minute, with jitter; `pipelines.retries` says how many tries follow the first.

        Raises:
            UnreachableError: If the last try failed as well.
        """
        import tenacity

        def told(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            wait = 0.0 if state.next_action is None else state.next_action.sleep
            logger().warning(
                "cannot be reached, tried again",
                extra={"facts": {"attempt": state.attempt_number, "wait_seconds": round(wait, 1), "why": str(error)}},
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnreachableError),
            stop=tenacity.stop_after_attempt(self.config.pipelines.retries + 1),
            wait=tenacity.wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT) + tenacity.wait_random(0, 1),
            before_sleep=told,
            reraise=True,
        )
        return retrying(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What is known of the last time that a pipeline was at work on a config.

    Attributes:
        as_of: The day that it was done for, 2026-01-31.
        backfill: Whether a person named the day.
        started: When, seconds since 1970.
        ended: When; None while it is going on, and after a kill.
        exit_code: Of its end.
        succeeded: When it last ended with exit code 0, now or before; None if never.
    """

    as_of: str
    backfill: bool
    started: float
    ended: float | None = None
    exit_code: int | None = None
    succeeded: float | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the work was cut off, or a server could not be reached: the same again can end otherwise."""
        return self.ended is None or self.exit_code in (UnreachableError.exit_code, 130, 143)


@dataclass(kw_only=True)
class Course:
    """A job under way, and how it ended, which whoever runs it says before it leaves."""

    job: Job
    exit_code: int = 1


@contextlib.contextmanager
def at_work(
    name: str,
    config: RunConfig,
    *,
    as_of: datetime.date | None = None,
    resume: bool = False,
    lock: str | None = None,
    wait: float = 0.0,
) -> Iterator[Course | None]:
    """Hold the lock and keep the journal while a job is done.

    Args:
        name: Of the pipeline.
        config: What it works on.
        as_of: The day; None for yesterday (UTC), or with `resume` that of the work that was cut off.
        resume: Go on with what was cut off; None is yielded if nothing was.
        lock: Work under the same lock does not overlap; the pipeline's name if None.
        wait: Seconds for which other work may still hold the lock.

    Raises:
        ConfigError: If other work holds the lock.
    """
    out = Path(config.out or f"runs/{config.name}")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(out / "jobs" / (lock or name), wait=wait))
        except ConfigError as error:
            if "another run" not in str(error):
                raise
            raise ConfigError(
                f"{name}: a job of {config.name!r} is at work that must not overlap with it; wait for it, or give --wait SECONDS"
            ) from error
        file = out / "jobs" / f"{name}.json"
        last = read_journal(file)
        if resume and (last is None or not last.unfinished):
            event("nothing to resume", pipeline=name)
            yield None
            return
        backfill = as_of is not None
        if resume and last is not None and as_of is None:
            as_of, backfill = datetime.date.fromisoformat(last.as_of), last.backfill
        day = as_of or datetime.datetime.now(tz=datetime.UTC).date() - datetime.timedelta(days=1)
        journal = Journal(
            as_of=day.isoformat(), backfill=backfill, started=time.time(), succeeded=last.succeeded if last else None
        )
        _write(file, journal)
        event("job started", pipeline=name, as_of=day.isoformat(), resumed=resume)
        course = Course(job=Job(name=name, config=config, as_of=day, backfill=backfill, out=out))
        try:
            yield course
        finally:
            ended = time.time()
            done = ended if course.exit_code == 0 else journal.succeeded
            _write(file, replace(journal, ended=ended, exit_code=course.exit_code, succeeded=done))
            seconds = round(ended - journal.started, 2)
            event("job ended", pipeline=name, as_of=day.isoformat(), exit_code=course.exit_code, seconds=seconds)


def read_journal(file: Path) -> Journal | None:
    """Return what a journal's file says; None if there is none, or a power cut has damaged it."""
    try:
        return Journal(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        logger().warning("a job's journal cannot be read and begins anew", extra={"facts": {"file": str(file)}})
        return None


def _write(file: Path, journal: Journal) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_text(file, to_json(asdict(journal)) + "\n")


def write_metrics(
    folder: str | Path, *, pipeline: str, model: str, journal: Journal, result: Mapping[str, Any]
) -> Path:
    """Write a file for the textfile collector of Prometheus' node exporter, whole or not at all.

    Args:
        folder: The collector's.
        pipeline: Which one.
        model: The config's name.
        journal: How the job ended.
        result: Every number in it becomes a gauge `ctrsel_<pipeline>_<key>`, and every mapping whose key ends in
            `_by_field` one with a label; `parts` holds results of other pipelines by their names; the rest is left out.

    Returns:
        The file.
    """
    file = Path(folder).expanduser() / f"ctrsel_{_word(model)}_{pipeline}.prom"
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_text(file, metrics_text(pipeline=pipeline, model=model, journal=journal, result=result))
    return file


def metrics_text(*, pipeline: str, model: str, journal: Journal, result: Mapping[str, Any]) -> str:
    """Return the metrics of a job in Prometheus' text form.

    Examples:
        >>> journal = Journal(as_of="2026-01-31", backfill=False, started=10.0, ended=12.5, exit_code=0, succeeded=12.5)
        >>> text = metrics_text(pipeline="ingest_daily", model="clicks", journal=journal, result={"rows": 120})
        >>> [line for line in text.splitlines() if "rows" in line][-1]
        'ctrsel_ingest_daily_rows{model="clicks"} 120.0'
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()

    def gauge(name: str, value: float, what: str, **labels: str) -> None:
        Gauge(name, what, [*labels], registry=registry).labels(**labels).set(value)

    own = {"model": model, "pipeline": pipeline}
    ended = journal.ended or time.time()
    gauge("ctrsel_job_exit_code", float(journal.exit_code or 0), "Exit code of the last job; 0 is done.", **own)
    gauge("ctrsel_job_seconds", ended - journal.started, "Seconds that the last job took.", **own)
    gauge("ctrsel_job_ended_timestamp_seconds", ended, "When the last job ended.", **own)
    day = datetime.datetime.fromisoformat(journal.as_of).replace(tzinfo=datetime.UTC).timestamp()
    gauge("ctrsel_job_as_of_timestamp_seconds", day, "The day that the last job was done for.", **own)
    if journal.succeeded is not None:
        what = "When a job last ended with exit code 0."
        gauge("ctrsel_job_succeeded_timestamp_seconds", journal.succeeded, what, **own)
    parts: Mapping[str, Mapping[str, Any]] = {pipeline: result, **result.get("parts", {})}
    for part, found in parts.items():
        for key, value in found.items():
            name, what = f"ctrsel_{part}_{_word(key)}", f"{key.replace('_', ' ')} of the last {part}."
            if isinstance(value, int | float):
                gauge(name, float(value), what, model=model)
            elif isinstance(value, Mapping) and key.endswith("_by_field"):
                made = Gauge(name, what, ["model", "field"], registry=registry)
                for field, number in value.items():
                    if isinstance(number, int | float):
                        made.labels(model=model, field=field).set(float(number))
    return generate_latest(registry).decode()


def _word(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)
