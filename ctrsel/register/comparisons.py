"""Comparisons of selectors in MLflow: one run with the areas and the named selector's figures, and the page as files."""

from __future__ import annotations

import time
from pathlib import Path

from ctrsel.core.artifact import to_json
from ctrsel.core.config import RegisterConfig
from ctrsel.records.selection_comparison import SelectionComparison
from ctrsel.register.promotion import user
from ctrsel.register.store import Store, quiet_mlflow

__all__ = ["log_comparison"]


def log_comparison(found: SelectionComparison, *, files: Path, config: RegisterConfig, out: Path) -> str:
    """Log a comparison, in place of what an earlier command logged of the same table and judges, and return the run's id.

    Args:
        found: The comparison.
        files: A folder whose files go with it (the page and the drawing).
        config: Where it goes.
        out: The run's folder.

    Raises:
        ConfigError: If the store cannot be used.
    """
    from mlflow.entities import Metric, Param

    store = Store.of(config, out=Path(out))
    key = f"{found.table}-{found.unit}"
    with quiet_mlflow(store.uri):
        client = store.client()
        experiment = store.experiment(client, found.name)
        before = client.search_runs([experiment], f"tags.`ctrsel.comparison` = '{key}'")
        tags = {"ctrsel.comparison": key, "mlflow.user": user(), "mlflow.source.name": "ctrsel"}
        run = client.create_run(experiment, tags=tags, run_name=f"{found.name} select --compare").info.run_id
        now = int(time.time() * 1000)
        told = {
            "unit": found.unit,
            "total": found.total,
            "min_count": found.min_count,
            "shares": list(found.shares),
            "seeds": list(found.seeds),
            "margin": found.margin,
            "judges": list(found.judges),
            "selectors": [c.name for c in found.contestants if c.role == "selector"],
            "named": found.naming.selector,
            "named_share": found.naming.share,
            "digest": found.digest,
        }
        client.log_batch(
            run,
            metrics=[Metric(k, v, now, 0) for k, v in _numbers(found).items()][:1000],
            params=[Param(k, v if isinstance(v, str) else to_json(v)[:500]) for k, v in told.items()],
        )
        client.log_artifacts(run, str(files))
        client.set_terminated(run, status="FINISHED")
        for old in before:
            client.delete_run(old.info.run_id)
    return str(run)


def _numbers(found: SelectionComparison) -> dict[str, float]:
    numbers = {"cells_run": float(sum(c.run for c in found.cells)), "cells": float(len(found.cells))}
    for curve in found.curves:
        if curve.area is not None:
            numbers[_key(f"area_{curve.split}/{curve.judge}/{curve.contestant}")] = curve.area
    for line in found.pairs:
        if line.contestant == found.naming.selector and line.value is not None:
            place = f"{line.split}/{line.judge}/{line.share:g}/to_{line.against}"
            numbers[_key(f"difference_{place}")] = line.value
            if line.low is not None:
                numbers[_key(f"difference_low_{place}")] = line.low
    return numbers


def _key(text: str) -> str:
    """Return a name that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in text)
