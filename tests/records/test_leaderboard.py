"""A leaderboard is what it was after it was saved, and its table reads without it."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ctrsel.core.errors import DataError
from ctrsel.records.leaderboard import Leaderboard, Trial

GIVEN = {"use": "net", "backbone": {"use": "deepfm", "hidden": [4, 4]}}


@pytest.fixture
def board() -> Leaderboard:
    first = Trial(
        number=3,
        learner="net",
        spec=GIVEN,
        values={"net.width": 8},
        origin="drawn",
        outcome="done",
        score=0.8,
        steps=4,
        valid={"auc": 0.8, "log_loss": 0.4},
        seconds=1.5,
        memory=1 << 20,
        parameters=12,
        again=(0.78, 0.79),
        command="ctrsel tune a.yaml --score 3",
    )
    second = Trial(
        number=1,
        learner="net",
        spec={},
        values={},
        origin="net as given",
        outcome="refused",
        valid={},
        reason="too big",
    )
    return Leaderboard(
        name="clicks",
        objective="auc",
        table="table",
        never_use=("id",),
        seed=1,
        seeds=(2, 3),
        trials=(first, second),
        best=3,
        start=None,
        notes=("a note",),
    )


def test_save_and_load(board, tmp_path):
    board.save(tmp_path / "board")
    again = Leaderboard.load(tmp_path / "board")
    assert again == board
    assert again.digest == board.digest
    assert again.trial(3).fresh == pytest.approx(0.785)
    assert again.trial(1).fresh is None
    assert again.trial(2) is None


def test_the_table(board, tmp_path):
    board.save(tmp_path / "board")
    frame = pl.read_parquet(tmp_path / "board" / "trials.parquet")
    assert frame["number"].to_list() == [3, 1]
    assert json.loads(frame["spec"][0]) == GIVEN
    assert frame["again"].to_list() == [[0.78, 0.79], []]
    assert frame["score"].to_list() == [0.8, None]


def test_what_is_no_leaderboard(tmp_path):
    with pytest.raises(DataError, match=r"expected a saved ctrsel\.leaderboard"):
        Leaderboard.load(tmp_path)
