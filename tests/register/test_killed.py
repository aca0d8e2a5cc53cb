"""The registry and its promotion log after kill -9 at each step, and under eight processes at once."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def play(tmp_path, database):
    def run(mode):
        file = tmp_path / "mlflow.db"
        shutil.copyfile(database, file)
        program = Path(__file__).with_name("killing.py")
        done = subprocess.run(
            [sys.executable, str(program), str(file), mode], capture_output=True, text=True, timeout=1700, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return run


def consistent(state):
    assert "failed" not in state, state
    log = state["log"]
    assert state["open"] == 0
    assert [e[0] for e in log] == sorted({e[0] for e in log})
    assert all(before[4] == after[3] for before, after in itertools.pairwise(log)), state
    assert state["champion"] == log[-1][4], state
    assert "moved elsewhere" not in {e[1] for e in log}, state


def test_whatever_is_killed_when_the_log_says_what_the_registry_is(play):
    (before, *states), _ = play("kill")
    assert [e[1:5] for e in before["log"]] == [["promoted", 1, None, 1], ["promoted", 2, 1, 2]]
    assert before["champion"] == 2
    for state in states:
        consistent(state)
    for name in ("promote", "rollback"):
        mine = [s for s in states if s["name"] == name]
        outcomes = [s["champion"] for s in mine]
        # Until the entry is written nothing has happened, from then on all of it.
        assert outcomes == sorted(outcomes, reverse=True)
        assert 1 in outcomes
        assert all(len(s["log"]) == (3 if s["champion"] == 1 else 2) for s in mine)
    again = [s for s in states if s["name"] == "register"]
    assert len(again) > 8
    for state in again:
        assert state["champion"] == 3 or (state["champion"] == 4 and len(state["versions"]) == 3)
        assert all(state["versions"].values())  # no half-made version is left
        assert [e[1] for e in state["log"]] == ["promoted"] * 3


def test_eight_processes_at_once_lose_nothing(play):
    (_, codes, state), errors = play("crowd")
    assert codes["codes"] == [0] * 8, errors[-2000:]
    consistent(state)
    assert len(state["log"]) == 2 + 8
    assert sorted(e[5] for e in state["log"] if e[1] == "promote") == [f"turn {n}" for n in range(4)]
    assert len(state["versions"]) == 2 + 4
    assert all(state["versions"].values())
