"""Train: rank, select, retrain, evaluate, explain, report and register; promoted if the promotion check passes.

    0 3 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.select_and_train clicks.yaml >>train.jsonl 2>>train.log

What was finished before a kill is not done again; what MLflow did not take while it was down is delivered first.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.jobs import Job
from ctrsel.api.training_days import train_day
from ctrsel.cli.unattended import main

__all__ = ["select_and_train"]


def select_and_train(job: Job) -> dict[str, Any]:
    """Do the whole run of the config on its store; with --as-of on what the store held that day.

    With pipelines.select_and_train.start nets go on from the champion. A refused promotion is exit code 4 if the config has
    register.require_promotion.
    """
    return train_day(job.config, as_of=job.as_of, backfill=job.backfill, out=job.out)


if __name__ == "__main__":
    sys.exit(main(select_and_train, lock="store"))
