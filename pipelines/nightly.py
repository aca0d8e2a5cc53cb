"""The nightly run: yesterday's log through the whole way, from cron or any other scheduler, without a daemon.

    15 3 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.nightly clicks.yaml >>nightly.jsonl 2>>nightly.log

or, where the log of a day has the day in its name, with `data.train: logs/$DAY/*.parquet` in the config,

    15 3 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.nightly clicks.yaml --day yesterday

(in a crontab every percent sign needs a backslash). Standard output gets one JSON object a night, standard error one
JSON object a log line. The run's folder is locked, so a night that takes longer than a day makes the next one end with
exit code 2 and changes nothing; a night that was killed goes on from its last finished stage when the command comes
again. The exit code is the command line's: 0 done, 3 bad data or a leak, 4 promotion refused, ... (`ctrsel --help`), so
that a scheduler knows a bad file, which a person must look at, from a defect.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ctrsel.cli import main as ctrsel

__all__ = ["main", "nightly"]


def nightly(config: str | Path, *, day: datetime.date | None = None, out: str | Path | None = None) -> int:
    """Run a config; refuse to promote quietly, since nobody is watching.

    Args:
        config: The config.
        day: Set as `$DAY` (2026-01-31) for paths in the config, and the last part of the run's folder, so that every
            day keeps its own report; None leaves both alone.
        out: The folder of the runs; with a day its parent. None for the config's own.

    Returns:
        The exit code of the command line.
    """
    arguments = ["run", str(config), "--json", "--log-json", "--set", "register.require_promotion=true"]
    if day is not None:
        os.environ["DAY"] = day.isoformat()
        out = Path(out or Path("runs") / Path(config).stem) / day.isoformat()
    if out is not None:
        arguments += ["--out", str(out)]
    return ctrsel(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.nightly", description="One scheduled run.")
    parser.add_argument("config", help="the config (.yaml)")
    parser.add_argument("--day", type=_day, help="YYYY-MM-DD, today or yesterday: set as $DAY, one folder a day")
    parser.add_argument("--out", help="the folder of the runs")
    given = parser.parse_args(argv)
    return nightly(given.config, day=given.day, out=given.out)


def _day(text: str) -> datetime.date:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    names = {"today": today, "yesterday": today - datetime.timedelta(days=1)}
    return names[text] if text in names else datetime.date.fromisoformat(text)


if __name__ == "__main__":
    sys.exit(main())
