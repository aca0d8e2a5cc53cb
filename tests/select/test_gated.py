"""The gated recipe on a table with a planted truth: five of a hundred equally frequent values of each field matter."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import torch

from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.models.gates.optfs import OptFS
from ctrsel.records.feature_set import RESERVED
from ctrsel.select import Problem, retrain
from ctrsel.select.gated import Gated
from ctrsel.train import Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner
from ctrsel.train.rewinding import Again

VALUES, PLANTED = 100, 5


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(11)
    n = 12_000
    columns = {name: rng.permutation(np.arange(n) % VALUES) for name in ("one", "two")}
    # Values 0..4 raise or lower the log-odds by 3; all other values, and the third field, say nothing.
    effect = np.zeros(VALUES)
    effect[:PLANTED] = 3.0 * np.array([1, -1, 1, -1, 1])
    logit = -0.5 + effect[columns["one"]] + effect[columns["two"]]
    noise = rng.permutation(np.arange(n) % 40)
    frame = pl.DataFrame(
        {
            "click": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            **{k: [f"{k}{i}" for i in v] for k, v in columns.items()},
            "noise": [f"n{i}" for i in noise],
        }
    )
    return ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click")), seed=1)


@pytest.fixture(scope="module")
def problem(table):
    learner = NetLearner(
        backbone=DeepFM(hidden=(16,)), width=4, batch_size=256, learning_rate=3e-3, embedding_l2=0.01, max_epochs=6
    )
    return Problem(table=table.without("test"), learner=learner)


@pytest.fixture(scope="module")
def gate():
    return OptFS(epochs=8)


@pytest.fixture(scope="module")
def searched(problem, gate):
    """The search by itself: what the recipe hardens."""
    return problem.learner.fit(problem.table, gate=gate, seed=2)


@pytest.fixture(scope="module")
def selection(problem, gate):
    return Gated(gate=gate).select(problem, size=problem.n_values // 2, seed=2)


def planted(table, features):
    found = []
    for name in ("one", "two"):
        v = table.encoder.vocabularies[name]
        kept = {t for t, c in zip(v.values.to_list(), v.codes.tolist(), strict=True) if features.kept(name)[c]}
        found.append(len(kept & {f"{name}{i}" for i in range(PLANTED)}))
    return found


def test_the_planted_values_are_kept_and_most_noise_is_not(table, selection):
    assert planted(table, selection.features) == [PLANTED, PLANTED]
    assert selection.features.n_values <= 120
    assert selection.features.method == "gated"
    assert selection.features.params["gate"]["use"] == "optfs"
    assert [h["epoch"] for h in selection.history] == list(range(1, 9))


@dataclass(frozen=True, kw_only=True)
class Searched(Learner):
    """Hands back a search that was made before."""

    found: Fit

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        assert gate is not None
        return self.found


def test_the_size_cuts_the_open_gates_by_frequency(problem, gate, searched):
    again = Problem(table=problem.table, learner=Searched(found=searched))
    features = Gated(gate=gate).select(again, size=7, seed=2).features
    counts = {k: v.counts for k, v in problem.table.encoder.vocabularies.items()}
    opened = sorted((n for k in counts for n in counts[k][RESERVED:][searched.kept[k][RESERVED:]]), reverse=True)
    kept = [n for k in counts for n in counts[k][features.kept(k) & searched.kept[k]][RESERVED:]]
    assert sorted(kept, reverse=True) == opened[:7]
    assert all((features.scores[k] == searched.scores[k]).all() for k in counts)  # the gates stay the evidence
    wide = Gated(gate=gate).select(again, size=problem.n_values, seed=2).features
    assert wide.n_values == len(opened)


def test_the_pruned_model_is_the_hardened_masked_one_on_every_row(table, problem, searched, selection):
    wanted = sum(int(k[RESERVED:].sum()) for k in searched.kept.values())
    assert wanted <= problem.n_values // 2, "the size must not cut for this comparison"
    features = selection.features
    for name, kept in searched.kept.items():
        np.testing.assert_array_equal(features.kept(name)[RESERVED:], kept[RESERVED:])
    masked = searched.model.logits(table)
    pruned = searched.model.narrow(features)
    np.testing.assert_allclose(pruned.logits(table.narrow(features)), masked, rtol=0, atol=1e-6)
    # Raw rows with unseen and missing values go the same way.
    rows = pl.DataFrame({"one": ["one0", "new", None], "two": ["two7", "two1", None], "noise": ["n1", None, "n99"]})
    np.testing.assert_allclose(pruned.logits(rows), searched.model.logits(rows), rtol=0, atol=1e-6)


def test_the_snapshot_is_where_the_retraining_starts(problem, searched, selection):
    assert selection.snapshot is not None
    assert selection.snapshot.digest == searched.snapshot.digest
    assert selection.snapshot.encoder.digest == problem.table.encoder.digest
    assert selection.snapshot.digest != searched.model.digest


@pytest.fixture(scope="module")
def outcome(problem, selection):
    return retrain(problem, selection, snapshot=selection.snapshot, seed=3)


def test_the_retrained_model_is_physically_smaller_and_no_worse(table, problem, selection, outcome):
    full = problem.learner.fit(problem.table, seed=3)
    small = outcome.fit.model
    assert small.encoder.total_codes == selection.features.n_values + RESERVED * len(small.encoder.vocabularies)
    assert small.predictor.net.weights()["embedding.main"].shape[0] == small.encoder.total_codes
    assert small.encoder.total_codes < full.model.encoder.total_codes
    assert small.n_parameters < full.model.n_parameters
    assert small.bytes_on_disk < full.model.bytes_on_disk
    assert outcome.fit.valid["auc"] > full.valid["auc"] - 0.03  # twice the standard error on these validation rows


def test_without_a_snapshot_it_starts_afresh(problem, selection):
    one, two = (retrain(problem, selection, seed=s) for s in (3, 4))
    assert one.fit.model.digest != two.fit.model.digest
    assert one.selection is selection


def test_a_learner_without_gates_is_refused(problem):
    trees = Problem(table=problem.table, learner=BoostedLearner(rounds=2))
    with pytest.raises(ConfigError, match="gate"):
        Gated().select(trees, size=10, seed=1)


def test_there_are_never_two_tables_at_once(problem, monkeypatch):
    """The first weights are made again when nothing of the search's net is left."""
    shape = (problem.table.encoder.total_codes, 4)

    def tables() -> int:
        gc.collect()
        held = (
            o for o in gc.get_objects() if type(o) in (torch.Tensor, torch.nn.Parameter) and tuple(o.shape) == shape
        )
        return len({t.data_ptr() for t in held})

    seen, model, before = [], Again.model, tables()

    def counted(self):
        seen.append(tables() - before)
        made = model(self)
        seen.append(tables() - before)
        return made

    monkeypatch.setattr(Again, "model", counted)
    found = Gated(gate=CalibratedOptFS(epochs=1)).search(problem, sizes=(), seed=1)
    assert found.snapshot is not None
    assert seen == [0, 1]
