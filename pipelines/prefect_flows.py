"""The pipelines as deployments of Prefect 3: every night ingest, watch, train and score, on Sundays rank (docs/how-to/prefect.md)."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

from prefect import flow, serve
from prefect.settings import PREFECT_API_URL

from ctrsel.core.config import load_config
from pipelines.prefect_job import prefect_job

__all__ = ["main", "nightly", "weekly"]


@flow(name="nightly")
def nightly(config: str, as_of: datetime.date | None = None) -> list[Any]:
    """Ingest, watch, train and score, whether or not the one before succeeded; failed if any of them failed."""
    sections = load_config(config).pipelines
    daily = ["ingest_daily", "monitor"] if sections.ingest_daily is not None else []
    names = [*daily, "select_and_train", *(["score_batch"] if sections.score_batch is not None else [])]
    return [prefect_job(name, config, as_of, return_state=True) for name in names]


@flow(name="weekly")
def weekly(config: str, as_of: datetime.date | None = None) -> None:
    """Rank the fields."""
    prefect_job("rank_weekly", config, as_of)


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
    each = (nightly.to_deployment(cron=f"{clock} *", **made), weekly.to_deployment(cron=f"{clock} SUN", **made))
    serve(*each, limit=1)  # type: ignore[arg-type]  # sync here, though annotated for both


if __name__ == "__main__":
    main()
