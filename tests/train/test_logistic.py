from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.layout import Layout
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train import logistic
from ctrsel.train.logistic import LogisticLearner
from ctrsel.train.one_hot import one_hot, one_hot_bytes


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


@pytest.fixture(scope="module")
def fit(table):
    return LogisticLearner().fit(table, seed=1)


def test_it_is_logistic_regression_on_one_hot_codes(table):
    fit = LogisticLearner(l2=(3.0,)).fit(table, seed=1)
    codes = np.stack([table.columns[n] for n in table.code_fields], 1)
    load = np.nan_to_num(table.columns["load"] - table.columns["load"][table.span("train")].mean())[:, None]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(codes[table.span("train")])
    x = np.concatenate([encoder.transform(codes), load / load[table.span("train")].std()], 1)
    own = LogisticRegression(C=1 / 3, tol=1e-8, max_iter=2000).fit(x[table.span("train")], table.part("train").label())
    np.testing.assert_allclose(fit.model.logits(table)[:, 0], own.decision_function(x), atol=2e-3)


@pytest.mark.parametrize("make", [tiny_table, sequence_table])
def test_the_matrix_times_the_weights_is_the_nets_logit(make):
    table = make(rows=300).without("test")
    model = LogisticLearner(l2=(1.0,)).fit(table, seed=1).model
    x = one_hot(table, Layout.of(table.encoder, history=False))
    embedding = model.predictor.net.embedding
    weights = np.concatenate([embedding.main.detach().numpy(), embedding.float_main.detach().numpy()])
    bias = model.predictor.net.backbone.bias.detach().numpy()
    np.testing.assert_allclose(x @ weights + bias, model.logits(table), atol=1e-5)
    assert x.shape == (table.n_rows, table.encoder.total_codes + len(table.float_fields))
    fields = len(table.code_fields) + len(table.list_fields)
    np.testing.assert_allclose(x[:, : table.encoder.total_codes].sum(1), fields)  # a list counts one, however long


def test_the_best_strength_is_taken_and_weaker_ones_are_left_when_it_gets_worse(table, fit):
    aucs = [h["valid_auc"] for h in fit.history]
    assert [h["l2"] for h in fit.history] == list(LogisticLearner().l2[: len(aucs)])
    assert fit.valid["auc"] == max(aucs)
    assert len(aucs) == len(LogisticLearner().l2) or aucs[-1] < aucs[-2]
    by_loss = LogisticLearner(monitor="log_loss", l2=(0.01, 1000.0, 1.0)).fit(table, seed=1)
    losses = [h["valid_log_loss"] for h in by_loss.history]
    assert [h["l2"] for h in by_loss.history][:2] == [1000.0, 1.0]
    assert by_loss.valid["log_loss"] == min(losses)


def test_predictions_add_up_to_the_positives(table):
    model = LogisticLearner(l2=(3.0,)).fit(table, seed=1).model
    part = table.part("train")
    assert model.probabilities(part).sum() == pytest.approx(part.label().sum(), rel=1e-3)


def test_weights_of_rows_count_up_to_a_factor(table):
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 4, table.n_rows).astype(np.float64)
    learner = LogisticLearner(l2=(3.0,))
    one, seven, none = (
        learner.fit(replace(table, weight=w), seed=1).model.logits(table) for w in (weight, 7 * weight, None)
    )
    np.testing.assert_allclose(one, seven, atol=1e-4)
    assert abs(one - none).max() > 1e-2


def test_each_label_has_weights_of_its_own(table):
    turned = np.concatenate([table.labels, 1 - table.labels], 1)
    schema = replace(table.schema, labels=(table.schema.labels[0], replace(table.schema.labels[0], name="no_click")))
    two = replace(table, labels=turned, encoder=replace(table.encoder, schema=schema))
    model = LogisticLearner(l2=(3.0,)).fit(two, seed=1).model
    logits = model.logits(two)
    assert logits.shape == (table.n_rows, 2)
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1], atol=1e-2)


def test_a_field_is_dropped_exactly(table, fit):
    keep = {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()}
    kept = tuple(n for n in table.schema.names if n not in ("ad", "load"))
    features = FeatureSet.from_keep(keep, fields=kept, method="toy", params={}, encoder=table.encoder.digest)
    small = fit.model.narrow(features).logits(table.narrow(features))
    embedding, layout = fit.model.predictor.net.embedding, Layout.of(table.encoder, history=False)
    x = one_hot(table, layout).toarray()
    start = table.encoder.offset("ad")
    x[:, start : start + table.encoder.size("ad")] = 0.0
    x[:, layout.total_codes :] = 0.0
    weights = np.concatenate([embedding.main.detach().numpy(), embedding.float_main.detach().numpy()])
    bias = fit.model.predictor.net.backbone.bias.detach().numpy()
    np.testing.assert_allclose(small, x @ weights + bias, atol=1e-5)


def test_an_unfinished_fit_is_noted(table):
    fit = LogisticLearner(l2=(1.0,), iterations=2).fit(table, seed=1)
    assert fit.notes == ("logistic: with l2 1 L-BFGS was stopped after 2 iterations.",)


def test_what_it_cannot_use_is_refused(table, fit):
    with pytest.raises(ConfigError, match="neither a gate nor starting weights"):
        LogisticLearner().fit(table, gate=OptFS(), seed=1)
    with pytest.raises(ConfigError, match="neither a gate nor starting weights"):
        LogisticLearner().fit(table, start=fit.model, seed=1)
    for settings in ({"l2": ()}, {"l2": (0.0,)}, {"iterations": 0}, {"tolerance": 0.0}, {"monitor": "brier"}):
        with pytest.raises(ConfigError, match="logistic"):
            LogisticLearner(**settings)


def test_what_does_not_fit_in_memory_is_refused(table, monkeypatch):
    assert LogisticLearner().memory(table) == one_hot_bytes(table) > 0
    monkeypatch.setattr(logistic, "available_memory", lambda: 1000)
    with pytest.raises(ConfigError, match="GiB as a one-hot matrix"):
        LogisticLearner().fit(table, seed=1)
