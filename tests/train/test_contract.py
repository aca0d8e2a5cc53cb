"""Every learner file meets the contract; new files are found by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train import CATALOG, Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.ensemble import EnsembleLearner
from ctrsel.train.net import NetLearner

# Parameters that make a learner quick on a tiny table; a learner without an entry runs with its defaults.
QUICK = {
    "net": {"backbone": DeepFM(hidden=(16,)), "width": 4, "batch_size": 64, "learning_rate": 5e-3, "max_epochs": 6},
    "boosted": {"rounds": 30, "patience": 5, "leaves": 8},
}
TREES, NET = BoostedLearner(**QUICK["boosted"]), NetLearner(**{**QUICK["net"], "max_epochs": 2})
QUICK["ensemble"] = {"members": (TREES, replace(TREES, row_share=0.7), NET)}
QUICK["calibrated"] = {"learner": EnsembleLearner(members=(TREES, replace(TREES, leaves=4)))}


@pytest.fixture(scope="module", params=CATALOG.names())
def learner(request) -> Learner:
    return CATALOG.load(request.param)(**QUICK.get(request.param, {}))


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


@pytest.fixture(scope="module")
def fit(learner, table) -> Fit:
    return learner.fit(table, seed=3)


def test_it_learns_the_planted_signal(learner, fit, table):
    assert fit.valid["auc"] > 0.65
    assert 0 < fit.valid["log_loss"] < 0.69
    assert fit.model.encoder is table.encoder
    assert fit.model.logits(table).shape == (table.n_rows, 1)
    assert fit.seconds > 0
    assert len(fit.history) >= 1
    assert all({"valid_auc", "valid_log_loss"} <= set(h) for h in fit.history)
    # The best of its epochs is kept; what is made of other learners ends with itself.
    own = fit.history if learner.parts() == (learner,) else fit.history[-1:]
    assert max(h["valid_auc"] for h in own) == pytest.approx(fit.valid["auc"], abs=1e-6)
    assert fit.model.n_parameters > 0


def test_the_seed_decides_everything(learner, fit, table):
    again = learner.fit(table, seed=3)
    np.testing.assert_array_equal(again.model.logits(table), fit.model.logits(table))
    assert again.model.digest == fit.model.digest


def test_save_and_load_are_exact(fit, table, tmp_path):
    fit.model.save(tmp_path / "m")
    np.testing.assert_array_equal(Model.load(tmp_path / "m").logits(table), fit.model.logits(table))


def test_row_order_when_scoring(fit, table):
    order = np.random.default_rng(0).permutation(table.n_rows)
    np.testing.assert_allclose(
        fit.model.logits(table.take(order)), fit.model.logits(table)[order], atol=1e-5, rtol=1e-5
    )
    assert fit.model.logits(table.take(np.arange(0))).shape == (0, 1)
    assert fit.model.logits(table.take(np.arange(1))).shape == (1, 1)


def test_fewer_fields_and_values(learner, table):
    encoder = table.encoder
    keep = {k: np.ones(v.size, bool) for k, v in encoder.vocabularies.items()}
    keep["id"][:] = False
    keep["ad"][8:] = False
    features = FeatureSet.from_keep(
        keep, fields=("site", "ad", "load"), method="toy", params={}, encoder=encoder.digest
    )
    fit = learner.fit(table, features, seed=1)
    assert fit.model.encoder.schema.names == ("site", "ad", "load")
    assert np.isfinite(fit.model.logits(table.narrow(features))).all()


def test_lists(learner):
    table = sequence_table(rows=400).without("test")
    assert np.isfinite(learner.fit(table, seed=1).model.logits(table)).all()


def test_weights_count_as_copies(learner, table):
    """All weights times 7 is the same training."""
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 4, table.n_rows).astype(np.float64)
    one = learner.fit(replace(table, weight=weight), seed=1)
    plain = learner.fit(table, seed=1)
    assert abs(one.model.logits(table) - plain.model.logits(table)).max() > 1e-4
    assert one.valid != plain.valid


def test_the_sampling_rate_becomes_the_offset(learner):
    table = tiny_table(rows=300).without("test")
    encoder = replace(table.encoder, schema=replace(table.schema, sampling_rate=0.25))
    fit = learner.fit(replace(table, encoder=encoder), seed=1)
    assert fit.model.offset == pytest.approx(np.log(0.25))


def test_a_split_with_one_class_is_refused(learner, table):
    with pytest.raises(DataError, match="both classes"):
        learner.fit(replace(table, labels=np.zeros_like(table.labels)), seed=1)


def test_the_test_split_is_not_read(learner, table):
    full = tiny_table(rows=1500)
    labels = full.labels.copy()
    labels[full.span("test")] = 1 - labels[full.span("test")]
    a = learner.fit(full, seed=2).model.logits(full)
    b = learner.fit(replace(full, labels=labels), seed=2).model.logits(full)
    np.testing.assert_array_equal(a, b)


def test_a_learner_comes_from_plain_values_and_describes_itself():
    spec = {"use": "net", "backbone": {"use": "autoint_plus", "layers": 5, "hidden": [64]}, "width": 8}
    learner = CATALOG.create(spec)
    assert learner.backbone.hidden == (64,)
    assert CATALOG.create(describe(learner)) == learner
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        CATALOG.create({"use": "net", "widht": 8})
    with pytest.raises(ConfigError, match="deepfm"):
        CATALOG.create({"use": "net", "backbone": "depfm"})
