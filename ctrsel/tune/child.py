"""Child: the process of one trial, `python -m ctrsel.tune.child FD PARENT`; it ends with the process that started it.

It reads a job as JSON from standard input and writes one JSON object a line to the file descriptor FD.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.children import die_with
from ctrsel.core.errors import CtrselError

__all__ = ["main"]


def main(fd: int, parent: int) -> None:
    """Do one job and tell what comes of it.

    Args:
        fd: Where it is told.
        parent: The process id of who started this one.
    """
    die_with(parent)

    def tell(**facts: Any) -> None:
        try:
            os.write(fd, (to_json(facts) + "\n").encode())
        except BrokenPipeError:  # nobody listens any more
            os._exit(1)

    try:
        from dataclasses import asdict

        from ctrsel.tune.job import Job, score

        job = Job.from_dict(json.load(sys.stdin))
        found = score(job, tell=lambda step, now: tell(step=step, score=now))
        tell(done=asdict(found), memory=_peak())
    except CtrselError as error:
        tell(error=str(error))
    except MemoryError:
        tell(error="the memory ran out")
    except Exception as error:  # whatever a learner raises is why its trial failed
        import traceback

        traceback.print_exc()
        tell(error=f"{type(error).__name__}: {error}")


def _peak() -> int | None:
    """Return the most bytes that were in memory, those of the mapped table included."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
