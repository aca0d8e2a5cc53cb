"""Fits and selections come back as they were saved."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.api.saved import load_fit, load_selection, save_fit, save_selection
from ctrsel.core.errors import DataError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.optfs import OptFS
from ctrsel.select import Problem
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.gated import Gated
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=400).without("test")


@pytest.fixture(scope="module")
def net():
    return NetLearner(backbone=DeepFM(hidden=(4,)), width=2, batch_size=64, max_epochs=1)


@pytest.mark.parametrize("kind", ["net", "boosted"])
def test_a_fit_comes_back(table, net, tmp_path, kind):
    fit = (net if kind == "net" else BoostedLearner(rounds=3)).fit(table, seed=1)
    save_fit(fit, tmp_path / "fit")
    again = load_fit(tmp_path / "fit")
    assert again.model.digest == fit.model.digest
    np.testing.assert_array_equal(again.model.logits(table), fit.model.logits(table))
    assert (again.epochs, again.seconds, again.valid) == (fit.epochs, fit.seconds, fit.valid)
    assert [dict(h) for h in again.history] == [dict(h) for h in fit.history]


def test_a_selection_comes_back_with_its_snapshot(table, net, tmp_path):
    problem = Problem(table=table, learner=net)
    selection = Gated(gate=OptFS(epochs=3, penalty=0.02, gate_lr=0.1)).select(problem, size=200, seed=1)
    save_selection(selection, tmp_path / "s")
    again = load_selection(tmp_path / "s")
    assert again.features.digest == selection.features.digest
    assert again.snapshot.digest == selection.snapshot.digest
    assert [dict(h) for h in again.history] == [dict(h) for h in selection.history]
    for name, score in selection.features.scores.items():
        np.testing.assert_array_equal(again.features.scores[name], score)


def test_a_selection_without_a_snapshot_comes_back(table, net, tmp_path):
    selection = MostFrequent().select(Problem(table=table, learner=net), size=9, seed=1)
    save_selection(selection, tmp_path / "s")
    again = load_selection(tmp_path / "s")
    assert again.snapshot is None
    assert again.features.digest == selection.features.digest


def test_another_kind_of_folder_is_refused(table, net, tmp_path):
    save_fit(net.fit(table, seed=1), tmp_path / "fit")
    with pytest.raises(DataError, match=r"expected a saved ctrsel.selection, got 'ctrsel.fit'"):
        load_selection(tmp_path / "fit")
