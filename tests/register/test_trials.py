"""The best trials of a tuning in MLflow: one run with the leaderboard, nested runs, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.records.leaderboard import Leaderboard, Trial
from ctrsel.register.store import quiet_mlflow
from ctrsel.register.trials import TrialLogger


def trial(number: int, score: float) -> Trial:
    return Trial(
        number=number,
        learner="net",
        spec={"use": "net"},
        values={"net.width": 8, "net.backbone.deepfm.hidden": [4, 4]},
        origin="drawn",
        outcome="done",
        score=score,
        valid={},
        seconds=1.0,
        again=(score - 0.01,),
        command=f"ctrsel tune a.yaml --score {number}",
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "tune" / "study-1"
    board = Leaderboard(
        name="clicks",
        objective="auc",
        table="t",
        never_use=(),
        seed=1,
        seeds=(2,),
        trials=(trial(2, 0.8), trial(0, 0.7), trial(1, 0.6)),
        best=2,
        start=0,
    )
    board.save(folder / "leaderboard")
    (folder / "best.yaml").write_text("learners: {}\n")
    return folder


@pytest.mark.slow
def test_a_run_and_its_nested_runs(study, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = RegisterConfig(tracking_uri=uri)
    for _ in range(2):  # the second takes the place of the first
        logger = TrialLogger("clicks", config=config, out=tmp_path, words=tmp_path / "words.txt")
        assert logger.log(study, top=2, seconds=500) is None, (tmp_path / "words.txt").read_text()
    with quiet_mlflow(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        runs = client.search_runs([client.get_experiment_by_name("clicks").experiment_id])
        [parent] = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
        nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(runs) == 3
        assert {r.data.params["trial"] for r in nested} == {"2", "0"}
        assert parent.data.metrics["valid_auc"] == 0.8
        assert parent.data.metrics["other_seeds"] == pytest.approx(0.79)
        assert parent.data.params["command"] == "ctrsel tune a.yaml --score 2"
        files = {f.path for f in client.list_artifacts(parent.info.run_id)}
        assert files == {"leaderboard", "best.yaml"}


@pytest.mark.slow
def test_a_store_that_cannot_be_used_is_a_reason(study, tmp_path):
    config = RegisterConfig(tracking_uri="somewhere")
    logger = TrialLogger("clicks", config=config, out=tmp_path, words=tmp_path / "words.txt")
    assert "must be a database or a server" in str(logger.log(study, top=2, seconds=500))
