from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.stats.log_odds_maps import Platt
from ctrsel.stats.losses import log_loss
from ctrsel.stats.mixing import mix
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_table
from ctrsel.train import CATALOG, Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.ensemble import EnsembleLearner

TREES = BoostedLearner(rounds=25, patience=5, leaves=6)
BAGS = replace(TREES, row_share=0.6, feature_share=0.7)
FITTED = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Learner):
    """Trees that count how often they are grown, and can be killed."""

    share: float = 0.5
    dies: bool = False

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        FITTED.append((self.share, seed, features is None, tuple(table.schema.names)))
        if self.dies:
            raise KeyboardInterrupt
        return replace(BAGS, row_share=self.share).fit(table, seed=seed)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


@pytest.fixture(scope="module")
def fit(table):
    return EnsembleLearner(members=(TREES, BAGS), seeds=3).fit(table, seed=5)


@pytest.fixture(autouse=True)
def _forget():
    FITTED.clear()


def test_the_sum_of_the_members_is_the_model(fit, table):
    p = fit.model.predictor
    assert isinstance(p, EnsemblePredictor)
    by_hand = p.intercept + sum(w * m.logits(table) for w, m in zip(p.weights, p.members, strict=True))
    np.testing.assert_allclose(fit.model.logits(table), by_hand, atol=1e-5)


def test_the_form_for_scoring_is_that_of_every_member_and_of_what_is_behind_a_calibration():
    table = tiny_table(rows=300)
    net = tiny_net(table).predictor
    both = EnsemblePredictor(members=(net, net), weights=np.array([[0.3], [0.9]]), intercept=np.array([0.1]))
    bent = CalibratedPredictor(base=both, maps=(Platt(scale=2.0, shift=-0.5),))
    scorer = bent.for_scoring()
    assert [len(m.net.backbone.mlp) for m in scorer.base.members] == [3, 3]
    np.testing.assert_allclose(scorer.logits(table), bent.logits(table), rtol=1e-5, atol=1e-6)
    assert len(net.net.backbone.mlp) > 3


def test_seeds_share_a_weight_and_one_that_decides_nothing_is_kept_once(fit):
    """Trees on all rows and columns draw nothing; those on some do."""
    assert fit.model.predictor.weights.shape == (4, 1)
    assert len(set(fit.model.predictor.weights[1:, 0])) == 1
    assert [h.get("member") for h in fit.history] == [0, 1, 1, 1, None]


def test_weights_are_those_of_the_exact_fit_on_validation_rows(fit, table):
    p, valid = fit.model.predictor, table.part("valid")
    z = [m.logits(valid)[:, 0] for m in p.members]
    found = mix(valid.label(), np.column_stack([z[0], np.mean(z[1:], axis=0)]))
    np.testing.assert_allclose(p.weights[:2, 0], [found.weights[0], found.weights[1] / 3], rtol=1e-6)
    assert p.intercept[0] == pytest.approx(found.intercept, rel=1e-6)


def test_reported_figures_are_not_those_of_rows_that_were_fitted(fit, table):
    valid = table.part("valid")
    fitted = log_loss(valid.label(), fit.model.predictor.logits(valid)[:, 0])
    assert fit.valid["log_loss"] > fitted
    assert fit.valid["log_loss"] == pytest.approx(log_loss(valid.label(), fit.unseen[:, 0]))
    assert "cross-fitted" in fit.notes[1]
    assert "boosted" in fit.notes[0]


def test_it_is_no_worse_than_its_members_on_new_rows():
    full = tiny_table(rows=6000, seed=3)
    test, known = full.part("test"), full.without("test")
    fit = EnsembleLearner(members=(TREES, BAGS), seeds=2).fit(known, seed=1)
    mine = log_loss(test.label(), fit.model.logits(test)[:, 0])
    for member in fit.model.predictor.members:
        assert mine < log_loss(test.label(), member.logits(test)[:, 0]) + 1e-3


