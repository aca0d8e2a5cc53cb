"""Logging and progress: a bar on a terminal, plain structured lines elsewhere, always on standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

__all__ = ["Progress", "configure", "event", "logger", "progress"]

_NAME = "ctrsel"


def logger() -> logging.Logger:
    """Return the package's logger; a library adds no handler, `configure` does for the command line."""
    return logging.getLogger(_NAME)


def event(name: str, /, **facts: Any) -> None:
    """Log one structured event, such as a stage's end with its rows and seconds."""
    logger().info(name, extra={"facts": facts})


class _Line(logging.Formatter):
    """`12:00:01 rank  fields=40 seconds=0.8`, or one JSON object a line."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        facts: dict[str, Any] = getattr(record, "facts", {})
        if self.as_json:
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created)),
                "level": record.levelname.lower(),
                "event": record.getMessage(),
                **facts,
            }
            if record.exc_info:
                line["error"] = self.formatException(record.exc_info)
            return json.dumps({k: _finite(v) for k, v in line.items()}, default=str)
        text = " ".join(f"{key}={_short(value)}" for key, value in facts.items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        error = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{clock} {level}{record.getMessage()}" + (f"  {text}" if text else "") + error


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def configure(*, as_json: bool = False, quiet: bool = False) -> None:
    """Send the package's log to standard error, once; called by the command line only."""
    log = logger()
    log.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(as_json=as_json))
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False


class Progress(Protocol):
    """What long work reports to: how much is done, and a few facts."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        """Say that `amount` more units are done."""
        ...


@contextlib.contextmanager
def progress(name: str, total: int, *, unit: str = "") -> Iterator[Progress]:
    """Show progress of `total` units: a bar on a terminal, else a log line at most every ten seconds.

    Both say how many units a second there are and how much time is left.

    Examples:
        >>> with progress("train", 3, unit="epochs") as bar:
        ...     bar.advance(1, auc=0.75)
    """
    if sys.stderr.isatty() and logger().isEnabledFor(logging.INFO) and logger().handlers:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} " + unit),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, total=total, facts="", speed="")

            class _Bar:
                def advance(self, amount: int = 1, **facts: Any) -> None:
                    said = " ".join(f"{k}={_short(v)}" for k, v in facts.items())
                    speed = bar.tasks[0].speed
                    bar.update(task, advance=amount, facts=said, speed="" if speed is None else f"{speed:,.0f}/s")

            yield _Bar()
        return

    class _Lines:
        def __init__(self) -> None:
            self.done = self.counted = 0
            self.began = self.last = time.monotonic()

        def advance(self, amount: int = 1, **facts: Any) -> None:
            self.done += amount
            now = time.monotonic()
            # What stands at the very beginning was done before: by a fit that was killed, say.
            if self.done == amount and now - self.began < 0.01:
                self.counted = self.done
            if now - self.last >= 10:
                self.last = now
                speed = (self.done - self.counted) / (now - self.began)
                left = {"left": f"{(total - self.done) / speed:.0f} s"} if speed > 0 else {}
                event(
                    name,
                    **{**facts, "done": self.done, "of": total, "unit": unit, "per_second": round(speed, 1), **left},
                )

    yield _Lines()
