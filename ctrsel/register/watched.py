"""Watched: figures of a version in use go to the metrics of its MLflow run, one step a day."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

from ctrsel.core.config import RegisterConfig
from ctrsel.records.watch import Watch
from ctrsel.register.store import Store, quiet_mlflow

__all__ = ["log_watch"]


def log_watch(found: Watch, *, run_id: str | None, config: RegisterConfig, out: Path) -> None:
    """Log a watch as metrics `monitor/...` of the version's run; the step is the day, counted from 1970-01-01.

    Args:
        found: The watch.
        run_id: MLflow's run of the version; None logs nothing.
        config: Where versions are registered.
        out: The run's folder.

    Raises:
        ConfigError, UnreachableError: If the store cannot be used.
    """
    if run_id is None:
        return
    from mlflow.entities import Metric

    store = Store.of(config, out=out)
    step = (datetime.date.fromisoformat(found.as_of) - datetime.date(1970, 1, 1)).days
    now = int(time.time() * 1000)
    numbers = {line.figure: line.value for line in found.lines if line.value is not None}
    numbers |= {"rows": float(found.rows), "alarms": float(len(found.alarms))}
    with quiet_mlflow(store.uri):
        client = store.client()
        store.reach(client)
        client.log_batch(run_id, metrics=[Metric(f"monitor/{k}", v, now, step) for k, v in sorted(numbers.items())])
