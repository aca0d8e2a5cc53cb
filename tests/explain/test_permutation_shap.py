from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.core.seeds import derive
from ctrsel.explain import explain, explainer_for, sample_rows
from ctrsel.explain.permutation_shap import PermutationShap
from ctrsel.testing.tables import sequence_table, tiny_table

ROWS = np.array([3, 50, 7, 211])
SMALL = PermutationShap(background=5)
NAMES = ("a", "b", "c", "d", "x", "tags")


def _pairwise(v):
    out = 0.3 + sum(v[n] for n in NAMES)
    for i, n in enumerate(NAMES):
        for m in NAMES[:i]:
            out = out + 0.5 * v[n] * v[m]
    return out


def _background(table, size, seed=1):
    return sample_rows(table, size, split="train", seed=derive(seed, "explain", "background"))


def test_equals_enumeration_when_fields_interact_in_pairs(table, toy, exact):
    model = toy(_pairwise)
    found = explain(model, table, rows=ROWS, seed=1, explainer=SMALL)
    truth = exact(model, table, ROWS, _background(table, 5))
    np.testing.assert_allclose(found.values, truth, atol=1e-12)
    assert found.fields == NAMES
    assert found.rows.tolist() == ROWS.tolist()


def test_comes_near_the_enumeration_when_three_fields_interact(table, toy, exact):
    model = toy(lambda v: v["a"] * v["b"] * v["c"] + v["x"])
    truth = exact(model, table, ROWS, _background(table, 64))
    found = explain(model, table, rows=ROWS, seed=1, explainer=PermutationShap(background=64))
    assert np.abs(found.values - truth).max() < 0.35 * np.abs(truth).max()


def test_adds_up_to_the_logit_with_the_offset_in_the_base(table, toy):
    model = toy(lambda v: np.sin(v["a"] * v["c"]) * v["d"] + v["tags"] * v["x"] * v["b"])
    found = explain(model, table, rows=ROWS, seed=4, explainer=SMALL)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), model.logits(table.take(ROWS))[:, 0], atol=1e-12)
    assert found.checks["additivity"] < 1e-12
    behind = _background(table, 5, seed=4)
    np.testing.assert_allclose(found.base, model.logits(table.take(behind))[:, 0].mean(), atol=1e-12)


def test_closed_form_of_a_linear_model(table, toy):
    weight = {"a": 1.0, "b": -2.0, "c": 0.5, "d": 0.0, "x": 3.0, "tags": 0.25}
    model = toy(lambda v: sum(w * v[n] for n, w in weight.items()))
    found = explain(model, table, rows=ROWS, seed=1, explainer=SMALL)
    here = model.predictor.numbers(table.take(ROWS))
    there = model.predictor.numbers(table.take(_background(table, 5)))
    truth = np.stack([w * (here[n] - there[n].mean()) for n, w in weight.items()], axis=1)
    np.testing.assert_allclose(found.values, truth, atol=1e-12)


def test_a_field_that_is_never_read_gets_exactly_zero(table, toy):
    found = explain(toy(lambda v: v["a"] * v["b"]), table, rows=ROWS, seed=1, explainer=SMALL)
    for name in ("c", "d", "x", "tags"):
        assert (found.values[:, NAMES.index(name)] == 0).all()


def test_fields_that_are_used_alike_get_the_same():
    table = tiny_table()
    both = table.encoder.schema.names
    copied = dataclasses.replace(table, columns={**table.columns, "noise": table.columns["site"]})
    from ctrsel.models import Model
    from ctrsel.models._contract import Predictor

    class Product(Predictor):
        kind = "product"
        n_parameters = 0
        digest = "product"

        def logits(self, table):
            return (table.columns["site"].astype(np.float64) * table.columns["noise"])[:, None]

        narrow = save = load = None  # type: ignore[assignment]

    found = explain(Model(encoder=table.encoder, predictor=Product()), copied, rows=np.arange(9), seed=2)
    np.testing.assert_allclose(found.values[:, both.index("site")], found.values[:, both.index("noise")], atol=1e-12)


def test_is_linear_in_the_model(table, toy):
    def one(v):
        return v["a"] * v["b"] * v["c"]

    def two(v):
        return np.tanh(v["d"] + v["x"] * v["tags"])

    parts = [explain(toy(f), table, rows=ROWS, seed=1, explainer=SMALL).values for f in (one, two)]
    both = explain(toy(lambda v: 2 * one(v) - two(v)), table, rows=ROWS, seed=1, explainer=SMALL)
    np.testing.assert_allclose(both.values, 2 * parts[0] - parts[1], atol=1e-12)


