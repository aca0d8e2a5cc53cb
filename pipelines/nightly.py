"""The night: ingest, monitor, train, score, one after the other, from cron or any other scheduler, without a daemon.

    15 3 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.nightly clicks.yaml >>nightly.jsonl 2>>nightly.log

The champion is watched on the new day before anything is trained on it. A refused day or a refused promotion does not keep
the later parts from their work; the exit code is that of the first part that failed.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.jobs import Job
from ctrsel.cli.failure import failure
from ctrsel.cli.unattended import main
from ctrsel.core.errors import CtrselError
from ctrsel.core.log import event
from pipelines.ingest_daily import ingest_daily
from pipelines.monitor import monitor
from pipelines.score_batch import score_batch
from pipelines.select_and_train import select_and_train

__all__ = ["nightly"]


def nightly(job: Job) -> dict[str, Any]:
    """Ingest, monitor, train and score, each where the config says how."""
    settings = job.config.pipelines
    parts = [
        *([ingest_daily, monitor] if settings.ingest_daily is not None else []),
        select_and_train,
        *([score_batch] if settings.score_batch is not None else []),
    ]
    told: dict[str, Any] = {}
    first: CtrselError | None = None
    for part in parts:
        event("part", pipeline=part.__name__)
        try:
            told[part.__name__] = part(job)
        except CtrselError as error:
            event("part failed", pipeline=part.__name__, why=str(error), exit_code=failure(error).code)
            told[part.__name__] = {**error.result, "error": str(error), "exit_code": failure(error).code}
            first = first or error
    if first is not None:
        first.result = {"parts": told}
        raise first
    return {"parts": told}


if __name__ == "__main__":
    sys.exit(main(nightly, lock="store"))
