from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data.table import Ragged
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.tree_columns import TreeColumns
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


@pytest.fixture(scope="module")
def fit(table):
    return BoostedLearner(rounds=60, patience=10, leaves=8).fit(table, seed=1)


def test_columns_of_the_tiny_table(table):
    columns = TreeColumns(table.encoder)
    assert columns.names == ("site", "ad", "noise", "id", "hour", "load")
    assert [columns.names[j] for j in columns.categorical] == ["site", "ad", "noise", "id"]
    x = columns.matrix(table)
    np.testing.assert_array_equal(x[:, 1], table.columns["ad"])
    np.testing.assert_array_equal(x[:, 5], table.columns["load"])


def test_buckets_are_ordered_by_their_values_not_by_their_counts(table):
    x = TreeColumns(table.encoder).matrix(table)[:, 4]
    texts = table.encoder.vocabularies["hour"].texts(table.columns["hour"])
    low = [0.0 if t.startswith("under") else float(t.split()[0]) for t in texts]
    ranks = dict(zip(low, x.tolist(), strict=True))
    assert [ranks[b] for b in sorted(ranks)] == sorted(ranks.values())
    assert len(ranks) == 6


def test_missing_buckets_are_nan_and_other_stands_below(table):
    codes = np.array([0, 1, 3, 4], dtype=np.uint8)
    part = table.take(np.arange(4))
    x = TreeColumns(table.encoder).matrix(replace(part, columns={**part.columns, "hour": codes}))[:, 4]
    assert np.isnan(x[0])
    assert x[1] < x[2:].min()


def test_lists_are_a_count_and_the_last_value():
    table = sequence_table(rows=50)
    columns = TreeColumns(table.encoder)
    assert columns.names == ("user", "item", "history (count)", "history", "tags (count)", "tags")
    column = table.columns["history"]
    assert isinstance(column, Ragged)
    x = columns.matrix(table)
    for row in range(50):
        here = column.codes[column.offsets[row] : column.offsets[row + 1]]
        assert x[row, 2] == len(here)
        assert x[row, 3] == (here[-1] if len(here) else 0)


def test_contributions_sum_to_the_logit_and_find_the_signal(fit, table):
    found = fit.model.predictor.contributions(table)
    assert found.shape == (table.n_rows, 7)
    np.testing.assert_allclose(found.sum(1), fit.model.logits(table)[:, 0], atol=1e-5)
    size = np.abs(found[:, :-1]).mean(0)
    assert set(np.argsort(-size)[:2]) == {0, 1}  # site and ad
    assert fit.model.predictor.contributions(table.take(np.arange(0))).shape == (0, 7)


def test_contributions_of_lists_are_summed_per_field():
    table = sequence_table(rows=400).without("test")
    model = BoostedLearner(rounds=10, leaves=8).fit(table, seed=1).model
    found = model.predictor.contributions(table)
    assert found.shape == (table.n_rows, 5)
    np.testing.assert_allclose(found.sum(1), model.logits(table)[:, 0], atol=1e-5)


@pytest.mark.parametrize("monitor", ["auc", "log_loss"])
def test_the_best_round_is_kept(monitor, table):
    fit = BoostedLearner(rounds=200, patience=5, monitor=monitor).fit(table, seed=1)
    pick = max if monitor == "auc" else min
    values = [h[f"valid_{monitor}"] for h in fit.history]
    assert len(fit.history) < 200
    assert fit.model.predictor.boosters[0].num_trees() == values.index(pick(values)) + 1
    assert fit.valid[monitor] == pytest.approx(pick(values), abs=1e-6)


def test_same_as_lightgbm_by_hand(table):
    """The parameters that are documented are the ones that are used."""
    fit = BoostedLearner(rounds=7, patience=100, leaves=5, learning_rate=0.3, min_rows=9, category_smoothing=7.0).fit(
        table, seed=1
    )
    x = TreeColumns(table.encoder).matrix(table)
    span = table.span("train")
    theirs = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": 5,
            "learning_rate": 0.3,
            "min_data_in_leaf": 9,
            "cat_smooth": 7.0,
            "verbosity": -1,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
        },
        lightgbm.Dataset(x[span], label=table.label()[span], categorical_feature=[0, 1, 2, 3]),
        num_boost_round=fit.model.predictor.boosters[0].num_trees(),
    )
    np.testing.assert_allclose(fit.model.logits(table)[:, 0], theirs.predict(x, raw_score=True), atol=1e-6)


def test_no_gates_and_no_starts(table, fit):
    with pytest.raises(ConfigError, match="neither a gate"):
        BoostedLearner().fit(table, gate=OptFS(), seed=1)
    with pytest.raises(ConfigError, match="neither a gate"):
        BoostedLearner().fit(table, start=fit.model, seed=1)


@pytest.mark.parametrize(
    "bad", [{"rounds": 0}, {"leaves": 1}, {"learning_rate": 0.0}, {"row_share": 0.0}, {"monitor": "rmse"}, {"l2": -1.0}]
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        BoostedLearner(**bad)


def test_several_labels_have_trees_each(table):
    labels = np.concatenate([table.labels, 1 - table.labels], axis=1)
    schema = replace(table.schema, labels=(*table.schema.labels, replace(table.schema.labels[0], name="no_click")))
    two = replace(table, labels=labels, encoder=replace(table.encoder, schema=schema))
    z = BoostedLearner(rounds=5, patience=5).fit(two, seed=1).model.logits(two)
    np.testing.assert_allclose(z[:, 0], -z[:, 1], atol=1e-5)
