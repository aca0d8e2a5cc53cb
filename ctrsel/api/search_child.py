"""A search in a process of its own: `python -m ctrsel.api.search_child JOB PARENT`; see `ctrsel.api.searching`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ctrsel.api.searching import Search, measured
from ctrsel.core.children import die_with
from ctrsel.core.log import configure
from ctrsel.data.table import Table

__all__ = ["main"]


def main(job: Path, parent: int) -> None:
    """Search, and save what came of it.

    Args:
        job: A file that says what.
        parent: The process id of who started this one.
    """
    die_with(parent)  # a search that nobody waits for ends
    configure(as_json=False, quiet=True)
    given = json.loads(job.read_text(encoding="utf-8"))
    table = Table.load(Path(given["table"]))
    measured(table, Search.from_dict(given), work=Path(given["work"])).save(Path(given["out"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
