from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ctrsel.core.catalog import describe
from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.stats.calibration import calibration_ratio
from ctrsel.stats.log_odds_maps import Isotonic, Unchanged
from ctrsel.stats.losses import log_loss
from ctrsel.stats.recalibration import recalibrate
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_frame, tiny_table
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.calibrated import CalibratedLearner
from ctrsel.train.ensemble import EnsembleLearner
from ctrsel.train.net import NetLearner

TREES = BoostedLearner(rounds=30, patience=5, leaves=6)
METHODS = ("platt", "beta", "isotonic", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharp(Learner):
    """Trees that are `times` too sure."""

    times: float = 3.0

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        found = TREES.fit(table, seed=seed)
        base = found.model.predictor
        labels = len(table.schema.labels)
        sharp = EnsemblePredictor(members=(base,), weights=np.full((1, labels), self.times), intercept=np.zeros(labels))
        return replace(found, model=replace(found.model, predictor=sharp))


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=4000).without("test")


@pytest.fixture(scope="module")
def sampled():
    """All rows, and a table in which a fifth of the negatives was kept."""
    frame = tiny_frame(rows=60_000, seed=4).drop("id")
    keep = (frame["click"].to_numpy() == 1) | (generator(0, "keep").random(frame.height) < 0.2)
    schema = SchemaConfig(label=LabelConfig(name="click"), sampling_rate=0.2)
    return frame, ingest(frame.filter(keep), schema=schema, seed=1).without("test")


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_those_of_the_original_rows(sampled, method):
    frame, table = sampled
    fit = CalibratedLearner(learner=Sharp(), method=method).fit(table, seed=1)
    assert fit.model.offset == pytest.approx(np.log(0.2))
    observed = frame["click"].to_numpy()
    p = fit.model.probabilities(frame)[:, 0]
    assert calibration_ratio(observed, p) == pytest.approx(1, abs=0.03)
    for half in (p < np.median(p), p >= np.median(p)):
        assert calibration_ratio(observed[half], p[half]) == pytest.approx(1, abs=0.05)
    sharp = Sharp().fit(table, seed=1).model.probabilities(frame)[:, 0]
    assert abs(calibration_ratio(observed, sharp) - 1) > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_what_is_too_sure_becomes_calibrated_in_the_same_order(table, method):
    raw = Sharp().fit(table, seed=1)
    fit = CalibratedLearner(learner=Sharp(), method=method).fit(table, seed=1)
    assert fit.valid["log_loss"] < raw.valid["log_loss"]
    valid = table.part("valid")
    before, after = raw.model.logits(valid)[:, 0], fit.model.logits(valid)[:, 0]
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()
    assert fit.valid["log_loss"] == pytest.approx(log_loss(valid.label(), fit.unseen[:, 0]))
    assert "cross-fitted" in fit.notes[-1]
    assert fit.history[:-1] == raw.history


def test_none_is_the_learner_itself(table):
    raw = TREES.fit(table, seed=1)
    fit = CalibratedLearner(learner=TREES, method="none").fit(table, seed=1)
    np.testing.assert_array_equal(fit.model.logits(table), raw.model.logits(table))
    assert fit.valid == pytest.approx(raw.valid)


def test_auto_is_never_worse_than_none(table):
    for learner in (TREES, Sharp(), Sharp(times=0.3)):
        plain = CalibratedLearner(learner=learner, method="none").fit(table, seed=1)
        chosen = CalibratedLearner(learner=learner).fit(table, seed=1)
        assert chosen.valid["log_loss"] <= plain.valid["log_loss"] + 1e-12
    assert CalibratedLearner(learner=Sharp()).fit(table, seed=1).model.predictor.methods[0] != "none"


def test_weights_count_as_copies(table):
    weight = np.where(np.arange(table.n_rows) % 3 == 0, 4.0, 1.0)
    one = CalibratedLearner(learner=Sharp(), method="platt").fit(replace(table, weight=weight), seed=1)
    valid = replace(table, weight=weight).part("valid")
    raw = one.model.predictor.base.logits(valid)[:, 0].astype(np.float64)
    times = valid.weight.astype(int)
    by_hand = recalibrate("platt", np.repeat(valid.label(), times), np.repeat(raw, times))
    assert one.model.predictor.maps[0].scale == pytest.approx(by_hand.scale, abs=5e-3)
    assert one.model.predictor.maps[0].shift == pytest.approx(by_hand.shift, abs=5e-3)


