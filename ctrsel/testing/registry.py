"""A small registry with a champion and challengers, made in seconds, for tests, examples and docs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.api.publish import register_reviewed
from ctrsel.core.config import (
    CheckConfig,
    DataConfig,
    FieldConfig,
    LabelConfig,
    RegisterConfig,
    RunConfig,
    SchemaConfig,
    SplitConfig,
)
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.audit import Audit
from ctrsel.records.evidence import Evidence
from ctrsel.records.run import Registration, Run
from ctrsel.testing.runs import tiny_net, tiny_run
from ctrsel.testing.tables import tiny_frame

__all__ = ["SmallRegistry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallRegistry:
    """Rows in a file, their table, and versions that are registered as a run does it.

    Attributes:
        folder: Where all of it lies.
        config: A run's, with an SQLite store in the folder.
        table: The ingested rows, split by time.
    """

    folder: Path
    config: RunConfig
    table: Table

    @staticmethod
    def make(folder: Path, *, rows: int = 2000, check: CheckConfig | None = None) -> SmallRegistry:
        """Write rows of 20 days with texts that mean something to HTML, spreadsheets and Markdown; `ad` is sensitive."""
        day = np.sort(np.arange(rows) % 20)
        frame = tiny_frame(rows=rows).with_columns(
            pl.col("site").replace({"site1": "<script>alert(1)</script>", "site2": "=cmd()", "site3": "a|b*c"}),
            pl.Series("day", day),
        )
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / "clicks.parquet")
        schema = SchemaConfig(
            label=LabelConfig(name="click", delay="1"),
            fields={"ad": FieldConfig(sensitive=True), "load": FieldConfig(kind="numeric", bucket="none")},
            ignore=("id",),
            time="day",
        )
        config = RunConfig(
            name="clicks",
            data=DataConfig(train=str(folder / "clicks.parquet")),
            schema=schema,
            split=SplitConfig(use="time", valid=0.1, test=0.3),
            register=RegisterConfig(
                tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", check=check or CheckConfig(latency_factor=1000.0)
            ),
        )
        table = ingest(config.data, schema=schema, split=config.split)
        return SmallRegistry(folder=folder, config=config, table=table)

    def good(self, *, rounds: int = 30) -> Model:
        """Return trees that know what there is to know."""
        from ctrsel.train import CATALOG

        return CATALOG.create({"use": "boosted", "rounds": rounds}).fit(self.table.without("test"), seed=1).model

    def poor(self) -> Model:
        """Return a net with random weights."""
        return tiny_net(self.table)

    def register(self, model: Model, *, seed: int, run: Run | None = None, proof: bool = False) -> Registration:
        """Register a model as a run does it: compared with the champion, checked, and described."""
        made = run or tiny_run(self.table, model, name="clicks", seed=seed)
        return register_reviewed(
            replace(made, config={"name": "clicks", "seed": seed}),
            config=self.config,
            model=model,
            table=self.table,
            evidence=Evidence(audit=Audit(findings=())),
            logits=model.logits(self.table.part("test"))[:, 0],
            report=self.folder / "report.html",
            out=self.folder,
            proof=proof,
        )
