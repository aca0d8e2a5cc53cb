"""ctrsel tune as a program: what it prints, its printed command, kills, Ctrl-C, and two commands on one study."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

CONFIG = """
name: small
data: {train: clicks.parquet}
schema: {label: {name: click}, ignore: [id]}
learners: {q: {use: "quick:Quick"}, h: {use: "quick:Hanging"}}
select: {learner: q}
register: {enabled: false}
tune: {learners: [q], seeds: 1, top: 1}
"""
MINE = str(Path(__file__).parents[1] / "tune")


@pytest.fixture
def config(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(MINE)
    monkeypatch.setenv("PYTHONPATH", MINE)
    (here / "small.yaml").write_text(CONFIG)
    return here / "small.yaml"


def start(*argv: object) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", "import sys; from ctrsel.cli import main; sys.exit(main())", *map(str, argv)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trial_of(process: subprocess.Popen[str], *, seconds: float = 300) -> psutil.Process:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # another one may end meanwhile
                if "ctrsel.tune.child" in child.cmdline():
                    return child
        time.sleep(0.1)
    raise AssertionError(f"no trial was started: {process.communicate()}")


def gone(process: psutil.Process, *, seconds: float = 120) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give --budget, or --score with a trial's number"),
        (["--budget", "1m", "--score", "3"], "give --budget, or --score"),
        (["--budget", "soon"], "--budget: expected a time such as 10m"),
        (["--budget", "1m", "--learner", "qq"], "unknown learner 'qq'"),
        (
            ["--budget", "1m", "--set", "tune.ranges={q.levle: [1]}"],
            "unknown parameter 'q.levle'; did you mean 'q.level'",
        ),
        (["--score", "0"], "nothing was tuned with this config"),
    ],
)
def test_usage(ctrsel, config, argv, message):
    said = ctrsel("tune", config, *argv)
    assert said.code == 2
    assert message in said.err


def test_a_run_takes_only_what_tuning_wrote(ctrsel, config):
    said = ctrsel("run", config, "--tuned", "nowhere", "--dry-run")
    assert said.code == 2
    assert "expected a folder or a file that 'ctrsel tune' wrote" in said.err


def test_its_text_and_the_printed_command(ctrsel, config):
    said = ctrsel("tune", config, "--budget", "8m", "--trials", "2", "--json")
    assert said.code == 0, said.err
    best = said.json["best"]
    assert said.json["outcomes"] == {"done": 2}
    words = shlex.split(best["command"])
    assert words[:2] == ["ctrsel", "tune"]
    again = ctrsel(*words[1:], "--json")
    assert again.code == 0, again.err
    assert again.json["scores"][0]["found"] == best["score"]
    text = ctrsel("tune", config, "--budget", "8m", "--trials", "1").out
    assert "Preferred: trial " in text
    assert "3 trials: 3 done." in text
    assert f"ctrsel tune {config} --score " in text
    assert "--tuned runs/small/tune/study-" in text


@pytest.mark.slow
def test_a_tuned_learner_runs(ctrsel, small_run):
    quiet = ("--set", "register.enabled=false")
    narrow = ("--set", "tune.ranges={net.backbone: [deepfm]}", "--set", "tune.seeds=0")
    said = ctrsel("tune", small_run, "--budget", "9m", "--trials", "3", "--learner", "net", *quiet, *narrow, "--json")
    assert said.code == 0, said.err
    best = said.json["best"]
    run = ctrsel("run", small_run, "--tuned", said.json["out"], *quiet, "--json")
    assert run.code == 0, run.err
    full = next(c for c in run.json["contenders"] if c["name"] == "net, all values")
    assert full["valid"]["auc"] == best["score"]  # the run trains what the trial trained


@pytest.mark.slow
def test_killed_and_gone_on_with(config):
    hanging = ("tune", config, "--budget", "5m", "--learner", "h", "--learner", "q")
    first = start(*hanging)
    trial = trial_of(first)
    first.kill()
    first.communicate()
    assert gone(trial), "the trial's process outlived its command"
    # Half of the time is for the one that hangs, which leaves the other one many times what it takes.
    second = start(*hanging[:2], "--budget", "80s", "--trials", "2", "--learner", "h", "--learner", "q", "--json")
    out, err = second.communicate(timeout=400)
    assert second.returncode == 0, err
    lines = {t["number"]: t for t in json.loads(out)["leaderboard"]}
    assert lines[0]["outcome"] == "cut"
    assert "its command was ended" in lines[0]["reason"]
    again = [t for t in lines.values() if t["learner"] == "h" and t["number"] > 0]
    assert again, "what was killed is tried again"
    assert again[0]["origin"] == "h as given"
    assert json.loads(out)["best"]["learner"] == "q"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_no_process(config, number, code):
    process = start("tune", config, "--budget", "5m", "--learner", "h")
    trial = trial_of(process)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert gone(trial)
    assert "the same command goes on" in err


@pytest.mark.slow
def test_two_commands_share_a_study(config):
    argv = ("tune", config, "--budget", "8m", "--trials", "4", "--workers", "2", "--json")
    both = [start(*argv), start(*argv)]
    said = [p.communicate(timeout=540) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    last = max((json.loads(out) for out, _ in said), key=lambda r: len(r["leaderboard"]))
    numbers = [t["number"] for t in last["leaderboard"]]
    assert sorted(numbers) == list(range(8))
    assert len({json.dumps(t["spec"], sort_keys=True) for t in last["leaderboard"]}) == 8
