"""Small plans, spies and models with known scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from ctrsel.api.plan import Plan, plan
from ctrsel.core.building import build
from ctrsel.core.config import RunConfig, load_config
from ctrsel.core.pipelines_config import FeedConfig, PipelinesConfig, ScoreConfig
from ctrsel.data.table import Table
from ctrsel.models._contract import Predictor
from ctrsel.models.model import Model
from ctrsel.testing.registry import SmallRegistry
from ctrsel.testing.tables import tiny_frame

NET = {
    "use": "net",
    "backbone": {"use": "deepfm", "hidden": [8]},
    "width": 4,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "max_epochs": 2,
}
GATE = {"use": "optfs", "epochs": 4, "penalty": 0.01, "gate_lr": 0.05}


class Given(Predictor):
    """Scores that are looked up by the row's number in the source."""

    kind: ClassVar[str] = "given"

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = np.asarray(scores, dtype=np.float32)
        self.calls: list[tuple[str, ...]] = []

    def logits(self, table: Table) -> np.ndarray:
        self.calls.append(tuple(table.splits))
        return self.scores[table.row][:, None]

    def narrow(self, old: Any, new: Any, features: Any) -> Predictor:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        np.save(folder / "scores.npy", self.scores)

    @classmethod
    def load(cls, folder: Path, encoder: Any) -> Predictor:
        return cls(np.load(folder / "scores.npy"))

    n_parameters = 0
    digest = "given"


@pytest.fixture(scope="session")
def given_model() -> Callable[..., Model]:
    """A model whose score of a source row is known."""

    def make(table: Table, scores: np.ndarray, *, offset: float = 0.0) -> Model:
        return Model(encoder=table.encoder, predictor=Given(scores), offset=offset)

    return make


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "clicks.parquet"
    tiny_frame(rows=600, seed=2).write_parquet(file)
    return file


@pytest.fixture
def small_plan(tiny_file: Path, tmp_path: Path) -> Callable[..., Plan]:
    """A plan over 600 rows that takes seconds; keyword arguments replace parts of the config."""

    def make(**changes: Any) -> Plan:
        given: dict[str, Any] = {
            "name": "tiny",
            "out": str(tmp_path / "out"),
            "data": {"train": str(tiny_file)},
            "schema": {"label": {"name": "click"}},
            "learners": {"boosted": {"use": "boosted", "rounds": 10}, "net": dict(NET)},
            "select": {"selectors": [{"use": "gated", "gate": dict(GATE)}, {"use": "ranking"}], "size": 0.5},
            "explain": {"max_rows": 40, "net_rows": 10, "background": 4},
        }
        return plan(build(RunConfig, {**given, **changes}, place="tiny"))

    return make


@pytest.fixture
def clicks_config(tmp_path: Path) -> Callable[..., RunConfig]:
    """A config as a user writes it, over 4,000 rows or another file of the test's folder; keywords are overrides."""
    tiny_frame(rows=4000).write_parquet(tmp_path / "clicks.parquet")

    def make(data: str = "clicks.parquet", extra: str = "", **overrides: Any) -> RunConfig:
        path = tmp_path / "run.yaml"
        path.write_text(f"name: a\ndata: {{train: {tmp_path / data}}}\nschema: {{label: {{name: click}}}}\n{extra}")
        return load_config(path, overrides=overrides)

    return make


@pytest.fixture(scope="session")
def hand_table() -> Callable[..., Table]:
    """A table whose test split is the given frame; train and valid are a copy each."""
    from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest

    def make(frame: pl.DataFrame, *, sensitive: tuple[str, ...] = (), **roles: Any) -> Table:
        schema = SchemaConfig(
            label=LabelConfig(name="click"),
            fields={f: FieldConfig(kind="categorical", sensitive=True) for f in sensitive},
            **roles,
        )
        return ingest({"train": frame, "valid": frame, "test": frame}, schema=schema)

    return make


@pytest.fixture(scope="session")
def champion_registry(tmp_path_factory):
    """A registry with version 1 (good, champion) and 2 (poor, challenger), and its rows as one file a day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry = SmallRegistry.make(tmp_path_factory.mktemp("daily") / "store")
        for seed, model in enumerate((registry.good(), registry.poor()), start=1):
            registry.register(model, seed=seed)
    frame = pl.read_parquet(registry.folder / "clicks.parquet")
    for day in range(20):
        frame.filter(pl.col("day") == day).write_parquet(registry.folder / f"2026-01-{day + 1:02d}.parquet")
    return registry


@pytest.fixture
def daily(champion_registry, tmp_path, monkeypatch):
    """A config over those days, with the registry copied so that it may be changed."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(champion_registry.folder / "mlflow.db", tmp_path / "mlflow.db")
    config, folder = champion_registry.config, champion_registry.folder
    schema = replace(config.schema, label=replace(config.schema.label, delay=None))
    return replace(
        config,
        schema=schema,
        out=str(tmp_path / "run"),
        register=replace(config.register, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"),
        pipelines=PipelinesConfig(
            ingest_daily=FeedConfig(source=f"{folder}/{{day}}.parquet", first="2026-01-01"),
            score_batch=ScoreConfig(source=f"{folder}/{{day}}.parquet", out=f"{tmp_path}/{{day}}.csv", keep=("id",)),
            retries=0,
        ),
    )
