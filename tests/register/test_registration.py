from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError
from ctrsel.register import find_registration, register_run, registration
from ctrsel.register.log import holder
from ctrsel.register.promotion import promotion_log
from ctrsel.register.store import Store, quiet_mlflow
from ctrsel.testing.tables import tiny_frame


def client_of(given):
    return Store.of(given.arguments["config"], out=given.out).client()


def load(uri, given):
    import mlflow

    with quiet_mlflow(f"sqlite:///{given.out / 'mlflow.db'}"):
        return mlflow.pyfunc.load_model(uri)


@pytest.fixture
def no_pickle(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


def test_a_run_becomes_a_version_that_a_reviewer_can_read(registered, net, features):
    given, made = registered, registered.made
    client = client_of(given)
    version = client.get_model_version("tiny", "1")
    assert (made.model_name, made.version, made.model_uri) == ("tiny", 1, "models:/tiny/1")
    assert made.ui_command == f"mlflow ui --backend-store-uri 'sqlite:///{given.out}/mlflow.db' --port 5000"
    assert version.description == given.arguments["card"]
    assert sorted(version.aliases) == ["challenger", "champion"]
    wanted = {
        "verdict": "promoted",
        "test_auc": "0.7500 (0.7200 to 0.7800)",
        "delta_auc": "-0.0010 (-0.0030 to +0.0010)",
        "table_digest": given.run.table.digest,
        "feature_set_digest": features.digest,
        "model_digest": net.digest,
    }
    assert version.tags.items() >= wanted.items()

    done = client.get_run(made.run_id)
    assert done.info.status == "FINISHED"
    assert done.data.params["learners.net.use"] == "net"
    assert done.data.params["rank.0.use"] == "mutual_information"
    assert done.data.metrics["test_auc"] == 0.75
    assert done.data.metrics["net all values/test_auc"] == 0.751
    assert [m.value for m in client.get_metric_history(made.run_id, "search/valid_auc")] == [0.7, 0.74]
    data = done.inputs.dataset_inputs[0].dataset
    assert (data.digest, json.loads(data.profile)["rows"]["train"]) == (given.run.table.digest, 481)

    logged = client.get_logged_model(version.source.removeprefix("models:/"))
    linked = {m.key: m for m in logged.metrics}
    assert linked["test_auc"].value == 0.75
    assert linked["test_auc"].dataset_digest == given.run.table.digest
    assert "search/valid_auc" not in linked
    assert "net all values/test_auc" not in linked


def test_files_travel_with_the_run_and_with_the_version(registered):
    given, made = registered, registered.made
    client = client_of(given)
    folder = Path(client.get_run(made.run_id).info.artifact_uri.removeprefix("file://").replace("%20", " "))
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "report/index.html",
        "contenders.csv",
        "config.yaml",
        "run/manifest.json",
        "rankings/mutual_information.parquet",
        "feature_set/values.parquet",
        "feature_set/feature_set.json",
        "promotion/log.json",
    }
    assert pl.read_csv(folder / "contenders.csv").filter(pl.col("chosen"))["name"].to_list() == ["net, toy gates"]
    values = pl.read_parquet(folder / "feature_set" / "values.parquet")
    assert set(values.filter("kept", vocabulary="site")["value"]) < {"site0", "site1", "site2", "site3"}
    assert values.filter(~pl.col("kept"))["value"].null_count() == values.filter(~pl.col("kept")).height

    model = load(made.model_uri, given)
    stored = Path(model._model_impl.context.artifacts["model"]).parent
    assert "A tiny report" in (stored / "report" / "index.html").read_text()
    assert {p.name for p in stored.iterdir()} == {"model", "report", "example", "feature_set"}
    whole = stored.parent
    carried = {str(p.relative_to(whole / "code")) for p in (whole / "code").rglob("*.py")}
    assert "ctrsel/models/net.py" in carried
    assert not {p for p in carried if p.startswith(("ctrsel/register", "ctrsel/data/datasets", "ctrsel/select"))}
    requirements = (whole / "requirements.txt").read_text()
    assert "torch==" in requirements
    assert "+cpu" not in requirements
    assert not any(name in requirements for name in ("lightgbm", "optuna", "shap", "scikit-learn", "numba"))
    assert sum(p.stat().st_size for p in whole.rglob("*") if p.is_file()) < 600_000


