"""The jobs as deployments of Prefect 3: every night ingest, train, score and watch, on Sundays rank (docs/how-to/prefect.md).

Each job is a process of its own, so that no thread of Prefect meets those of LightGBM and torch; its exit code says how it ended.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, serve, task
from prefect.settings import PREFECT_API_URL

from ctrsel.cli.failure import EXIT_CODES
from ctrsel.core.config import load_config
from ctrsel.core.errors import CtrselError, UnreachableError

__all__ = ["job", "main", "nightly", "weekly"]

# Seconds between tries; a job has tried for minutes itself before it says that a server is unreachable.
_WAITS = [600.0, 1800.0, 3600.0]


def _unreachable(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), UnreachableError)


@task(task_run_name="{name}", retries=len(_WAITS), retry_delay_seconds=_WAITS, retry_condition_fn=_unreachable)
def job(name: str, config: str, as_of: datetime.date | None) -> None:
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


@flow(name="nightly")
def nightly(config: str, as_of: datetime.date | None = None) -> list[Any]:
    """Ingest; then train, score and watch, whether or not the one before succeeded; failed if any of them failed."""
    sections = load_config(config).pipelines  # one that is not given is not run
    if sections.ingest_daily is not None:
        job("ingest_daily", config, as_of)
    names = [n for n in ("select_and_train", "score_batch", "monitor") if getattr(sections, n) is not None]
    return [job(name, config, as_of, return_state=True) for name in names]


@flow(name="weekly")
def weekly(config: str, as_of: datetime.date | None = None) -> None:
    """Rank the fields."""
    job("rank_weekly", config, as_of)


def main() -> None:
    """Tell the server of both deployments, and start what is due, one run at a time, until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.prefect_flows")
    parser.add_argument("config", type=Path, help="the config (.yaml)")
    parser.add_argument("--time", type=datetime.time.fromisoformat, default="03:00", help="of the day, UTC")
    given = parser.parse_args()
    if not PREFECT_API_URL.value():
        parser.error("PREFECT_API_URL must be set, as http://127.0.0.1:4200/api: without a server nothing is scheduled")
    made: dict[str, Any] = {"name": given.config.stem, "parameters": {"config": str(given.config)}}
    clock = f"{given.time.minute} {given.time.hour} * *"
    deployments: list[Any] = [
        nightly.to_deployment(cron=f"{clock} *", **made),
        weekly.to_deployment(cron=f"{clock} SUN", **made),
    ]
    serve(*deployments, limit=1)


if __name__ == "__main__":
    main()