def test_two_slopes_mend_a_learner_that_is_too_sure_on_one_side(table):
    """The sum by hand, no worse on validation than one slope, and the same where nothing is bent."""
    learner = EnsembleLearner(members=(TREES, BAGS), seeds=2, slopes=2)
    fit = learner.fit(table, seed=5)
    p, valid = fit.model.predictor, table.part("valid")
    assert [m.kind for m in p.members] == ["calibrated"] * len(p.members)
    by_hand = p.intercept + sum(m.logits(table) for m in p.members)
    np.testing.assert_allclose(fit.model.logits(table), by_hand, atol=1e-5)
    bags = [m.base for m in p.members if m.base.kind == "ensemble"]
    assert all(len(b.members) == 2 and (b.weights == 0.5).all() for b in bags)
    free = [replace(learner, slopes=n, ridge=1e-6).fit(table, seed=5).model.logits(valid)[:, 0] for n in (2, 1)]
    losses = [log_loss(valid.label(), z) for z in free]
    assert losses[0] <= losses[1] + 1e-9  # what one slope can say, two can
    held = replace(learner, slopes=2, ridge=1e9).fit(table, seed=5).model.logits(table)
    np.testing.assert_allclose(held, replace(learner, ridge=1e9).fit(table, seed=5).model.logits(table), atol=1e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong(Learner):
    """Trees whose scores are turned round."""

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        found = TREES.fit(table, seed=seed)
        turned = EnsemblePredictor(
            members=(found.model.predictor,), weights=np.array([[-1.0]]), intercept=np.array([0.0])
        )
        return replace(found, model=replace(found.model, predictor=turned))


def test_a_member_that_does_harm_is_left_out(table):
    fit = EnsembleLearner(members=(Wrong(), TREES, Wrong())).fit(table, seed=1)
    assert len(fit.model.predictor.members) == 1
    assert fit.model.predictor.members[0].kind == "boosted"
    assert fit.history[0]["weight"] == 0
    alone = EnsembleLearner(members=(Wrong(),)).fit(table, seed=1)
    assert alone.model.predictor.weights.tolist() == [[0.0]]


def test_finished_members_are_not_trained_again(table, tmp_path):
    good = EnsembleLearner(members=(Counted(share=0.5), Counted(share=0.6)), seeds=2)
    whole = good.fit(table, seed=1)
    FITTED.clear()
    with pytest.raises(KeyboardInterrupt):  # in the second learner
        replace(good, members=(Counted(share=0.5), Counted(share=0.6, dies=True))).fit(table, seed=1, work=tmp_path)
    assert len(FITTED) == 3
    again = good.fit(table, seed=1, work=tmp_path)
    assert [share for share, *_ in FITTED] == [0.5, 0.5, 0.6, 0.6, 0.6]
    assert again.model.digest == whole.model.digest
    assert again.history == whole.history
    FITTED.clear()
    assert good.fit(table, seed=1, work=tmp_path).model.digest == whole.model.digest
    assert not FITTED
    good.fit(table, seed=2, work=tmp_path)  # another seed is another fit
    assert len(FITTED) == 4


def test_fields_are_dropped_once_before_all(table):
    keep = {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(keep, fields=("site", "ad"), method="toy", params={}, encoder=table.encoder.digest)
    fit = EnsembleLearner(members=(Counted(), Counted(share=0.6))).fit(table, features, seed=1)
    assert [(whole, names) for _, _, whole, names in FITTED] == [(True, ("site", "ad"))] * 2
    assert fit.model.encoder.schema.names == ("site", "ad")


def test_several_labels_have_weights_each(table):
    labels = np.concatenate([table.labels, 1 - table.labels], axis=1)
    schema = replace(table.schema, labels=(*table.schema.labels, replace(table.schema.labels[0], name="no_click")))
    two = replace(table, labels=labels, encoder=replace(table.encoder, schema=schema))
    fit = EnsembleLearner(members=(TREES, BAGS)).fit(two, seed=1)
    assert fit.model.predictor.weights.shape == (2, 2)
    z = fit.model.logits(two)
    assert z.shape == (two.n_rows, 2)
    assert np.corrcoef(z[:, 0], z[:, 1])[0, 1] < -0.95


def test_groups_stay_together_in_the_cross_fitting(table):
    grouped = replace(table, group=(np.arange(table.n_rows) // 40).astype(np.uint32))
    fit = EnsembleLearner(members=(TREES,)).fit(grouped, seed=1)
    assert np.isfinite(fit.unseen).all()
    with pytest.raises(DataError, match="two groups"):
        EnsembleLearner(members=(TREES,)).fit(replace(table, group=np.zeros(table.n_rows, np.uint32)), seed=1)


def test_ensembles_of_ensembles_go_by_figures_of_unseen_rows(table):
    inner = EnsembleLearner(members=(BAGS,), seeds=2)
    outer = EnsembleLearner(members=(inner, TREES)).fit(table, seed=1)
    inside = inner.fit(table, seed=1)
    assert inside.unseen is not None
    assert not np.array_equal(inside.unseen, inside.model.predictor.logits(table.part("valid")))
    assert outer.model.predictor.members[0].kind == "ensemble"
    assert len(inner.parts()) == 2
    assert len(EnsembleLearner(members=(inner, TREES), seeds=2).parts()) == 6


def test_save_load_and_narrow_go_to_the_members(table, tmp_path):
    net = tiny_net(table)
    pair = EnsemblePredictor(
        members=(net.predictor, net.predictor), weights=np.array([[0.5], [1.0]]), intercept=np.array([0.25])
    )
    model = replace(net, predictor=pair)
    model.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.logits(table), model.logits(table))
    assert loaded.digest == model.digest
    assert model.n_parameters == 2 * net.n_parameters + 3
    keep = {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()}
    keep["ad"][9:] = False
    features = FeatureSet.from_keep(
        keep, fields=table.schema.names, method="toy", params={}, encoder=table.encoder.digest
    )
    small = model.narrow(features)
    np.testing.assert_allclose(
        small.logits(table.narrow(features)),
        1.5 * net.narrow(features).logits(table.narrow(features)) + 0.25,
        atol=1e-5,
    )
    (tmp_path / "m" / "predictor" / "member_1" / "net.json").unlink()
    with pytest.raises((DataError, FileNotFoundError)):
        Model.load(tmp_path / "m")


def test_trees_in_it_cannot_be_narrowed(fit, table):
    features = FeatureSet.from_keep(
        {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()},
        fields=table.schema.names,
        method="toy",
        params={},
        encoder=table.encoder.digest,
    )
    with pytest.raises(ConfigError, match="cannot be narrowed"):
        fit.model.narrow(features)


def test_members_come_by_name_with_parameters_or_as_objects():
    made = CATALOG.create(
        {"use": "ensemble", "members": ["boosted", {"use": "boosted", "leaves": 7}, TREES], "seeds": 2}
    )
    assert made.members == (BoostedLearner(), BoostedLearner(leaves=7), TREES)
    assert CATALOG.create(describe(made)) == made
    with pytest.raises(ConfigError, match=r"members\[1\].*did you mean 'leaves'"):
        CATALOG.create({"use": "ensemble", "members": ["boosted", {"use": "boosted", "leavs": 7}]})
    with pytest.raises(ConfigError, match="expected a list of learners"):
        CATALOG.create({"use": "ensemble", "members": {"use": "boosted"}})


@pytest.mark.parametrize("bad", [{"members": ()}, {"seeds": 0}, {"slopes": 3}, {"ridge": 0.0}, {"folds": 1}])
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError, match="ensemble"):
        EnsembleLearner(**bad)


def test_no_gates_and_no_starts(table, fit):
    learner = EnsembleLearner(members=(TREES,))
    with pytest.raises(ConfigError, match="neither a gate"):
        learner.fit(table, gate=OptFS(), seed=1)
    with pytest.raises(ConfigError, match="neither a gate"):
        learner.fit(table, start=fit.model, seed=1)


def test_memory_is_that_of_the_largest_member(table):
    wide = replace(TREES, leaves=200)
    assert EnsembleLearner(members=(TREES, wide)).memory(table) == wide.memory(table) > TREES.memory(table)
    assert EnsembleLearner(members=(TREES, Counted())).memory(table) is None


def test_a_predictor_needs_weights_of_its_members(fit):
    members = fit.model.predictor.members
    with pytest.raises(DataError, match="weights"):
        EnsemblePredictor(members=members, weights=np.ones((1, 1)), intercept=np.zeros(1))
    assert isinstance(fit, Fit)
