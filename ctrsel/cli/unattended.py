"""The command line of a pipeline: arguments, JSON lines for logs, one JSON object as result, an exit code, a metrics file."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrsel.api.days import read_day
from ctrsel.api.jobs import Job, at_work, read_journal, write_metrics
from ctrsel.cli.app import interruptible
from ctrsel.cli.failure import EXIT_CODES, failure
from ctrsel.cli.source import settings
from ctrsel.cli.speak import plain
from ctrsel.core.config import RunConfig, load_config
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import configure, logger

__all__ = ["main", "unattended"]

Flow = Callable[[Job], Mapping[str, Any]]


def main(flow: Flow, argv: Sequence[str] | None = None, *, lock: str | None = None) -> int:
    """Run a pipeline from the command line and return its exit code.

    Standard output gets one JSON object, standard error one JSON object a log line.

    Args:
        flow: The pipeline; its name and docstring are those of the command.
        argv: The arguments; None for the process's own.
        lock: Pipelines under the same lock do not overlap; the flow's name if None.
    """
    codes = "\n".join(f"  {code:<4} {what}" for code, what in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog=f"python -m pipelines.{_name(flow)}",
        description=inspect.getdoc(flow),
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", help="the config (.yaml)")
    parser.add_argument(
        "--as-of", metavar="DATE", help="do the work of this day, not looking at later rows; else yesterday (UTC)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the day whose work was cut off; else do nothing"
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="for other work to end; else exit code 2"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of the config; repeatable"
    )
    parser.add_argument("--metrics", metavar="FOLDER", help="of Prometheus' textfile collector; else the config's")
    parser.add_argument("--log-text", action="store_true", help="log lines for people in place of JSON")
    given = parser.parse_args(argv)
    configure(as_json=not given.log_text)
    with interruptible():
        code, result = unattended(
            flow,
            given.config,
            as_of=given.as_of,
            resume=given.resume,
            wait=given.wait,
            assignments=given.set,
            metrics=given.metrics,
            lock=lock,
        )
    print(json.dumps(plain(result), allow_nan=False), flush=True)  # noqa: T201  # the result
    return code


def unattended(
    flow: Flow,
    config: str | Path,
    *,
    as_of: str | None = None,
    resume: bool = False,
    wait: float = 0.0,
    assignments: Sequence[str] = (),
    metrics: str | None = None,
    lock: str | None = None,
) -> tuple[int, dict[str, Any]]:
    """Run a pipeline under its lock; whatever goes wrong becomes an exit code and a sentence.

    Args:
        flow: The pipeline.
        config: The config's file.
        as_of: The day, 2026-01-31; None for yesterday.
        resume: Go on with what was cut off.
        wait: Seconds for which other work may hold the lock.
        assignments: `KEY=VALUE` for the config.
        metrics: Folder of the metrics file; None for the config's.
        lock: As in `main`.

    Returns:
        The exit code, and the result as plain values, with the sentence as "error" if there is one.
    """
    name = _name(flow)
    result: dict[str, Any] = {"pipeline": name}
    made: RunConfig | None = None
    started = False
    try:
        made = load_config(config, overrides=settings(list(assignments)))
        day = None if as_of is None else read_day(as_of, place="--as-of")
        if wait < 0:
            raise ConfigError(f"--wait: must be at least 0 seconds, got {wait:g}")
        with at_work(name, made, as_of=day, resume=resume, lock=lock, wait=wait) as course:
            started = course is not None
            if course is None:
                result |= {"resumed": False, "exit_code": 0}
                return 0, result
            result["as_of"] = course.job.as_of.isoformat()
            try:
                # A library that prints must not spoil the result.
                with contextlib.redirect_stdout(sys.stderr):
                    result |= flow(course.job)
                course.exit_code = 0
            except BaseException as error:
                course.exit_code = failure(error).code
                raise
        result["exit_code"] = 0
    except BaseException as error:  # the last place that can say what happened
        found = failure(error)
        logger().error(found.sentence or "ended", exc_info=error if found.defect else None)
        result |= {**getattr(error, "result", {}), "error": found.sentence, "exit_code": found.code}
    if made is not None and started and (folder := metrics or made.pipelines.metrics) is not None:
        _tell(folder, name, made, result)
    return int(result["exit_code"]), result


def _tell(folder: str, name: str, config: RunConfig, result: Mapping[str, Any]) -> None:
    """Write the metrics; a collector whose folder is gone is no reason to fail."""
    journal = read_journal(Path(config.out or f"runs/{config.name}") / "jobs" / f"{name}.json")
    if journal is None:
        return
    figures = {k: v for k, v in result.items() if k != "exit_code"}
    try:
        write_metrics(folder, pipeline=name, model=config.name, journal=journal, result=figures)
    except OSError as error:
        logger().warning("the metrics file cannot be written", extra={"facts": {"folder": folder, "why": str(error)}})


def _name(flow: Flow) -> str:
    return str(getattr(flow, "__name__", flow))
