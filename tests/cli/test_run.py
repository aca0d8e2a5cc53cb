"""A whole run by the command line: result, reuse, report, interruption, kill and a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctrsel.records.run import Run

CALL = "from ctrsel.cli import main; raise SystemExit(main())"
pytestmark = pytest.mark.slow


# However late a signal comes, the net's training is not over: it ends only much later.
LINGERS = """
import time
from functools import wraps
from ctrsel.train.net import NetLearner
fit = NetLearner.fit
NetLearner.fit = wraps(fit)(lambda *given, **named: (fit(*given, **named), time.sleep(600))[0])
"""


def start(folder: Path, *argv: str, limit: int | None = None, lingers: bool = False) -> subprocess.Popen[str]:
    """Start the program as a process of its own; `limit` is the largest file it may write, in bytes."""
    code = LINGERS + CALL if lingers else CALL
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); " + code
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_at(process: subprocess.Popen[str], line: str, number: int) -> tuple[int, str]:
    """Send a signal when a log line has begun with these words; return the exit code and all of standard error."""
    seen = []
    assert process.stderr is not None
    for said in process.stderr:
        seen.append(said)
        if line in said:
            process.send_signal(number)
            break
    out, rest = process.communicate(timeout=300)
    assert out == ""
    return process.returncode, "".join(seen) + rest


def half_written(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob(".*") if "partial" in p.name or "old-" in p.name]


@pytest.fixture
def calm(small_run, monkeypatch):
    """The small run without registration, which has tests of its own."""
    text = small_run.read_text() + "register: {enabled: false}\n"
    small_run.write_text(text)
    return small_run


def test_run_twice_and_report(ctrsel, here, small_run, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    first = ctrsel("run", small_run, "--json", "-q")
    assert first.code == 0, first.err
    found = first.json
    assert found["registration"]["version"] == 1
    assert Path(found["report"]).is_file()
    assert {c["role"] for c in found["contenders"]} == {"reference", "full", "selected", "control"}
    assert not any(s["reused"] for s in found["stages"])

    second = ctrsel("run", small_run)
    assert second.code == 0, second.err
    assert f"{len(found['stages'])} were reused" in second.out
    assert Run.load(here / "runs/small/run").registration.version == 1
    again = ctrsel("run", small_run, "--json", "-q").json
    assert all(s["reused"] for s in again["stages"])
    assert again["digest"] == found["digest"]

    said = ctrsel("report", "runs/small", "-q")
    assert said.code == 0
    assert "report.html" in said.out
    Path(found["report"]).unlink()
    said = ctrsel("report", small_run, "--json", "-q")
    assert said.code == 0, said.err
    assert Path(said.json["report"]).is_file()
    assert said.json["digest"] == found["digest"]

    said = ctrsel("predict", "runs/small/model", "clicks.csv", "--out", "s.csv", "-q")
    assert said.code == 0, said.err


def test_promotion_refused_is_4_with_the_table(ctrsel, here, calm):
    said = ctrsel(
        "run", calm, "-q", "--json", "--set", "register.require_promotion=true", "--set", "register.max_auc_loss=-1"
    )
    assert said.code == 4
    assert said.json["exit_code"] == 4
    assert not said.json["verdict"]["promoted"]
    assert "not promoted" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_run_goes_on_from_the_last_finished_stage(here, calm, number):
    whole = start(here, "run", str(calm), "--json", "-q", "--out", "whole")
    code, err = stop_at(start(here, "run", str(calm), lingers=True), "train/net ...", number)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number], err
    assert "Traceback" not in err
    assert not (here / "runs/small/report.html").exists()
    if number != signal.SIGKILL:
        assert half_written(here / "runs") == []
    expected, said = whole.communicate(timeout=300)
    assert whole.returncode == 0, said

    again = start(here, "run", str(calm), "--json")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    found = json.loads(out)
    assert [s["name"] for s in found["stages"] if s["reused"]] == ["ingest", "audit", "train/boosted"]
    assert half_written(here / "runs") == []
    # The same answer as a run that was never stopped; only the folder's name differs in the configuration.
    del found["digest"]
    expected = json.loads(expected)
    assert [c["metrics"] for c in found["contenders"]] == [c["metrics"] for c in expected["contenders"]]
    assert [c["model"] for c in found["contenders"]] == [c["model"] for c in expected["contenders"]]


def test_two_runs_in_one_folder(here, calm):
    first = start(here, "run", str(calm))
    assert first.stderr is not None
    for line in first.stderr:
        if "train/boosted" in line:
            break
    first.send_signal(signal.SIGSTOP)  # it is at work for as long as the second one takes
    try:
        second = start(here, "run", str(calm))
        _, err = second.communicate(timeout=300)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert "another run" in err
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=300)


@pytest.mark.parametrize("limit", [2_000, 20_000, 60_000])
def test_full_disk_leaves_nothing_half_written(here, calm, limit):
    run = start(here, "run", str(calm), "--json", limit=limit)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 3, err
    assert json.loads(out)["exit_code"] == 3
    assert "no space is left" in err
    assert "Traceback" not in err
    assert half_written(here / "runs") == []
    assert not (here / "runs/small/report.html").exists()


def test_full_disk_for_a_file(here):
    rank = start(here, "rank", "clicks.parquet", "-l", "click", "--out", "ranking.csv", "-q", limit=100)
    _, err = rank.communicate(timeout=300)
    assert rank.returncode == 3, err
    assert "ranking.csv" in err or "no space" in err
    assert not (here / "ranking.csv").exists()
    assert half_written(here) == []


def test_reader_that_goes_away(here):
    done = subprocess.run(
        f'"{sys.executable}" -c "{CALL}" rank clicks.parquet -l click -q --json | true; echo ${{PIPESTATUS[0]}}',
        shell=True,
        executable=shutil.which("bash"),
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "141"
    assert done.stderr == ""
