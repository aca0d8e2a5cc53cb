"""Monitor: the champion on the newest days; a figure beyond its limit ends with exit code 6.

0 6 * * *  cd /srv/clicks && .venv/bin/python -m pipelines.monitor clicks.yaml >>monitor.jsonl 2>>monitor.log

Rows of days whose outcomes may still come count for shifts of values and scores, not for the AUC.
"""

from __future__ import annotations

import sys
from typing import Any

from ctrsel.api.champion import has_champion
from ctrsel.api.jobs import Job
from ctrsel.api.watching import watch
from ctrsel.cli.unattended import main
from ctrsel.core.errors import AlarmError
from ctrsel.core.log import event

__all__ = ["monitor"]


def monitor(job: Job) -> dict[str, Any]:
    """Score the champion on the newest days, and hold its figures against the limits of pipelines.monitor."""
    if not job.attempt(lambda: has_champion(job.config, out=job.out)):
        event("nothing to watch", why="there is no champion yet")
        return {"watched": False}
    found = job.attempt(lambda: watch(job.config, as_of=job.as_of, out=job.out))
    if found.alarms:
        error = AlarmError(f"{found.model} version {found.version}: {'; '.join(a.words for a in found.alarms)}")
        error.result = {"watched": True, **found.to_dict()}
        raise error
    return {"watched": True, **found.to_dict()}


if __name__ == "__main__":
    sys.exit(main(monitor))
