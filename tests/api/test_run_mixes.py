"""A whole run whose chosen model is a calibrated ensemble of trees and nets."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.models.model import Model
from ctrsel.testing.tables import tiny_frame

pytestmark = pytest.mark.slow

NET = {
    "use": "net",
    "backbone": {"use": "deepfm", "hidden": [8]},
    "width": 4,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "max_epochs": 2,
}
MIX = {"use": "ensemble", "members": [{"use": "boosted", "rounds": 10}, NET], "seeds": 2}


@pytest.fixture
def config(small_plan, tmp_path):
    def make(learner):
        return small_plan(
            learners={
                "boosted": {"use": "boosted", "rounds": 10},
                "mix": MIX,
                "sure": {"use": "calibrated", "method": "platt", "learner": MIX},
                "sure_net": {"use": "calibrated", "method": "isotonic", "learner": NET},
            },
            select={
                "learner": learner,
                "selectors": ["ranking"]
                if learner == "sure"
                else [{"use": "gated", "gate": {"use": "optfs", "epochs": 3}}],
                "size": 0.5,
            },
            register={"enabled": True, "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"},
        ).config

    return make


def test_a_run_judges_explains_registers_and_serves_it(config):
    import mlflow

    from ctrsel.api.run import run
    from ctrsel.register.store import quiet_mlflow

    done = run(config("sure"))
    by_name = {c.name: c for c in done.run.contenders}
    assert {"mix, all values", "sure, all values", "sure_net, all values"} <= set(by_name)
    for name in ("mix, all values", "sure, all values"):
        found = by_name[name]
        assert found.bytes > by_name["sure_net, all values"].bytes > 0
        assert found.milliseconds > 0
        assert found.parameters > by_name["sure_net, all values"].parameters
        assert 0.5 < found.metrics["auc"].value <= 1
    assert done.model.predictor.kind == "calibrated"
    assert done.model.predictor.base.kind == "ensemble"
    chosen = done.explanations[-1]
    assert chosen.method == "by_parts"
    small = done.table.narrow(done.features).without("test")
    expected = done.model.logits(small.take(chosen.rows))[:, 0]
    np.testing.assert_allclose(chosen.base + chosen.values.sum(1), expected, atol=1e-4)

    rows = tiny_frame(rows=200, seed=9).drop("click")
    made = done.run.registration
    with quiet_mlflow(made.tracking_uri):
        served = mlflow.pyfunc.load_model(made.model_uri).predict(rows.to_pandas())["probability"].to_numpy()
    np.testing.assert_allclose(served, done.model.probabilities(rows)[:, 0], atol=1e-6)
    np.testing.assert_array_equal(Model.load(done.out / "model").logits(rows), done.model.logits(rows))

    again = run(config("sure"))
    assert all(s["reused"] for s in again.run.stages)


def test_gates_search_through_a_calibrated_net(config):
    from ctrsel.api.run import run

    done = run(config("sure_net"))
    assert done.features.method == "gated"
    assert done.model.predictor.methods == ("isotonic",)
    assert done.model.predictor.base.kind == "net"
    assert "before the isotonic calibration" in done.explanations[-1].notes[0]
