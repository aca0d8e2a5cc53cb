"""Rank: the fields are ranked anew on the newest rows, and compared with how they stood the last time.

0 4 * * 0  cd /srv/clicks && .venv/bin/python -m pipelines.rank_weekly clicks.yaml >>rank.jsonl 2>>rank.log

Rankings lie by day in the run's folder.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.jobs import Job
from ctrsel.api.ranking_days import rank_days
from ctrsel.cli.unattended import main

__all__ = ["rank_weekly"]


def rank_weekly(job: Job) -> dict[str, Any]:
    """Rank the store's fields by every ranker of the config, on the newest days (pipelines.rank_weekly)."""
    return rank_days(job.config, as_of=job.as_of, backfill=job.backfill, out=job.out)


if __name__ == "__main__":
    sys.exit(main(rank_weekly, lock="store"))
