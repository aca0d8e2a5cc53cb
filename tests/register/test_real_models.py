from __future__ import annotations

import mlflow
import numpy as np
import pytest

from ctrsel.data.example import example_rows
from ctrsel.register import register_run
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.runs import tiny_run
from ctrsel.testing.tables import sequence_frame, sequence_table, tiny_frame, tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

pytestmark = pytest.mark.slow  # each trains a model and proves its version in a fresh process


@pytest.mark.parametrize("data", ["tiny", "sequence"])
@pytest.mark.parametrize(
    "learner", [BoostedLearner(rounds=5, patience=5, leaves=4), NetLearner(max_epochs=1)], ids=["boosted", "net"]
)
def test_trained_models_are_registered_and_proven(given, learner, data):
    table = tiny_table() if data == "tiny" else sequence_table()
    model = learner.fit(table.without("test"), seed=1).model
    example = example_rows(model.encoder, 5, seed=1)
    more = {"model": model, "feature_set": None, "example": example, "proof": True}
    made = register_run(tiny_run(table, model), **{**given.arguments, **more})
    with quiet_mlflow(made.tracking_uri):
        loaded = mlflow.pyfunc.load_model(made.model_uri)
    rows = tiny_frame(rows=30, seed=5) if data == "tiny" else sequence_frame(rows=30, seed=5)
    expected = model.probabilities(rows)[:, 0]
    np.testing.assert_allclose(loaded.predict(rows.to_pandas())["probability"], expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose(loaded.predict(rows.to_dicts())["probability"], expected, atol=1e-6, rtol=0)
