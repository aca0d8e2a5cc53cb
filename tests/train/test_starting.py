"""A fit that goes on from a model of another Encoder: the same place to start from, and more learned in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.data.rows import RowMatrix
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.stats.auc import auc
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.moments import collect
from ctrsel.train.net import NetLearner
from ctrsel.train.starting import begin_from

QUICK = NetLearner(
    backbone=DeepFM(hidden=(8,), batch_norm=False, dropout=0.0),
    width=4,
    batch_size=64,
    learning_rate=5e-3,
    embedding_l2=0,
    max_epochs=1,
)
SCHEMA = SchemaConfig(label=LabelConfig(name="click"), time="day")


def two_days(rows=1500, ads=150, seed=0):
    """Ads keep their effects; the second day is small, has a lower rate, and some ads that the first did not have."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 1.6, ads + 20)
    parts = []
    for day, n, pool in ((0, rows, ads), (1, rows // 3, ads + 20), (2, rows, ads + 20)):
        ad = rng.integers(0, pool, n)
        click = rng.random(n) < 1 / (1 + np.exp(-(effect[ad] - 0.8 * (day > 0))))
        parts.append(
            pl.DataFrame({"day": np.full(n, day), "ad": [f"a{i}" for i in ad], "click": click.astype(np.int8)})
        )
    return parts


def table_of(frame, test):
    cut = frame.height * 9 // 10
    return ingest({"train": frame[:cut], "valid": frame[cut:], "test": test}, schema=SCHEMA)


def test_one_pass_over_the_second_day_from_the_first_beats_one_from_nothing():
    first, second, test = two_days()
    champion = replace(QUICK, max_epochs=4).fit(table_of(first, test).without("test"), seed=1).model
    table = table_of(second, test)
    known = table.without("test")
    warm, cold = QUICK.fit(known, start=champion, seed=1), QUICK.fit(known, seed=1)
    y = test["click"].to_numpy().astype(float)
    scores = [auc(y, f.model.logits(test)[:, 0].astype(float)) for f in (warm, cold)]
    assert scores[0] > scores[1] + 0.03
    assert scores[0] > auc(y, champion.logits(test)[:, 0].astype(float))
    assert warm.epochs == 1
    assert [h["lr"] for h in warm.history] == [QUICK.learning_rate]
    assert warm.notes[0].startswith("started from an older model: ")
    assert not cold.notes


def test_before_the_first_step_only_the_intercept_has_moved():
    """A rate of next to nothing leaves the start as it is, up to the share of positives of the new rows."""
    first, second, test = two_days()
    champion = replace(QUICK, max_epochs=3).fit(table_of(first, test).without("test"), seed=1).model
    table = table_of(pl.concat([first[1000:], second]), test)
    fit = replace(QUICK, learning_rate=1e-12).fit(table.without("test"), start=champion, seed=1)
    kept = set(champion.encoder.vocabulary("ad").values.to_list()) & set(
        table.encoder.vocabulary("ad").values.to_list()
    )
    rows = test.filter(pl.col("ad").is_in(list(kept)))
    shift = fit.model.logits(rows) - champion.logits(rows)
    assert np.ptp(shift) < 1e-5
    part = table.part("train")
    p = 1 / (1 + np.exp(-fit.model.logits(part)[:, 0].astype(float)))
    assert p.mean() == pytest.approx(part.label().mean(), abs=1e-4)


def test_a_narrowed_champion_is_a_start_too():
    from ctrsel.records.feature_set import FeatureSet

    table = tiny_table(rows=400)
    whole = QUICK.fit(table.without("test"), seed=1).model
    keep = {n: np.arange(v.size) < max(4, v.size // 2) for n, v in table.encoder.vocabularies.items() if n != "noise"}
    fields = tuple(n for n in table.schema.names if n != "noise")
    keep["noise"] = np.zeros(table.encoder.size("noise"), dtype=bool)
    features = FeatureSet.from_keep(keep, fields=fields, method="by hand", params={}, encoder=table.encoder.digest)
    champion = whole.narrow(features)
    later = tiny_table(rows=400, seed=4)
    fit = QUICK.fit(later.without("test"), start=champion, seed=1)
    assert "new fields: noise" in fit.notes[0]
    assert fit.model.encoder.digest == later.encoder.digest
    again = QUICK.fit(later.without("test"), start=champion, seed=1)
    assert again.model.digest == fit.model.digest


def test_a_start_of_the_same_encoder_is_taken_exactly_and_others_are_refused():
    table = tiny_table(rows=300).without("test")
    model = QUICK.fit(table, seed=1).model
    assert not QUICK.fit(table, start=model, seed=2).notes
    for learner in (replace(QUICK, width=8), replace(QUICK, backbone=AutoIntPlus(hidden=(8,)))):
        for given in (table, tiny_table(rows=300, seed=9).without("test")):
            with pytest.raises(ConfigError, match="start: must have the learner's"):
                learner.fit(given, start=model, seed=1)
    trees = BoostedLearner(rounds=2).fit(table, seed=1).model
    with pytest.raises(ConfigError, match="must be a net, got a model of kind 'boosted'"):
        QUICK.fit(tiny_table(rows=300, seed=9).without("test"), start=trees, seed=1)


def test_all_rows_may_be_left_for_training_but_a_fit_needs_some_to_stop_by():
    from ctrsel.core.errors import DataError

    table = ingest(two_days()[0], schema=SCHEMA, split=SplitConfig(use="none"))
    with pytest.raises(DataError, match="both classes"):
        QUICK.fit(table.without("test"), seed=1)


@pytest.mark.parametrize("name", ["dense_adam", "lazy_adam", "lazy_adagrad"])
def test_an_optimisers_state_goes_on_by_value_where_it_is_kept(name, tmp_path):
    from ctrsel.models.model import Model
    from ctrsel.train.optimisers import CATALOG

    keeping = replace(QUICK, keep_optimiser=True, optimiser=CATALOG.create(name))
    first, second, test = two_days(rows=600, ads=40)
    table = table_of(first, test)
    fit = keeping.fit(table.without("test"), seed=1)
    assert fit.model.digest == replace(keeping, keep_optimiser=False).fit(table.without("test"), seed=1).model.digest
    fit.model.save(tmp_path / "model")
    champion = Model.load(tmp_path / "model")
    moments = champion.predictor.moments
    assert moments.keys() == fit.model.predictor.moments.keys()
    assert sum(v.numel() for v in moments.values()) >= fit.model.n_parameters

    later = table_of(pl.concat([first[400:], second]), test)
    kept, forgotten = (
        lr.fit(later.without("test"), start=champion, seed=1)
        for lr in (keeping, replace(keeping, keep_optimiser=False))
    )
    assert kept.model.digest != forgotten.model.digest
    assert not forgotten.model.predictor.moments

    net = keeping_net(later, keeping)
    begun = begin_from(
        champion, net, learner=keeping, table=later, rows=RowMatrix(later.without("test"), "train"), seed=1
    )
    updates = keeping.optimiser.build(net, learning_rate=0.5, embedding_l2=0, clip=10)
    begun.go_on(updates, net)
    assert updates.learning_rate == 0.5
    now = collect(updates, net)
    key = next(k for k in moments if k.endswith("|embedding.main") and moments[k].dim() == 2)
    old, new = champion.encoder.vocabulary("ad"), later.encoder.vocabulary("ad")
    texts = pl.Series(sorted(set(old.values.to_list()) & set(new.values.to_list())))
    np.testing.assert_array_equal(now[key][new.encode(texts).astype(int)], moments[key][old.encode(texts).astype(int)])
    fresh = pl.Series(sorted(set(new.values.to_list()) - set(old.values.to_list())))
    assert not now[key][new.encode(fresh).astype(int)].any()
    other = replace(keeping, optimiser=CATALOG.create("lazy_adam" if name == "dense_adam" else "dense_adam"))
    with pytest.raises(ConfigError, match="another optimiser"):
        other.fit(later.without("test"), start=champion, seed=1)


def keeping_net(table, learner):
    return Net(
        learner.backbone, Layout.of(table.encoder, history=False), width=4, labels=1, sparse=learner.optimiser.sparse
    )
