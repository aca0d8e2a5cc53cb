from __future__ import annotations

import os
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.data.example import example_rows
from ctrsel.records.feature_set import RESERVED, FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.register import register_run, registration
from ctrsel.register.store import Store, quiet_mlflow
from ctrsel.testing.runs import tiny_net, tiny_run
from ctrsel.testing.tables import tiny_table


@pytest.fixture(scope="session", autouse=True)
def _mlflow():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401


@pytest.fixture(autouse=True)
def _no_store(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """One migrated database, since the migration takes seconds."""
    file = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    with quiet_mlflow(f"sqlite:///{file}"):
        Store(uri=f"sqlite:///{file}", artifacts=None).client().search_experiments()
    return file


@pytest.fixture(scope="session")
def table():
    return tiny_table(rows=600)


@pytest.fixture(scope="session")
def features(table):
    """Keep every second value of every vocabulary, and drop `id`."""
    keep = {}
    for name, vocabulary in table.encoder.vocabularies.items():
        mask = np.arange(vocabulary.size) % 2 == 1
        mask[:RESERVED] = True
        keep[name] = mask
    return FeatureSet.from_keep(
        keep,
        fields=tuple(n for n in table.schema.names if n != "id"),
        method="gated",
        params={"use": "gated"},
        encoder=table.encoder.digest,
    )


@pytest.fixture(scope="session")
def net(table, features):
    return tiny_net(table).narrow(features)


def arguments_of(out, *, table, features, net):
    """All arguments of a registration in a run folder."""
    report = out / "report.html"
    report.write_text("<!doctype html><html><head><title>tiny</title></head><body><h1>A tiny report</h1></body></html>")
    ranking = Ranking(
        method="mutual_information",
        params={},
        unit="nats",
        null=None,
        frame=pl.DataFrame({"field": ["ad", "site"], "score": [0.2, 0.1], "rank": [1, 2]}),
    )
    arguments = {
        "model": net,
        "feature_set": features,
        "report": report,
        "rankings": (ranking,),
        "config": RegisterConfig(),
        "out": out,
        "example": example_rows(net.encoder, 5, seed=1),
        "card": "## tiny\n\n| contender | AUC |\n| --- | --- |\n| net, toy gates | 0.75 |\n",
        "proof": False,
    }
    return SimpleNamespace(run=tiny_run(table, net), out=out, arguments=arguments)


@pytest.fixture
def given(tmp_path, database, table, features, net):
    """What a registration needs, in a run folder of its own with a migrated store."""
    out = tmp_path / "run folder"
    out.mkdir()
    shutil.copyfile(database, out / "mlflow.db")
    return arguments_of(out, table=table, features=features, net=net)


@pytest.fixture(scope="session")
def registered(tmp_path_factory, database, table, features, net):
    """One whole registration, to be read only."""
    out = tmp_path_factory.mktemp("registered") / "run folder"
    out.mkdir()
    shutil.copyfile(database, out / "mlflow.db")
    given = arguments_of(out, table=table, features=features, net=net)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    given.made = register_run(given.run, **given.arguments)
    return given


@pytest.fixture
def light(monkeypatch):
    """Registrations whose version's folder holds nothing, where it does not matter."""

    def packs(folder, *_args, **_more):
        folder.mkdir()
        (folder / "MLmodel").touch()

    monkeypatch.setattr(registration, "package", packs)
