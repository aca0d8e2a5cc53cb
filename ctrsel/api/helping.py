"""Helping: processes that work on the trainings of a comparison beside the one that was asked for it.

A helper is told the protocol, the contest and the folders, takes what nobody has claimed, and decides nothing: the naming and
the test rows are the first process's. `python -m ctrsel.api.helping JOB PARENT` is one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ctrsel.api.comparison_run import ComparisonRun
from ctrsel.api.contestants import Contest
from ctrsel.api.judging import Cells
from ctrsel.api.protocol import Protocol
from ctrsel.api.searching import Searches
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.children import die_with, import_path
from ctrsel.core.log import configure, event
from ctrsel.data.table import Table

__all__ = ["helped", "main"]


@contextlib.contextmanager
def helped(run: ComparisonRun, *, helpers: int, folder: Path) -> Iterator[None]:
    """Let helpers work on a run while the block runs, and end them with it.

    Args:
        run: Its table is that of both stages.
        helpers: How many.
        folder: For their jobs and their own words.
    """
    if not helpers:
        yield
        return
    job = {
        "table": str(run.searches.saved(run.known)),
        "protocol": run.protocol.to_dict(),
        "contest": asdict(run.contest),
        "cells": str(run.cells.path.absolute()),
        "models": None if run.cells.models is None else str(run.cells.models.absolute()),
        "searches": str(run.searches.folder.absolute()),
        "claims": str(run.claims.absolute()),
        "seconds": run.left,
    }
    folder.mkdir(parents=True, exist_ok=True)
    atomic_text(folder / "job.json", to_json(job))
    started = []
    try:
        for number in range(helpers):
            with (folder / f"{number}.txt").open("wb") as words:
                process = subprocess.Popen(
                    [sys.executable, "-m", "ctrsel.api.helping", str(folder / "job.json"), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    env={**os.environ, "PYTHONPATH": import_path()},
                    start_new_session=True,  # Ctrl-C is for who was asked
                )
            started.append(process)
        yield
    finally:
        for number, process in enumerate(started):
            code = process.poll()
            process.kill()
            process.wait()
            if code:
                lines = (folder / f"{number}.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                event("helper broke down", number=number, code=code, said=lines[-1] if lines else "nothing")


def main(job: Path, parent: int) -> None:
    """Help until nothing is left to be done.

    Args:
        job: A file that says with what.
        parent: The process id of who started this one.
    """
    die_with(parent)
    configure(as_json=False, quiet=True)
    given = json.loads(job.read_text(encoding="utf-8"))
    protocol, seconds = Protocol.from_dict(given["protocol"]), given["seconds"]
    contest = given["contest"]
    run = ComparisonRun(
        protocol=protocol,
        contest=Contest(
            specs=contest["specs"],
            selectors=tuple(contest["selectors"]),
            controls=tuple(contest["controls"]),
            refused=contest["refused"],
        ),
        known=Table.load(Path(given["table"])),
        cells=Cells.open(Path(given["cells"]), models=None if given["models"] is None else Path(given["models"])),
        searches=Searches(folder=Path(given["searches"]), apart=protocol.apart),
        claims=Path(given["claims"]),
        until=None if seconds is None else time.monotonic() + seconds,
    )
    run.stages()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
