"""The registered version behind MLflow's own HTTP server answers what Python answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import mlflow
import numpy as np
import polars as pl
import pytest

from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.tables import tiny_frame

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(600)]


def ask(address, body):
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def test_python_mlflow_and_http_predict_the_same(registered, serve):
    made = registered.made
    rows = tiny_frame(rows=50, seed=11).drop("click")
    expected = registered.model.probabilities(rows)[:, 0]
    with quiet_mlflow(made.tracking_uri):
        by_mlflow = mlflow.pyfunc.load_model(made.model_uri).predict(rows.to_pandas())["probability"]
    np.testing.assert_allclose(by_mlflow, expected, atol=1e-6, rtol=0)

    arguments = ("models", "serve", "--model-uri", made.model_uri, "--env-manager", "local")
    address = serve(*arguments, health="/ping", uri=made.tracking_uri)
    texts = rows.select(pl.all().cast(pl.String))
    columns = {c: rows[c].to_list() for c in rows.columns}
    for body in (
        {"dataframe_records": rows.to_dicts()},
        {"dataframe_records": texts.to_dicts()},
        {"dataframe_split": {"columns": rows.columns, "data": [list(r) for r in rows.rows()]}},
        {"inputs": columns},
        {"instances": texts.to_dicts()},
    ):
        found = [p["probability"] for p in ask(address, body)]
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0, err_msg=next(iter(body)))

    [answer] = ask(address, {"dataframe_records": [{"site": "new", "hour": None}], "params": {"details": True}})
    assert (answer["other"], answer["missing"]) == (1, 5)
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(address, {"dataframe_records": [{"load": "heavy"}]})
    assert refused.value.code == 400
    assert "column 'load': row 1 must be a number, got 'heavy'" in refused.value.read().decode()
