"""Promote: the challenger against the champion on the newest days; promoted if the promotion check passes.

    0 7 * * 1  cd /srv/clicks && .venv/bin/python -m pipelines.promote clicks.yaml >>promote.jsonl 2>>promote.log

For teams that let a version wait: with register.promote off, a run leaves its version as challenger.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.jobs import Job
from ctrsel.api.training_days import promote_challenger
from ctrsel.cli.unattended import main

__all__ = ["promote"]


def promote(job: Job) -> dict[str, Any]:
    """Promote the challenger if it passes the promotion check on the newest days; else exit code 4, with the rule."""
    return job.attempt(lambda: promote_challenger(job.config, as_of=job.as_of, out=job.out))


if __name__ == "__main__":
    sys.exit(main(promote))
