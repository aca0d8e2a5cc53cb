"""Registering: the page that travels with a version tells how it stands against the champion, and brings its tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.registering import register_reviewed
from ctrsel.records.audit import Audit
from ctrsel.records.evidence import Evidence
from ctrsel.records.review import Review
from ctrsel.records.selection_account import VALUE_COLUMNS, SelectionAccount
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.registry import SmallRegistry
from ctrsel.testing.runs import tiny_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_page_that_travels_knows_the_champion_and_its_tables_come_along(tmp_path: Path) -> None:
    import mlflow

    small = SmallRegistry.make(tmp_path)
    model = small.good()
    small.register(model, seed=1)
    run = tiny_run(small.table, model, name="clicks", seed=2)
    values = pl.LazyFrame([{"field": "site", "value": "=cmd()", "rows": 40}], schema=dict(VALUE_COLUMNS))
    values = values.with_columns(reason=pl.lit("kept"), outcome=pl.lit("kept"))
    made = register_reviewed(
        run,
        config=small.config,
        model=model,
        table=small.table,
        evidence=Evidence(
            audit=Audit(findings=()), account=SelectionAccount(method="toy", cut=None, fields=(), values=values)
        ),
        logits=np.asarray(model.logits(small.table.part("test")))[:, 0],
        report=tmp_path / "report.html",
        out=tmp_path,
        proof=False,
    )
    with quiet_mlflow(made.tracking_uri):
        down = mlflow.artifacts.download_artifacts(artifact_uri=made.model_uri, dst_path=str(tmp_path / "down"))
    page = next(Path(down).rglob("report/index.html"))
    assert "against version 1 on the same" in page.read_text(encoding="utf-8")
    assert pl.read_parquet(page.parent / "report-tables" / "values.parquet")["value"].to_list() == ["=cmd()"]
    assert Review.load(tmp_path / "review").champion == 1
