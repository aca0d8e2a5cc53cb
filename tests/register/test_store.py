from __future__ import annotations

import os

import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError
from ctrsel.register.store import Store, public_uri, quiet_mlflow


def test_the_store_is_the_configs_then_the_environments_then_the_runs_own(tmp_path, monkeypatch):
    assert Store.of(RegisterConfig(), out=tmp_path) == Store(
        uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=f"file://{tmp_path}/mlartifacts"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000/")
    assert Store.of(RegisterConfig(), out=tmp_path) == Store(uri="http://tracker:5000", artifacts=None)
    assert Store.of(RegisterConfig(tracking_uri="sqlite:////a/b.db"), out=tmp_path).artifacts == "file:///a/mlartifacts"


def test_relative_addresses_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store.of(RegisterConfig(tracking_uri="sqlite:///x/m.db"), out=tmp_path).uri == f"sqlite:///{tmp_path}/x/m.db"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_folders_are_refused(tmp_path, uri):
    with pytest.raises(ConfigError, match=r"register\.tracking_uri: must be a database or a server"):
        Store.of(RegisterConfig(tracking_uri=uri), out=tmp_path)


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:////a/m.db", "mlflow ui --backend-store-uri sqlite:////a/m.db --port 5000"),
        ("postgresql://ann:pw@db/m", 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI" --port 5000'),
        ("http://tracker:5000", "python -m webbrowser 'http://tracker:5000/#/models/clicks/versions/3'"),
    ],
)
def test_one_command_opens_the_version(tmp_path, uri, command):
    store = Store.of(RegisterConfig(tracking_uri=uri), out=tmp_path)
    assert store.ui_command(model_name="clicks", version=3) == command


def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "m.db").write_text("this is no database, only text that is long enough to be taken for one " * 20)
    store = Store.of(RegisterConfig(tracking_uri=f"sqlite:///{tmp_path}/m.db"), out=tmp_path)
    with quiet_mlflow(store.uri), pytest.raises(ConfigError, match=r"m\.db cannot be used: .*not a database"):
        store.experiment(store.client(), "tiny")


def test_an_experiment_in_the_trash_is_named(tmp_path, database):
    store = Store(uri=f"sqlite:///{database}", artifacts=tmp_path.as_uri())
    with quiet_mlflow(store.uri):
        client = store.client()
        client.delete_experiment(store.experiment(client, "thrown away"))
        with pytest.raises(ConfigError, match="'thrown away' is in the trash"):
            store.experiment(client, "thrown away")


@pytest.mark.parametrize("by", ["environment", "call", "none"])
def test_the_callers_own_address_is_there_afterwards(monkeypatch, by):
    import mlflow

    if by == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////own.db")
    if by == "call":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # restored by the fixture
        mlflow.set_tracking_uri("sqlite:////called.db")
    before = dict(os.environ)
    with quiet_mlflow("sqlite:////other.db"):
        assert mlflow.get_tracking_uri() == "sqlite:////other.db"
    assert dict(os.environ) == before
    assert mlflow.is_tracking_uri_set() == (by != "none")
    if by != "none":
        assert mlflow.get_tracking_uri() == {"environment": "sqlite:////own.db", "call": "sqlite:////called.db"}[by]
    mlflow.set_tracking_uri(None)


def test_passwords_are_hidden():
    assert public_uri("mysql+pymysql://a:b@h/x and s3://k:s@t/y") == "mysql+pymysql://***@h/x and s3://***@t/y"
