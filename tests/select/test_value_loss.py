"""The test of values by a net: planted effects, shrinkage, rounds, and what dropping does to the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.records.feature_set import RESERVED
from ctrsel.select import Problem, Size
from ctrsel.select._shrink import shrunken_means
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.value_loss import ValueLoss, _other, _start
from ctrsel.testing.tables import tiny_table
from ctrsel.train import Fit
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner
from tests.select.test_value_test import REAL, found_of, table_of

NET = NetLearner(
    backbone=DeepFM(hidden=(8,)), width=4, batch_size=256, learning_rate=1e-2, max_epochs=5, embedding_l2=1e-3
)


@dataclass(frozen=True, kw_only=True)
class Given(NetLearner):
    """Hands out a model that is there, and tells what it was asked with."""

    model: Any = None
    told: Any = None

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        self.told.append(self.other_share)
        return Fit(model=self.model, epochs=1, seconds=0.0, history=(), valid={})


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_planted_values_are_found_where_frequency_says_nothing(share):
    table = table_of(3, rows=12_000, effect=2.0)
    problem = Problem(table=table, learner=NET)
    recall, false = found_of(table, ValueLoss(share=share, trainings=3).select(problem, size=REAL, seed=1).features)
    frequent, wrong = found_of(table, MostFrequent().select(problem, size=REAL, seed=1).features)
    assert recall > max(0.75, frequent + 0.4)
    assert false < min(0.25, wrong - 0.4)


def test_pruned_is_masked_on_every_row():
    table = tiny_table(rows=600, seed=3).without("test")
    model = NET.fit(table, seed=1).model
    problem = Problem(table=table, learner=Given(model=model, told=[]))
    features = ValueLoss().select(problem, size=problem.n_values // 2, seed=1).features
    predictor, encoder = model.predictor, table.encoder
    weights = {k: v.clone() for k, v in predictor.net.weights().items()}
    small = model.narrow(features)
    after = small.predictor.net.weights()
    for name, remap in features.remaps.items():
        start, new = encoder.offsets[name], small.encoder.offsets.get(name)
        if new is None:
            continue
        for key in ("embedding.main", "embedding.first"):
            weights[key][start : start + len(remap)] = after[key][new + remap.astype(np.int64)]
    kept = [f.name for f in encoder.fields]
    if tuple(kept) == features.fields:
        masked = predictor.of(
            encoder, weights, backbone=predictor.backbone, width=predictor.width, labels=predictor.labels
        )
        assert np.allclose(masked.logits(table), small.predictor.logits(table.narrow(features)), atol=1e-6)


def test_other_is_trained_more_and_the_larger_share_counts():
    table = tiny_table(rows=400, seed=3).without("test")
    told = []
    model = NET.fit(table, seed=1).model
    for own in (0.0, 0.3):
        learner = Given(model=model, told=told, other_share=own)
        ValueLoss(other_share=0.05).select(Problem(table=table, learner=learner), size=30, seed=1)
    assert told == [0.05, 0.3]


def test_no_row_is_asked_that_was_trained_on_and_validation_rows_are_not_asked():
    table = tiny_table(rows=400, seed=3).without("test")
    train, valid = (set(table.row[table.span(s)].tolist()) for s in ("train", "valid"))
    seen = []
    for held, rest in ValueLoss(folds=3, trainings=3)._parts(table, seed=1):
        assert set(rest.part("valid").row.tolist()) == valid
        trained = set(rest.part("train").row.tolist())
        assert set(held.row.tolist()) == train - trained
        seen += held.row.tolist()
    assert sorted(seen) == sorted(train)


def test_a_bound_takes_off_deviations():
    table = tiny_table(rows=600, seed=3).without("test")
    problem = Problem(table=table, learner=Given(model=NET.fit(table, seed=1).model, told=[]))
    plain, bound = (
        ValueLoss(share=1.0, bound=b).search(problem, sizes=(Size(number=9),), seed=1).scores for b in (0.0, 1.0)
    )
    assert all((bound[n][RESERVED:] <= plain[n][RESERVED:] + 1e-12).all() for n in plain)
    assert any((bound[n][RESERVED:] < plain[n][RESERVED:]).any() for n in plain)


def test_other_is_the_mean_row_of_what_is_gone():
    rows = np.arange(14.0).reshape(7, 2)
    counts = np.array([0, 2, 0, 4, 3, 2, 1])
    gone = np.array([False] * 5 + [True, True])
    assert _other(rows, counts, gone, rows[4]).tolist() == ((2 * rows[1] + 2 * rows[5] + rows[6]) / 5).tolist()
    assert _other(rows, counts, np.zeros(7, bool), rows[4]).tolist() == rows[4].tolist()


def test_the_first_other_is_where_most_rows_are():
    rows = np.zeros((RESERVED + 10, 1))
    rows[RESERVED : RESERVED + 7] = 2.0
    rows[RESERVED + 7 :] = -5.0
    assert _start(rows, rows, np.ones(len(rows))).tolist() == [2.0]
    assert _start(rows[: RESERVED + 1], rows[: RESERVED + 1], np.ones(RESERVED + 1)).tolist() == [0.0]


def test_means_are_drawn_in_by_what_their_rows_tell():
    rng = np.random.default_rng(0)
    truth = rng.normal(0.3, 0.2, 3_000)
    rows = rng.integers(1, 60, 3_000)
    draws = [rng.normal(t, 1.0, n) for t, n in zip(truth, rows, strict=True)]
    sums, squares = np.array([d.sum() for d in draws]), np.array([(d**2).sum() for d in draws])
    found = shrunken_means(rows, sums, squares, np.full(3_000, 7.0))
    assert found.between == pytest.approx(0.2, rel=0.1)
    by_hand = 0.3 + (0.04 / (0.04 + 1.0 / rows)) * (sums / rows - 0.3)
    assert np.corrcoef(found.mean, by_hand)[0, 1] > 0.99
    assert np.mean((found.mean - truth) ** 2) < 0.6 * np.mean((sums / rows - truth) ** 2)
    inside = np.abs(found.mean - truth) < 1.96 * found.deviation
    assert 0.93 < inside.mean() < 0.97


def test_a_line_in_the_count_is_followed():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 500, 800).astype(np.float64)
    truth = 0.1 * np.log1p(counts)
    rows = np.full(800, 5.0)
    x = truth + rng.normal(size=800) / np.sqrt(5.0)
    found = shrunken_means(rows, rows * x, rows * (x**2 + 1.0), counts)
    assert np.corrcoef(found.mean, truth)[0, 1] > 0.95
    none = shrunken_means(
        np.append(rows, 0.0), np.append(rows * x, 0.0), np.append(rows * (x**2 + 1.0), 0.0), np.append(counts, 90.0)
    )
    assert none.mean[-1] == pytest.approx(0.1 * np.log1p(90.0), abs=0.06)  # no rows: the line


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20), st.integers(0, 10**6))
def test_shrunken_means_are_finite_and_lie_between(size, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 6, size).astype(np.float64)
    x = rng.normal(size=size)
    found = shrunken_means(rows, rows * x, rows * (x**2 + rng.random(size)), rng.integers(0, 50, size))
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.deviation).all()
    assert (found.deviation >= 0).all()


def test_what_cannot_be_asked_is_refused():
    table = tiny_table(rows=300, seed=3).without("test")
    with pytest.raises(
        ConfigError, match="value_loss: needs a learner that trains 'other', such as net; got 'boosted'"
    ):
        ValueLoss().select(Problem(table=table, learner=BoostedLearner(rounds=2)), size=20, seed=1)


@pytest.mark.parametrize("how", [{"other_share": 0.0}, {"share": 0.0}, {"share": 1.5}, {"folds": 1}, {"trainings": 5}])
def test_parameters_are_checked(how):
    with pytest.raises(ConfigError, match="value_loss: needs 0 < other_share < 1"):
        ValueLoss(**how)
