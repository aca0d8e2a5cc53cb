from __future__ import annotations

import json

import pytest

from ctrsel.api.judging import Cells
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.select.whole_fields import whole_fields
from ctrsel.testing.tables import tiny_table
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner

TREES = BoostedLearner(rounds=5, leaves=4, threads=1)


@pytest.fixture
def trained(monkeypatch):
    """How often a learner was asked to fit."""
    calls = []
    fit = BoostedLearner.fit

    def counted(self, table, **given):
        calls.append(dict(table.splits))
        return fit(self, table, **given)

    monkeypatch.setattr(BoostedLearner, "fit", counted)
    assert issubclass(BoostedLearner, Learner)
    return calls


def test_equal_sets_are_trained_once_whoever_chose_them(tmp_path, trained):
    table = tiny_table(rows=1500)
    cells = Cells.open(tmp_path / "cells.jsonl")
    one = cells.judge(table, whole_fields(table.encoder, ["ad", "site"]), TREES, seed=1)
    again = cells.judge(table, whole_fields(table.encoder, ["site", "ad"]), TREES, seed=1)
    assert one is again
    assert len(trained) == 1
    assert "test" not in trained[0]
    reopened = Cells.open(tmp_path / "cells.jsonl")
    assert reopened.judge(table, whole_fields(table.encoder, ["site", "ad"]), TREES, seed=1) == one
    assert len(trained) == 1
    noise = reopened.judge(table, whole_fields(table.encoder, ["noise"]), TREES, seed=1)
    assert one.test_auc > 0.65 > noise.test_auc
    assert (one.fields, noise.fields) == (2, 1)
    reopened.judge(table, whole_fields(table.encoder, ["noise"]), TREES, seed=2)
    assert len((tmp_path / "cells.jsonl").read_text().splitlines()) == 3


def test_a_cut_last_line_is_dropped_and_any_other_is_refused(tmp_path, trained):
    table, path = tiny_table(), tmp_path / "cells.jsonl"
    features = whole_fields(table.encoder, ["ad"])
    cell = Cells.open(path).judge(table, features, TREES, seed=1)
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    cells = Cells.open(path)
    assert path.read_text() == whole
    assert cells.find(table, features, TREES, seed=1) == cell
    path.write_text("{}\n" + whole)
    with pytest.raises(DataError, match="line 1 is no cell"):
        Cells.open(path)
    assert json.loads(whole)["features"] == features.digest


def test_without_test_rows_only_validation_is_measured(tmp_path):
    table = tiny_table().without("test")
    cell = Cells.open(tmp_path / "c").judge(table, whole_fields(table.encoder, ["ad"]), TREES, seed=1)
    assert cell.test_auc is None
    assert 0 < cell.valid_auc <= 1


def test_whole_fields_refuses():
    encoder = tiny_table().encoder
    with pytest.raises(ConfigError, match="'adx'"):
        whole_fields(encoder, ["adx"])
    with pytest.raises(DataError, match="at least one"):
        whole_fields(encoder, [])