def test_attributions_average_to_zero_over_the_background(table, toy):
    behind = _background(table, 6)
    found = explain(toy(_pairwise), table, rows=behind, seed=1, explainer=PermutationShap(background=6))
    np.testing.assert_allclose(found.values.mean(axis=0), 0.0, atol=1e-12)


def test_the_batch_size_and_the_other_rows_change_nothing(table, toy):
    model = toy(lambda v: np.sin(_pairwise(v)))
    whole = explain(model, table, rows=ROWS, seed=1, explainer=SMALL)
    pieces = explain(model, table, rows=ROWS, seed=1, explainer=PermutationShap(background=5, batch=1))
    alone = explain(model, table, rows=ROWS[2:3], seed=1, explainer=SMALL)
    np.testing.assert_allclose(pieces.values, whole.values, atol=1e-12)
    np.testing.assert_allclose(alone.values[0], whole.values[2], atol=1e-12)
    other = explain(model, table, rows=ROWS, seed=2, explainer=SMALL)
    assert not np.allclose(other.values, whole.values)


def test_steps_that_change_nothing_are_not_scored(table, toy):
    model = toy(_pairwise)
    explain(model, table, rows=ROWS, seed=1, explainer=SMALL)
    behind = _background(table, 5)
    a, b = table.take(ROWS), table.take(behind)
    differing = 0
    for i in range(4):
        for j in range(5):
            for column_a, column_b in zip(a.columns.values(), b.columns.values(), strict=True):
                left, right = (
                    c.take(np.array([k])).codes.tolist() if hasattr(c, "take") and hasattr(c, "codes") else c[k]
                    for c, k in ((column_a, i), (column_b, j))
                )
                differing += left != right and not (
                    isinstance(left, np.floating) and np.isnan(left) and np.isnan(right)
                )
    assert model.predictor.scored == 2 * differing + len(ROWS) + 5


def test_refuses_an_explanation_that_does_not_add_up(table, toy):
    calls = iter(range(1000))
    model = toy(lambda v: v["a"] + next(calls))
    with pytest.raises(CtrselError, match="must add up to the logit within 1e-4"):
        explain(model, table, rows=ROWS, seed=1, explainer=SMALL)


def test_refuses_what_cannot_be(table, toy):
    with pytest.raises(ConfigError, match="background: must be at least 1, got 0"):
        PermutationShap(background=0)
    with pytest.raises(DataError, match="no rows to explain"):
        explain(toy(_pairwise), table, rows=np.array([], dtype=np.int64), seed=1, explainer=SMALL)
    with pytest.raises(DataError, match=r"rows must be in 0\.\.299, got 300"):
        explain(toy(_pairwise), table, rows=np.array([0, 300]), seed=1)
    with pytest.raises(DataError, match="reads the codes of its own encoder"):
        explain(toy(_pairwise), tiny_table(), rows=ROWS, seed=1)


def test_a_table_without_training_rows_is_its_own_background(table, toy):
    model = toy(_pairwise)
    part = table.part("valid")
    found = explain(model, part, rows=np.array([1, 2]), seed=1, explainer=PermutationShap(background=10**6))
    np.testing.assert_allclose(found.base, model.logits(part).mean(), atol=1e-12)
    raw = dataclasses.replace(part, labels=None, splits={})
    assert explain(model, raw, rows=4, seed=1).values.shape == (4, 6)


def test_a_general_explainer_explains_what_no_other_does(table, toy):
    assert isinstance(explainer_for(toy(_pairwise)), PermutationShap)


def test_a_net_with_lists_adds_up():
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.train.net import NetLearner

    table = sequence_table()
    fit = NetLearner(backbone=DeepFM(), width=4, max_epochs=1).fit(table.without("test"), seed=1)
    found = explain(fit.model, table, rows=20, seed=1)
    assert found.method == "permutation_shap"
    assert found.checks["additivity"] < 1e-5
    np.testing.assert_allclose(
        found.base + found.values.sum(axis=1), fit.model.logits(table.take(found.rows))[:, 0], atol=1e-5
    )
