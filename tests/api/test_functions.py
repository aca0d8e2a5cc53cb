"""The notebook form, from a polars frame, a pandas frame and a path."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ctrsel
from ctrsel.api.functions import as_table
from ctrsel.core.errors import ConfigError
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import tiny_frame, tiny_table

NET = {
    "use": "net",
    "backbone": {"use": "deepfm", "hidden": [8]},
    "width": 4,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "max_epochs": 2,
}
GATED = {"use": "gated", "gate": {"use": "optfs", "epochs": 4, "penalty": 0.01, "gate_lr": 0.05}}


def test_the_whole_way(tmp_path):
    table = ctrsel.ingest(tiny_frame(rows=600), label="click")
    assert ctrsel.audit(table).stops == ()
    assert set(ctrsel.rank_fields(table).order[:2]) == {"ad", "site"}
    full = ctrsel.train_model(table, learner=NET)
    small = ctrsel.select_features(table, by=GATED, learner=NET, size=0.6)
    assert small.selection.features.n_values <= 0.6 * table.encoder.n_values
    narrow = table.narrow(small.selection.features)
    found = ctrsel.evaluate(small.fit.model, narrow, seed=1)
    assert found.metrics["auc"].value > 0.5
    assert ctrsel.evaluate(full.model, table).rows == found.rows
    explained = ctrsel.explain_model(small.fit.model, narrow, rows=10)
    assert explained.fields == small.selection.features.fields
    small.fit.model.save(tmp_path / "model")
    table.save(tmp_path / "table")
    raw = tiny_frame(rows=20, seed=5).drop("click")
    scores = ctrsel.predict(tmp_path / "model", raw)
    assert scores.shape == (20,)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_array_equal(scores, ctrsel.predict(ctrsel.load_model(tmp_path / "model"), raw))
    np.testing.assert_array_equal(scores, ctrsel.predict(small.fit.model, raw.to_pandas()))
    raw.write_parquet(tmp_path / "raw.parquet")
    np.testing.assert_array_equal(scores, ctrsel.predict(small.fit.model, tmp_path / "raw.parquet"))
    # Absent columns and unseen values have scores too.
    assert len(ctrsel.predict(small.fit.model, raw.select(pl.lit("new").alias("ad")))) == 1
    assert ctrsel.load_table(tmp_path / "table").digest == table.digest


@pytest.mark.parametrize("form", ["polars", "pandas", "path", "text"])
def test_rows_may_come_in_any_form(tmp_path, form):
    frame = tiny_frame(rows=400)
    expected = ctrsel.rank_fields(frame, label="click")
    file = tmp_path / "rows.parquet"
    frame.write_parquet(file)
    data = {"polars": frame, "pandas": frame.to_pandas(), "path": file, "text": str(file)}[form]
    found = ctrsel.rank_fields(data, label="click")
    assert found.order == expected.order
    np.testing.assert_allclose(found.frame["score"], expected.frame["score"])


def test_a_table_is_taken_as_it_is_and_a_saved_one_is_loaded(tmp_path):
    table = tiny_table()
    assert as_table(table) is table
    table.save(tmp_path / "t")
    assert as_table(tmp_path / "t").digest == as_table(str(tmp_path / "t")).digest == table.digest


def test_components_may_be_objects_names_or_specs():
    from ctrsel.rank.mutual_information import MutualInformation

    table = tiny_table()
    by = [MutualInformation(by="z"), {"use": "mutual_information", "by": "z"}]
    assert len({ctrsel.rank_fields(table, by=b).digest for b in by}) == 1
    trees = ctrsel.train_model(table, learner={"use": "boosted", "rounds": 3})
    assert trees.model.predictor.kind == "boosted"


def test_a_selector_by_ranking_has_its_ranking_made_or_takes_the_given_one():
    table = tiny_table(rows=1500)
    trees = {"use": "boosted", "rounds": 3}
    made = ctrsel.select_features(table, by={"use": "ranking", "max_q": 1.0}, learner=trees, size=0.05)
    ranking = ctrsel.rank_fields(table)
    given = ctrsel.select_features(
        table, by={"use": "ranking", "max_q": 1.0}, learner=trees, size=0.05, rankings=[ranking]
    )
    assert isinstance(made.selection.features, FeatureSet)
    assert made.selection.features.digest == given.selection.features.digest
    assert made.selection.features.evidence == (ranking.digest,)


def test_wishes_are_honoured():
    trees = {"use": "boosted", "rounds": 3}
    found = ctrsel.select_features(
        tiny_table(), by="frequent", learner=trees, size=0.1, always_keep=["noise"], groups=[["site", "ad"]]
    )
    features = found.selection.features
    assert features.kept("noise").all()
    assert len({"site", "ad"} & set(features.fields)) in (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: ctrsel.select_features(t, size=0), r"size: must be a share in \(0, 1\], got 0"),
        (lambda t: ctrsel.select_features(t, by="gatde"), r"by: unknown selector 'gatde'; did you mean 'gated'\?"),
        (lambda t: ctrsel.rank_fields(t, by="mutual"), "by: unknown ranker 'mutual'"),
        (lambda t: ctrsel.train_model(t, learner="nt"), r"learner: unknown learner 'nt'; did you mean 'net'\?"),
        (
            lambda t: ctrsel.select_features(t, always_keep="site"),
            "always_keep: expected several names .* the text 'site'",
        ),
        (
            lambda t: ctrsel.select_features(t, groups=["ad", "site"]),
            r"groups\[0\]: expected several names .* the text 'ad'",
        ),
        (
            lambda t: ctrsel.select_features(t, rankings=["cmim"]),
            "rankings: expected what rank_fields returns, got str",
        ),
        (lambda _: ctrsel.ingest(tiny_frame()), "label: name the label column"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call(tiny_table())
