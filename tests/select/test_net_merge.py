"""Merging by a net's rows: equal rows first and for nothing, costs by brute force, planted groups, luck that is not told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.backbones.lr import LR
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select import Problem, Size
from ctrsel.select._whiten import drawn_in, full_weights, half_known, whitened
from ctrsel.select.net_merge import NetMerge
from ctrsel.testing.tables import tiny_table
from ctrsel.train import Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64, learning_rate=1e-2, max_epochs=4, init_std=0.05)


@dataclass(frozen=True, kw_only=True)
class Given(Learner):
    """Hands out a model that is there."""

    model: Any

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        return Fit(model=self.model, epochs=1, seconds=0.0, history=(), valid={})


def with_rows(model, rows):
    """The model with other rows: codes of the one table to the codes whose rows they get."""
    predictor = model.predictor
    weights = {k: v.clone() for k, v in predictor.net.weights().items()}
    for to, source in rows.items():
        for key in ("embedding.main", "embedding.first"):
            weights[key][to] = weights[key][source]
    new = predictor.of(
        model.encoder, weights, backbone=predictor.backbone, width=predictor.width, labels=predictor.labels
    )
    return type(model)(encoder=model.encoder, predictor=new, offset=model.offset)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=800, seed=4).without("test")


@pytest.fixture(scope="module")
def model(table):
    return NET.fit(table, seed=1).model


@pytest.fixture(scope="module")
def largest(table):
    return max(table.encoder.vocabularies, key=lambda n: table.encoder.vocabularies[n].size)


def test_equal_rows_merge_first_and_change_no_logit(table, model, largest):
    start = table.encoder.offsets[largest]
    equal = with_rows(model, {start + RESERVED + 4: start + RESERVED + 1, start + RESERVED + 5: start + RESERVED + 1})
    problem = Problem(table=table, learner=Given(model=equal))
    found = NetMerge(known=0.0).search(problem, sizes=(), seed=1)
    features = found.at(Size(number=problem.n_values - 2))
    remap = features.remaps[largest]
    assert features.n_values == problem.n_values - 2
    assert remap[RESERVED + 1] == remap[RESERVED + 4] == remap[RESERVED + 5] != OTHER
    assert np.allclose(equal.logits(table), equal.narrow(features).logits(table.narrow(features)), atol=1e-6)
    assert found.told(features)[-1]["lost"] == pytest.approx(0.0, abs=1e-9)


@dataclass(frozen=True, kw_only=True)
class InTurn(Learner):
    """Hands out the first model for one seed, and the second for all others."""

    first: Any
    second: Any
    seed: int

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        model = self.first if seed == self.seed else self.second
        return Fit(model=model, epochs=1, seconds=0.0, history=(), valid={})


def test_what_one_net_alone_takes_for_equal_stays_apart(table, model, largest):
    start = table.encoder.offsets[largest]
    equal = with_rows(model, {start + RESERVED + 4: start + RESERVED + 1})
    remap = np.arange(table.encoder.vocabularies[largest].size, dtype=np.uint32)
    remap[RESERVED + 4] = RESERVED + 1

    def lost(learner: Learner, nets: int) -> float:
        found = NetMerge(known=0.0, nets=nets).search(Problem(table=table, learner=learner), sizes=(), seed=1)
        return found.parts[largest].loss(remap)

    in_turn = InTurn(first=equal, second=model, seed=1)
    assert lost(in_turn, 1) == pytest.approx(0.0, abs=1e-9)
    # The mean over the nets, whose weights differ a little: nothing by the first, and the whole cost by each other one.
    assert lost(in_turn, 4) == pytest.approx(0.75 * lost(Given(model=model), 1), rel=0.2)


@pytest.mark.parametrize("size", [10, 25])
def test_nets_that_agree_are_as_one(table, model, size):
    problem = Problem(table=table, learner=Given(model=model))
    one, three = (NetMerge(nets=n).select(problem, size=size, seed=1).features for n in (1, 3))
    assert all(np.array_equal(one.remaps[n], three.remaps[n]) for n in one.remaps)


def test_a_narrowed_net_is_the_net_with_mean_rows(table, model):
    problem = Problem(table=table, learner=Given(model=model))
    features = NetMerge().select(problem, size=problem.n_values // 3, seed=1).features
    predictor, encoder = model.predictor, table.encoder
    weights = {k: v.clone().double() for k, v in predictor.net.weights().items()}
    for name, remap in features.remaps.items():
        span = slice(encoder.offsets[name], encoder.offsets[name] + len(remap))
        counts = torch.from_numpy(encoder.vocabularies[name].counts.astype(np.float64)).clamp(min=1e-9)
        for key in ("embedding.main", "embedding.first"):
            rows = weights[key][span].clone()
            for code in np.unique(remap[RESERVED:]):
                here = torch.from_numpy(remap == code)
                rows[here] = torch.tensordot(counts[here] / counts[here].sum(), rows[here], 1)
            weights[key][span] = rows
    masked = predictor.of(
        encoder,
        {k: v.float() for k, v in weights.items()},
        backbone=predictor.backbone,
        width=predictor.width,
        labels=predictor.labels,
    )
    assert np.allclose(masked.logits(table), model.narrow(features).predictor.logits(table.narrow(features)), atol=1e-5)


def test_the_cost_is_what_a_merge_adds_to_the_loss(table, largest):
    # In logistic regression a value's curvature is one number, so that the cost is exact up to third order.
    learner = NetLearner(backbone=LR(), width=1, batch_size=64, learning_rate=1e-2, max_epochs=3)
    model = learner.fit(table, seed=1).model
    train = table.part("train")
    problem = Problem(table=table, learner=Given(model=model))
    found = NetMerge(known=0.0).search(problem, sizes=(), seed=1)
    z = model.logits(train)[:, 0].astype(np.float64)
    p = 1.0 / (1.0 + np.exp(-z))
    for left in (problem.n_values - 3, problem.n_values // 2):
        features = found.at(Size(number=left))
        after = model.narrow(features).logits(train.narrow(features))[:, 0].astype(np.float64)
        # Labels drawn by the net's own probabilities: no slope, curvature alone.
        brute = float((np.logaddexp(0.0, after) - p * after - np.logaddexp(0.0, z) + p * z).mean())
        told = found.told(features)[-1]["lost"]
        assert told == pytest.approx(brute, rel=0.25, abs=1e-6)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0.05, 1.0))
def test_sizes_are_met_and_losses_rise_as_they_fall(table, model, share):
    problem = Problem(table=table, learner=Given(model=model))
    found = NetMerge().search(problem, sizes=(), seed=1)
    number = max(int(share * problem.n_values), 1)
    fewer = max(number // 2, 1)
    more, less = (found.at(Size(number=n)) for n in (number, fewer))
    assert more.n_values <= number
    assert less.n_values <= fewer
    assert found.told(less)[-1]["lost"] >= found.told(more)[-1]["lost"] - 1e-9
    assert found.told(more)[-1]["kept"] == more.n_values / problem.n_values


def planted(rows, seed):
    """`user` and `item` of two kinds each, whose match decides; no value says anything alone."""
    rng = generator(seed, "planted kinds")
    user, item = rng.integers(0, 20, rows), rng.integers(0, 30, rows)
    rate = np.where(user % 2 == item % 2, 0.8, 0.2)
    return pl.DataFrame(
        {
            "click": (rng.random(rows) < rate).astype(np.int8),
            "user": [f"u{v}" for v in user],
            "item": [f"i{v}" for v in item],
        }
    )


def test_kinds_that_matter_only_together_are_found():
    parts = {name: planted(n, i) for i, (name, n) in enumerate([("train", 6_000), ("valid", 2_000), ("test", 20)])}
    table = ingest(parts, label="click").without("test")
    learner = NetLearner(
        backbone=DeepFM(hidden=(16,)),
        width=4,
        batch_size=128,
        learning_rate=1e-2,
        max_epochs=12,
        init_std=0.1,
        embedding_l2=1e-3,
    )
    problem = Problem(table=table, learner=learner)
    features = NetMerge().select(problem, size=4, seed=1).features
    assert features.n_values == 4
    pure = 0
    for name in ("user", "item"):
        vocabulary = table.encoder.vocabulary(name)
        kinds = {}
        for text, code in zip(vocabulary.values.to_list(), vocabulary.codes.tolist(), strict=True):
            kinds.setdefault(int(features.remaps[name][code]), set()).add(int(text[1:]) % 2)
        pure += sum(len(k) == 1 for k in kinds.values())
    assert pure == 4


def test_values_that_are_not_borne_out_go_together_by_count():
    # A field of values of two rows each says nothing; a net learns its labels by heart.
    rng = generator(5, "luck")
    n = 3_000

    def drawn(rows, ids):
        a = rng.integers(0, 4, rows)
        return pl.DataFrame(
            {
                "click": (rng.random(rows) < np.where(a < 2, 0.3, 0.6)).astype(np.int8),
                "a": [f"a{v}" for v in a],
                "id": [f"r{v}" for v in ids],
            }
        )

    table = ingest(
        {
            "train": drawn(n, np.arange(n) // 2),
            "valid": drawn(n, rng.integers(0, n // 2, n)),
            "test": drawn(9, range(9)),
        },
        label="click",
    ).without("test")
    learner = NetLearner(
        backbone=DeepFM(hidden=(8,)),
        width=4,
        batch_size=64,
        learning_rate=2e-2,
        max_epochs=8,
        patience=8,
        embedding_l2=0.0,
        lr_drop=1.0,
    )
    fit = learner.fit(table, seed=1)
    problem = Problem(table=table, learner=Given(model=fit.model))
    y = np.asarray(table.label()[table.span("train")])
    spread = {}
    for known in (0.0, 0.5):
        features = NetMerge(known=known).select(problem, size=20, seed=1).features
        codes = features.remaps["id"][np.asarray(table.columns["id"][table.span("train")])]
        rates = [y[codes == c].mean() for c in np.unique(codes) if (codes == c).sum() > 50]
        spread[known] = max(rates) - min(rates)
    assert spread[0.0] > 0.3  # lucky values found each other
    assert spread[0.5] < 0.1


def test_a_search_says_how_it_went_and_may_hand_on_its_weights(table):
    selection = NetMerge(start=True).select(Problem(table=table, learner=NET), size=20, seed=1)
    assert selection.snapshot is not None
    assert [(h["net"], h["epoch"]) for h in selection.history[:-1]] == [(n, e) for n in (1, 2, 3) for e in (1, 2, 3, 4)]
    assert {"values", "kept", "lost"} == set(selection.history[-1])
    assert NetMerge().select(Problem(table=table, learner=NET), size=20, seed=1).snapshot is None


def test_trees_are_refused(table):
    with pytest.raises(ConfigError, match="net_merge: merges rows of a net, and learner 'boosted' makes 'boosted'"):
        NetMerge().select(Problem(table=table, learner=BoostedLearner(rounds=2)), size=20, seed=1)


@pytest.mark.parametrize("how", [{"nets": 0}, {"rows": 0}, {"damping": 0.0}, {"known": 1.0}, {"known": -0.1}])
def test_parameters_are_checked(how):
    with pytest.raises(ConfigError, match="net_merge: needs nets >= 1, rows >= 1"):
        NetMerge(**how)


def test_points_have_the_distance_of_the_curvature():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 3))
    matrix = a @ a.T / np.trace(a @ a.T)
    rows = rng.normal(size=(5, 3))
    points = whitened(rows, matrix, damping=1e-12)
    step = rows[0] - rows[1]
    assert ((points[0] - points[1]) ** 2).sum() == pytest.approx(step @ matrix @ step)
    drawn = drawn_in(points, np.array([10.0, 0.0, 30.0, 0.0, 0.0]), rows=10.0)
    mean = (10.0 * points[0] + 30.0 * points[2]) / 40.0
    assert np.allclose(drawn[0], (points[0] + mean) / 2.0)
    assert np.allclose(drawn[1], mean)
    assert np.allclose(drawn_in(points, np.zeros(5), rows=0.0), 0.0 * points)


def test_weights_of_a_sample_are_those_of_all_rows():
    weight, seen = np.array([2.0, 0.0, 6.0]), np.array([4.0, 0.0, 4.0])
    full = full_weights(weight, seen, np.array([8.0, 2.0, 8.0]))
    assert full[1] == pytest.approx(2.0)  # no row was looked at: the mean of a row, twice
    assert 4.0 < full[0] < full[2] < 12.0


def test_half_known_finds_the_planted_number():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 400, 500).astype(np.float64)
    curve = counts * rng.random(500)
    assert half_known(counts, (1.0 - counts / (counts + 31.6)) * curve, curve) == pytest.approx(31.6, rel=0.1)
    assert half_known(counts, np.zeros(500), np.zeros(500)) == 0.0
    assert half_known(counts, -curve, curve) == 0.0  # held-out rows ask for more, not less
