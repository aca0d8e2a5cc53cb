"""A feature set as a step of a pipeline."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import ctrsel
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import tiny_frame, tiny_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    encoder = tiny_table(rows=600).encoder
    keep = {n: v.counts > 30 for n, v in encoder.vocabularies.items()}
    features = FeatureSet.from_keep(
        keep, fields=("site", "ad", "hour"), method="toy", params={}, encoder=encoder.digest
    )
    path = tmp_path_factory.mktemp("run")
    AppliedFeatureSet.of(features, encoder).save(path / "feature_set")
    return path


def test_in_a_pipeline(folder) -> None:
    frame = tiny_frame(rows=600)
    pipeline = make_pipeline(
        ctrsel.FeatureSetTransformer(folder), OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)
    )
    for X in (frame.drop("click"), frame.drop("click").to_pandas()):
        fitted = clone(pipeline).fit(X, frame["click"].to_numpy())
        assert fitted.score(X, frame["click"].to_numpy()) > 0.6
        assert fitted[0].get_feature_names_out().tolist() == ["site", "ad", "hour"]


def test_what_comes_out(folder) -> None:
    frame, step = tiny_frame(rows=20), ctrsel.FeatureSetTransformer(folder)
    texts = step.transform(frame)
    assert isinstance(texts, pl.DataFrame)
    assert texts.equals(ctrsel.load_feature_set(folder).transform(frame))
    shifted = frame.to_pandas().set_index(np.arange(20) + 5)
    assert step.transform(shifted).index.tolist() == list(range(5, 25))
    codes = ctrsel.FeatureSetTransformer(folder, output="codes").fit_transform(frame)
    expected = ctrsel.load_feature_set(folder).encoder.encode(frame).columns
    assert all(np.array_equal(codes[n].to_numpy(), expected[n]) for n in expected)
    assert isinstance(clone(step).set_output(transform="pandas").transform(frame), pd.DataFrame)
    assert isinstance(clone(step).set_output(transform="polars").transform(shifted), pl.DataFrame)


def test_what_is_refused(folder, tmp_path) -> None:
    with pytest.raises(ConfigError, match="output"):
        ctrsel.FeatureSetTransformer(folder, output="numbers").fit()
    with pytest.raises(DataError, match="must be a frame"):
        ctrsel.FeatureSetTransformer(folder).transform(np.zeros((2, 3)))
    with pytest.raises(DataError, match="expected a saved feature set"):
        ctrsel.FeatureSetTransformer(tmp_path).fit()
