"""A model of a planted XOR pair, of which only the cross is kept: registered, loaded back, and served on raw rows."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import polars as pl
import pytest

from ctrsel.api.evaluate import compare_auc, evaluate
from ctrsel.data.example import example_rows
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Noise, Planted, Weak, Xor
from ctrsel.records.feature_set import FeatureSet
from ctrsel.register import register_run
from ctrsel.register.package import signature
from ctrsel.register.store import quiet_mlflow
from ctrsel.serve import ServingModel, score_file
from ctrsel.testing.runs import tiny_run
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

PLANTED = Planted(
    parts=(
        Weak(name="ad", values=20),
        Xor(left="site", right="hour", values=6, effect=1.0),
        Noise(name="cookie", values=30),
    ),
    rows=8000,
    seed=1,
)


@pytest.fixture(scope="module")
def frame():
    return PLANTED.frame()


@pytest.fixture(scope="module")
def tables(frame):
    """The table without crosses, with one, and with the cross and `ad` alone."""
    plain = ingest(frame, schema=PLANTED.schema, seed=1)
    crossed = plain.crossed([("site", "hour")])
    keep = {n: np.ones(v.size, dtype=bool) for n, v in crossed.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(
        keep, fields=("ad", "site*hour"), method="hand", params={}, encoder=crossed.encoder.digest
    )
    return plain, crossed, crossed.narrow(features)


TREES = BoostedLearner(rounds=20, leaves=4)


def test_small_trees_find_with_a_cross_what_they_cannot_without(tables):
    plain = tables[0]
    models = [TREES.fit(t.without("test"), seed=1).model for t in tables]
    before, after, least = (evaluate(m, t, seed=1) for m, t in zip(models, tables, strict=True))
    assert after.metrics["auc"].value > before.metrics["auc"].value + 0.1
    assert compare_auc(plain, after.logits, before.logits).low > 0.05
    assert least.metrics["auc"].value > before.metrics["auc"].value + 0.1


def test_raw_inputs_are_the_signature_and_what_is_counted(tables, frame, tmp_path):
    small = tables[2]
    model = TREES.fit(small.without("test"), seed=1).model
    model.save(tmp_path / "model")
    serving = ServingModel.load(tmp_path / "model")
    assert serving.inputs == ("ad", "site", "hour")
    assert signature(model).inputs.input_names() == ["ad", "site", "hour"]
    rows = pl.DataFrame(
        {
            "ad": ["ad=1", "new", "ad=1", "ad=1"],
            "site": ["site=1", "new", None, "site=1"],
            "hour": ["hour=1", "hour=1", None, None],
            "site*hour": ["x"] * 4,
        }
    )
    scored = serving.score(rows)
    assert scored.ignored == ("site*hour",)
    assert scored.absent == ()
    assert scored.other.tolist() == [0, 2, 0, 1]  # a site without an hour never came in training
    assert scored.missing.tolist() == [0, 0, 1, 0]
    assert scored.other_by_field == {"ad": 1, "site*hour": 2}
    without = serving.score(rows.drop("hour"))
    assert without.absent == ("hour",)
    frame[:500].write_parquet(tmp_path / "rows.parquet")
    summary = score_file(serving, tmp_path / "rows.parquet", tmp_path / "scores.parquet")
    assert set(summary.other) == {"ad", "site*hour"} == set(summary.other_trained)
    got = pl.read_parquet(tmp_path / "scores.parquet")["probability"]
    np.testing.assert_allclose(got, model.probabilities(small.encoder.encode(frame[:500]))[:, 0], atol=1e-6)


@pytest.mark.slow  # each proves its version in a fresh process
@pytest.mark.parametrize("learner", [TREES, NetLearner(max_epochs=1)], ids=["boosted", "net"])
def test_registered_and_proven(given, tables, frame, learner):
    small = tables[2]
    model = learner.fit(small.without("test"), seed=1).model
    example = example_rows(model.encoder, 5, seed=1)
    assert example.columns == ["ad", "site", "hour"]
    more = {"model": model, "feature_set": None, "example": example, "proof": True}
    made = register_run(tiny_run(small, model), **{**given.arguments, **more})
    with quiet_mlflow(made.tracking_uri):
        loaded = mlflow.pyfunc.load_model(made.model_uri)
    rows = frame[small.row[small.span("test")]].drop("label")
    expected = model.probabilities(small.part("test"))[:, 0]
    np.testing.assert_allclose(loaded.predict(rows.to_pandas())["probability"], expected, atol=1e-6, rtol=0)
    one = json.loads(rows[:1].write_json())
    np.testing.assert_allclose(loaded.predict(one)["probability"], expected[:1], atol=1e-6, rtol=0)
