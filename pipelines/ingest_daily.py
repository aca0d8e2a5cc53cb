"""Ingest: each new day's rows are added to the store.

    5 2 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.ingest_daily clicks.yaml >>ingest.jsonl 2>>ingest.log

A day that is missing is awaited; one whose rows break a rule is set aside, and taken when it was mended.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.feed import feed
from ctrsel.api.jobs import Job
from ctrsel.cli.unattended import main

__all__ = ["ingest_daily"]


def ingest_daily(job: Job) -> dict[str, Any]:
    """Add the rows of all days that have come since to the store, up to the day of --as-of.

    The config names the store in data.store, and the source in pipelines.ingest_daily.
    """
    return feed(job.config, as_of=job.as_of, attempt=job.attempt).to_dict()


if __name__ == "__main__":
    sys.exit(main(ingest_daily, lock="store"))
