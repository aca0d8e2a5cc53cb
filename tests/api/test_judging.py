from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
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
    path.write_text(whole[:-1])  # a line that lacks its end alone is kept
    assert Cells.open(path).find(table, features, TREES, seed=1) == cell
    assert path.read_text() == whole
    path.write_text(whole + whole[:40])
    cells.judge(table, whole_fields(table.encoder, ["site"]), TREES, seed=1)  # so does who writes next
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2
    path.write_text("{}\n" + whole)
    with pytest.raises(DataError, match="line 1 is no cell"):
        Cells.open(path)
    assert json.loads(whole)["features"] == features.digest


def test_what_another_process_adds_is_known_at_once(tmp_path, trained):
    table, path = tiny_table(), tmp_path / "cells.jsonl"
    features = whole_fields(table.encoder, ["ad"])
    mine, theirs = Cells.open(path), Cells.open(path)
    cell = theirs.judge(table, features, TREES, seed=1)
    assert mine.find(table, features, TREES, seed=1) == cell
    assert mine.judge(table, features, TREES, seed=1) == cell
    mine.judge(table, features, TREES, seed=2)
    theirs.judge(table, features, TREES, seed=3)
    assert len(trained) == 3
    assert set(mine.known) | {theirs.key(table, features, TREES, seed=3)} == set(Cells.open(path).known)


def test_a_cell_that_was_trained_twice_keeps_its_test(tmp_path):
    table, path = tiny_table(), tmp_path / "cells.jsonl"
    known, features = table.without("test"), whole_fields(table.encoder, ["ad"])
    cells = Cells.open(path)
    plain = cells.judge(known, features, TREES, seed=1)
    cell = cells.read_test(table, features, TREES, seed=1, keep=tmp_path / "kept" / "scores.npy")
    assert np.load(tmp_path / "kept" / "scores.npy").shape == (len(table.part("test").row),)
    cells._write(plain)
    assert Cells.open(path).find(known, features, TREES, seed=1) == cell
    assert cell.test_auc is not None


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "cells.jsonl"
    many = [subprocess.Popen([sys.executable, "-c", WRITES, str(path), str(i)]) for i in range(3)]
    assert [p.wait(timeout=400) for p in many] == [0, 0, 0]
    cells = Cells.open(path)
    assert len(path.read_text().splitlines()) == len(cells.known) == 3 * 200


WRITES = """
import sys
from pathlib import Path
from ctrsel.api.judging import Cell, Cells
cells, which = Cells.open(Path(sys.argv[1])), int(sys.argv[2])
for i in range(200):
    cells._write(Cell(
        table="t", features=f"{which} {i}", judge={"use": "boosted"}, seed=1, fields=1, values=1, valid_auc=0.5,
        test_auc=None, valid_log_loss=0.6, test_log_loss=None, seconds=0.1,
    ))
"""


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


def test_test_is_read_later_once_by_the_kept_model(tmp_path, trained):
    table = tiny_table(rows=1500)
    known = table.without("test")
    features = whole_fields(table.encoder, ["ad", "site"])
    cells = Cells.open(tmp_path / "cells.jsonl", models=tmp_path / "models")
    cell = cells.judge(known, features, TREES, seed=1)
    assert cell.test_auc is None
    assert (tmp_path / "models" / cell.key).is_dir()
    read = cells.read_test(table, features, TREES, seed=1, full=None, keep=tmp_path / "full.npy")
    logits = np.load(tmp_path / "full.npy")
    assert len(trained) == 1  # not trained again
    whole = Cells.open(tmp_path / "whole.jsonl").judge(table, features, TREES, seed=1)
    assert (read.test_auc, read.test_log_loss) == (whole.test_auc, whole.test_log_loss)
    assert not (tmp_path / "models" / cell.key).exists()
    again = cells.read_test(table, features, TREES, seed=1, full=logits)
    assert again == read
    assert Cells.open(tmp_path / "cells.jsonl").find(known, features, TREES, seed=1) == read
    noise = whole_fields(table.encoder, ["noise"])
    cells.judge(known, noise, TREES, seed=1)
    paired = cells.read_test(table, noise, TREES, seed=1, full=logits)
    assert 0 < paired.test_error < 0.2
    with pytest.raises(DataError, match="no cell"):
        cells.read_test(table, noise, TREES, seed=7)


def test_a_model_that_is_gone_is_trained_again(tmp_path, trained):
    table = tiny_table(rows=1500)
    features = whole_fields(table.encoder, ["ad"])
    cells = Cells.open(tmp_path / "cells.jsonl")
    cells.judge(table.without("test"), features, TREES, seed=1)
    read = cells.read_test(table, features, TREES, seed=1)
    assert len(trained) == 2
    assert read.test_auc == Cells.open(tmp_path / "w").judge(table, features, TREES, seed=1).test_auc
