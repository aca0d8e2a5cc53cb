"""A search in a process of its own: `python -m ctrsel.api.search_child JOB PARENT`; see `ctrsel.api.searching`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from ctrsel.api.searching import Search, measured
from ctrsel.core.log import configure
from ctrsel.data.table import Table

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # Linux


def main(job: Path, parent: int) -> None:
    """Search, and save what came of it.

    Args:
        job: A file that says what.
        parent: The process id of who started this one.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a search that nobody waits for ends
    if os.getppid() != parent:
        return
    configure(as_json=False, quiet=True)
    given = json.loads(job.read_text(encoding="utf-8"))
    table = Table.load(Path(given["table"]))
    measured(table, Search.from_dict(given), work=Path(given["work"])).save(Path(given["out"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