def test_the_version_predicts_what_the_model_predicts(registered, net, no_pickle):
    given, made = registered, registered.made
    model = load(made.model_uri, given)
    rows = tiny_frame(rows=200, seed=9)
    expected = net.probabilities(rows)[:, 0]
    texts = rows.select(pl.all().cast(pl.String)).to_pandas()
    for frame in (texts, rows.to_pandas(), texts[list(reversed(texts.columns))], texts.astype("category")):
        found = model.predict(frame)
        assert list(found.columns) == ["probability"]
        np.testing.assert_allclose(found["probability"], expected, atol=1e-6, rtol=0)
    expected = net.probabilities(rows.drop("ad", "hour"))[:, 0]
    np.testing.assert_allclose(model.predict(texts.drop(columns=["ad", "hour"]))["probability"], expected, atol=1e-6)


def test_what_the_version_does_not_know_is_counted(registered):
    import pandas as pd

    model = load(registered.made.model_uri, registered)
    rows = pd.DataFrame(
        {"site": ["site1", None, "never seen"], "ad": ["x", "y", "z"], "hour": ["3", None, "5"], "extra": 1}
    )
    found = model.predict(rows, params={"details": True})
    assert list(found.columns) == ["probability", "logit", "other", "missing"]
    assert found["missing"].tolist() == [2, 4, 2]  # noise and load have no column
    assert (found["other"] >= 1).all()
    np.testing.assert_allclose(found["probability"], 1 / (1 + np.exp(-found["logit"])), rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"load": ["heavy"]}, "column 'load': row 1 must be a number, got 'heavy'"),
        ({"unknown": ["a"]}, "at least one of the model's"),
        ({"site": [{"a": 1}]}, "column 'site'"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused_in_one_sentence(registered, rows, message):
    import pandas as pd
    from mlflow.exceptions import MlflowException

    model = load(registered.made.model_uri, registered)
    with pytest.raises(MlflowException, match=message):
        model.predict(pd.DataFrame(rows))


def test_an_equal_run_finds_its_version(given, light):
    find = {"config": given.arguments["config"], "out": given.out}
    assert find_registration(given.run, **find) is None
    made = register_run(given.run, **given.arguments)
    later = replace(given.run, created="2027-01-01T00:00:00+00:00", stages=(), registration=made)
    assert find_registration(later, **find) == made
    assert find_registration(replace(given.run, seed=2), **find) is None
    assert find_registration(given.run, config=RegisterConfig(model_name="other"), out=given.out) is None


def test_nothing_is_looked_up_in_a_store_that_is_not_there(given, tmp_path):
    assert find_registration(given.run, config=RegisterConfig(), out=tmp_path / "new") is None
    assert not (tmp_path / "new").exists()


def test_promotions_are_logged_and_never_forgotten(given, light):
    first = register_run(given.run, **given.arguments)
    refused = replace(
        given.run, seed=2, verdict=replace(given.run.verdict, promoted=False, reasons=("FAILED: too large",))
    )
    second = register_run(refused, **given.arguments)
    third = register_run(replace(given.run, seed=3), **given.arguments)
    client = client_of(given)
    assert (holder(client, "tiny", "champion"), holder(client, "tiny", "challenger")) == (3, 3)
    log = promotion_log("tiny", config=given.arguments["config"], out=given.arguments["out"])
    assert [(e["candidate"], e["decision"], e["from"], e["to"]) for e in log] == [
        (1, "promoted", None, 1),
        (2, "refused", 1, 1),
        (3, "promoted", 1, 3),
    ]
    assert log[1]["why"] == ["FAILED: too large"]
    assert log[2]["same_table_as_champion"] is True
    assert log[2]["who"]
    stored = Path(client.download_artifacts(third.run_id, "promotion/log.json", str(given.out)))
    assert json.loads(stored.read_text()) == log
    assert (first.version, second.version, third.version) == (1, 2, 3)


class StopError(Exception):
    pass


STEPS = ["package", "prove", "dataset", "decision", "record", "_move_alias", "_create_version"]


@pytest.mark.parametrize("error", [StopError("the disk burns"), KeyboardInterrupt()], ids=["failure", "interrupt"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("light")
def test_a_registration_that_fails_leaves_nothing(given, monkeypatch, step, error):
    from mlflow.exceptions import MlflowException

    def fails(*_args, **_more):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(registration, step, fails)
        with pytest.raises(type(error)):
            register_run(given.run, **{**given.arguments, "proof": step == "prove"})
    client = client_of(given)
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("tiny")
    [experiment] = [e for e in client.search_experiments() if e.name == "tiny"]
    statuses = [r.info.status for r in client.search_runs([experiment.experiment_id])]
    before_the_run = step in ("package", "prove")
    assert statuses == ([] if before_the_run else ["FAILED" if isinstance(error, Exception) else "KILLED"])
    assert client.search_logged_models([experiment.experiment_id]) == []
    assert find_registration(given.run, config=RegisterConfig(), out=given.out) is None


def test_a_failure_after_the_aliases_moved_moves_them_back(given, light, monkeypatch):
    register_run(given.run, **given.arguments)
    client = client_of(given)
    moved = registration._move_alias

    def fails_late(*args):
        moved(*args)
        if args[2] == "champion":
            raise StopError

    monkeypatch.setattr(registration, "_move_alias", fails_late)
    with pytest.raises(StopError):
        register_run(replace(given.run, seed=2), **given.arguments)
    assert (holder(client, "tiny", "champion"), holder(client, "tiny", "challenger")) == (1, 1)
    assert [v.version for v in client.search_model_versions("name='tiny'")] == [1]


def test_what_a_killed_process_left_is_swept_by_the_next_one(given, light):
    made = register_run(given.run, **given.arguments)
    client = client_of(given)
    client.delete_model_version_tag("tiny", "1", "promotion")
    client.update_run(made.run_id, status="RUNNING")
    assert find_registration(given.run, config=RegisterConfig(), out=given.out) is None
    again = register_run(given.run, **given.arguments)
    assert [v.version for v in client.search_model_versions("name='tiny'")] == [again.version]
    assert client.get_run(made.run_id).info.status == "KILLED"


def test_a_models_name_is_checked_first(given):
    with pytest.raises(ConfigError, match=r"register\.model_name: .* got 'a/b'"):
        register_run(given.run, **{**given.arguments, "config": RegisterConfig(model_name="a/b")})


def test_passwords_stay_out_of_everything_that_is_stored(given):
    secret = {
        "register": {"tracking_uri": "postgresql://ann:secret@db/x"},
        "data": {"train": "s3://key:secret@store/x"},
    }
    made = register_run(replace(given.run, config=secret), **given.arguments)
    assert client_of(given).get_run(made.run_id).data.params["register.tracking_uri"] == "postgresql://***@db/x"
    found = [p for p in (given.out / "mlartifacts").rglob("*") if p.is_file() and b"secret" in p.read_bytes()]
    assert found == []
    assert b"ann:secret" not in (given.out / "mlflow.db").read_bytes()


def test_no_file_appears_in_the_working_directory_and_no_setting_stays(given, tmp_path, capfd, recwarn):
    import mlflow

    before = dict(os.environ)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    register_run(given.run, **given.arguments)
    assert list(elsewhere.iterdir()) == []
    assert dict(os.environ) == before
    assert not mlflow.is_tracking_uri_set()
    assert mlflow.active_run() is None
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert list(recwarn) == []