def test_several_labels_have_maps_each(table):
    labels = np.concatenate([table.labels, 1 - table.labels], axis=1)
    schema = replace(table.schema, labels=(*table.schema.labels, replace(table.schema.labels[0], name="no_click")))
    two = replace(table, labels=labels, encoder=replace(table.encoder, schema=schema))
    fit = CalibratedLearner(learner=Sharp(), method="platt").fit(two, seed=1)
    one, other = fit.model.predictor.maps
    assert one.scale == pytest.approx(other.scale, abs=0.02)
    assert one.shift == pytest.approx(-other.shift, abs=0.02)
    np.testing.assert_allclose(fit.model.probabilities(two).sum(1), 1, atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_save_load_and_narrow(table, tmp_path, method):
    net = tiny_net(table)
    maps = CalibratedLearner(learner=Sharp(), method=method).fit(table, seed=1).model.predictor.maps
    model = replace(net, predictor=CalibratedPredictor(base=net.predictor, maps=maps))
    model.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert loaded.predictor.maps == maps
    np.testing.assert_array_equal(loaded.logits(table), model.logits(table))
    assert loaded.digest == model.digest != net.digest
    assert model.n_parameters > net.n_parameters
    assert model.logits(table.take(np.arange(0))).shape == (0, 1)
    keep = {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()}
    keep["ad"][9:] = False
    features = FeatureSet.from_keep(
        keep, fields=table.schema.names, method="toy", params={}, encoder=table.encoder.digest
    )
    small = table.narrow(features)
    expected = maps[0](net.narrow(features).logits(small)[:, 0])
    np.testing.assert_allclose(model.narrow(features).logits(small)[:, 0], expected, atol=1e-5)


def test_a_file_of_an_unknown_map_is_refused(table, tmp_path):
    net = tiny_net(table)
    replace(net, predictor=CalibratedPredictor(base=net.predictor, maps=(Unchanged(),))).save(tmp_path / "m")
    file = tmp_path / "m" / "predictor" / "calibrated.json"
    file.write_text(file.read_text().replace('"none"', '"spline"'))
    with pytest.raises(ConfigError, match="unknown calibration 'spline'"):
        Model.load(tmp_path / "m")


def test_a_net_searches_and_starts_through_it(table):
    """What a selection needs: gates, the rewind point, and a start from it."""
    net = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=256, max_epochs=1)
    learner = CalibratedLearner(learner=net)
    search = learner.fit(table, gate=OptFS(epochs=2), seed=1)
    assert search.kept is not None
    assert search.snapshot is not None
    assert search.model.predictor.kind == "net"
    started = learner.fit(table, start=search.snapshot, seed=1)
    assert started.model.predictor.kind == "calibrated"
    again = learner.fit(table, start=started.model, seed=1)
    plain = replace(started.model, predictor=started.model.predictor.base)
    expected = net.fit(table, start=plain, seed=1).model.predictor.logits(table)
    np.testing.assert_array_equal(again.model.predictor.base.logits(table), expected)


def test_an_ensemble_is_calibrated_by_figures_of_unseen_rows(table):
    """Weights that were fitted on validation rows look calibrated there; the cross-fitted log-odds are honest."""
    mix = EnsembleLearner(members=(TREES,))
    inside = mix.fit(table, seed=1)
    fit = CalibratedLearner(learner=mix, method="none").fit(table, seed=1)
    assert fit.valid == pytest.approx(inside.valid)
    np.testing.assert_allclose(fit.unseen, inside.unseen)
    assert CalibratedLearner(learner=mix).parts() == (TREES,)


def test_groups_stay_together(table):
    grouped = replace(table, group=(np.arange(table.n_rows) // 40).astype(np.uint32))
    assert np.isfinite(CalibratedLearner(learner=TREES).fit(grouped, seed=1).unseen).all()


def test_parameters():
    made = CATALOG.create({"use": "calibrated", "learner": "boosted", "method": "isotonic"})
    assert made == CalibratedLearner(learner=BoostedLearner(), method="isotonic")
    assert CATALOG.create(describe(made)) == made
    with pytest.raises(ConfigError, match="must be at least 2, got 1"):
        CalibratedLearner(folds=1)
    with pytest.raises(ConfigError, match="platt, beta, isotonic, got 'spline'"):
        CalibratedLearner(method="spline")
    assert CalibratedLearner(learner=TREES).memory(tiny_table()) == TREES.memory(tiny_table())


def test_maps_must_be_as_many_as_labels(table):
    net = tiny_net(table)
    two = CalibratedPredictor(base=net.predictor, maps=(Unchanged(), Isotonic(logits=(0.0,), log_odds=(1.0,))))
    with pytest.raises(DataError, match="2 labels"):
        two.logits(table)
