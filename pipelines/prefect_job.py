"""A job as a task of Prefect: a process of its own, so that no thread of Prefect meets those of LightGBM and torch."""

from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

from prefect import get_run_logger, task

from ctrsel.cli.failure import EXIT_CODES
from ctrsel.core.errors import CtrselError, UnreachableError

__all__ = ["prefect_job"]

# Seconds between tries; a job has tried for minutes itself before it says that a server is unreachable.
_WAITS = [600.0, 1800.0, 3600.0]


def _unreachable(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), UnreachableError)


@task(task_run_name="{name}", retries=len(_WAITS), retry_delay_seconds=_WAITS, retry_condition_fn=_unreachable)
def prefect_job(name: str, config: str, as_of: datetime.date | None) -> None:
    """Run `python -m pipelines.NAME CONFIG`; its lines become the log of the run, its exit code an error."""
    command = [sys.executable, "-m", f"pipelines.{name}", config, *(["--as-of", as_of.isoformat()] if as_of else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                get_run_logger().info(line.rstrip())
            code = process.wait()
        except BaseException:  # Prefect cancels by an exception: the job must not go on alone
            process.terminate()
            raise
    if code:
        error = UnreachableError if code == UnreachableError.exit_code else CtrselError
        raise error(f"{name} ended with exit code {code}: {EXIT_CODES.get(code, 'killed')}")
