"""Helping: processes that work on the trainings of a comparison beside the one that was asked for it.

A helper is told the protocol, the contest and the folders, takes what nobody has claimed, and decides nothing: the naming and
the test rows are the first process's. `python -m ctrsel.api.helping PARENT` is one; it reads its job from standard input.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ctrsel.api.comparison_run import ComparisonRun
from ctrsel.api.judging import Cells
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
        folder: For what they say.
    """
    if not helpers:
        yield
        return
    # As they are: through JSON the order of the judges or the type of a number could become another.
    job = pickle.dumps(
        {
            "table": run.searches.saved(run.known),
            "cells": run.cells.path,
            "models": run.cells.models,
            "seconds": run.left,
            "run": {k: getattr(run, k) for k in ("protocol", "contest", "searches", "claims")},
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(helpers):
            with (folder / f"{number}.txt").open("wb") as words:
                process = subprocess.Popen(
                    [sys.executable, "-m", "ctrsel.api.helping", str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=words,
                    stderr=words,
                    env={**os.environ, "PYTHONPATH": import_path()},
                    start_new_session=True,  # Ctrl-C is for who was asked
                )
            started.append(process)
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as words:  # one that broke down is told of below
                words.write(job)
        yield
    finally:
        for number, process in enumerate(started):
            code = process.poll()
            process.kill()
            process.wait()
            if code:
                lines = (folder / f"{number}.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                event("helper broke down", number=number, code=code, said=lines[-1] if lines else "nothing")


def main(parent: int) -> None:
    """Help until nothing is left to be done.

    Args:
        parent: The process id of who started this one, and writes the job.
    """
    die_with(parent)
    configure(as_json=False, quiet=True)
    job = pickle.load(sys.stdin.buffer)  # of our own parent
    run = ComparisonRun(
        **job["run"],
        known=Table.load(job["table"]),
        cells=Cells.open(job["cells"], models=job["models"]),
        until=None if job["seconds"] is None else time.monotonic() + job["seconds"],
    )
    run.stages()


if __name__ == "__main__":
    main(int(sys.argv[1]))
