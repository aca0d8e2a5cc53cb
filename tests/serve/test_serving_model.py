from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from ctrsel.core.errors import DataError
from ctrsel.models.model import Model
from ctrsel.serve import ServingModel
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_frame, sequence_table, tiny_frame, tiny_table


@pytest.fixture(scope="module")
def model():
    return tiny_net(tiny_table())


@pytest.fixture(scope="module")
def serving(model):
    return ServingModel(model=model)


def test_probabilities_are_the_models(model, serving):
    rows = tiny_frame(rows=100, seed=3)
    scored = serving.score(rows)
    np.testing.assert_allclose(scored.logits, model.logits(rows), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scored.frame()["probability"], model.probabilities(rows)[:, 0], rtol=1e-5)
    assert scored.labels == ("click",)
    assert scored.ignored == ("click",)


def test_other_and_missing_values_are_counted_by_row_and_by_field(serving):
    rows = pl.DataFrame(
        {
            "site": ["site1", "new", None],
            "ad": ["ad01", "new", ""],
            "noise": [1, 99, 2],
            "load": [0.5, None, float("nan")],
            "id": ["u1", "u2", "u3"],
        }
    )
    scored = serving.score(rows)
    assert scored.absent == ("hour",)
    assert scored.other_by_field == {"site": 1, "ad": 1, "noise": 1, "id": 0, "hour": 0, "load": 0} | {
        "id": int(scored.other.sum()) - 3
    }
    assert scored.missing_by_field == {"site": 1, "ad": 1, "noise": 0, "id": 0, "hour": 3, "load": 2}
    assert scored.missing.tolist() == [1, 2, 4]
    assert scored.frame(details=True).columns == ["probability", "logit", "other", "missing"]


def test_the_order_of_columns_and_their_types_do_not_matter(serving):
    rows = tiny_frame(rows=50, seed=4)
    expected = serving.predict(rows)
    texts = rows.select(pl.all().cast(pl.String))
    for same in (rows.select(reversed(rows.columns)), texts, texts.to_pandas(), rows.to_arrow(), rows.to_pandas()):
        np.testing.assert_allclose(serving.predict(same)["probability"], expected["probability"], atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pl.DataFrame({"x": [1]}), r"at least one of the model's 6 columns \(site, ad, .*\), got x"),
        (pl.DataFrame({"site": ["a"], "load": ["much"]}), "'load': row 1 must be a number, got 'much'"),
        ([{"site": "a"}], "got builtins.list"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(serving, rows, message):
    with pytest.raises(DataError, match=message):
        serving.score(rows)


def test_no_rows_give_no_scores(serving):
    assert serving.predict(tiny_frame(rows=5).head(0)).height == 0


def test_items_of_lists_are_counted_once_a_row():
    table = sequence_table()
    from ctrsel.models.layout import Layout
    from ctrsel.models.net import NetPredictor
    from ctrsel.models.network import Net

    backbone = TargetAttention()
    net = Net(backbone, Layout.of(table.encoder, history=True), width=4, labels=1)
    model = Model(encoder=table.encoder, predictor=NetPredictor(backbone=backbone, width=4, labels=1, net=net))
    rows = sequence_frame(rows=3).with_columns(history=pl.Series([[1, 777, 888], [], None], dtype=pl.List(pl.Int64)))
    scored = ServingModel(model=model).score(rows)
    assert scored.other_by_field["history"] == 1
    assert scored.missing_by_field["history"] == 2


def test_a_saved_model_is_served_without_the_libraries_of_training(model, tmp_path):
    model.save(tmp_path / "model")
    script = f"""
import sys, polars as pl
from ctrsel.serve import ServingModel
ServingModel.load({str(tmp_path / "model")!r}).predict(pl.DataFrame({{"site": ["site1"]}}))
found = {{"mlflow", "optuna", "shap", "lightgbm", "sklearn", "numba"}} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
