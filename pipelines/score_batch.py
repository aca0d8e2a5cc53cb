"""Score: the champion scores each day's rows.

30 5 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.score_batch clicks.yaml >>score.jsonl 2>>score.log

While the registry cannot be reached the last known champion scores.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.jobs import Job
from ctrsel.api.scoring_days import score_day
from ctrsel.cli.unattended import main

__all__ = ["score_batch"]


def score_batch(job: Job) -> dict[str, Any]:
    """Score the rows of one day with the champion; the same rows and the same version are not scored again.

    The config names rows and scores in pipelines.score_batch.
    """
    return job.attempt(lambda: score_day(job.config, as_of=job.as_of, out=job.out))


if __name__ == "__main__":
    sys.exit(main(score_batch))
