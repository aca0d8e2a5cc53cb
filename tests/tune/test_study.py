"""A study on disk: shared, resumed, with a journal that a kill cannot spoil, and pruned among its own kind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import OneOf
from ctrsel.tune.space import Space
from ctrsel.tune.study import Study

TREES = Space(learners={"trees": {"use": "boosted"}})
BOTH = Space(learners={"trees": {"use": "boosted"}, "net": {"use": "net"}}, wished={})


def study_at(tmp_path, **given) -> Study:
    return Study("s", journal=tmp_path / "study.journal", **given)


def test_the_first_trials_are_the_starts_and_are_queued_once(tmp_path):
    study = study_at(tmp_path)
    assert study.begin(TREES) == 0
    assert study_at(tmp_path).begin(TREES) == 1
    assert study.waiting() == 1
    asked = study.ask(TREES)
    assert (asked.number, asked.learner, asked.origin) == (0, "trees", "trees as given")
    assert asked.spec["leaves"] == 63
    study.finish(0, "done", score=0.7, valid={"auc": 0.7}, seconds=1.0)
    drawn = study.ask(TREES)
    assert drawn.origin == "drawn"
    assert drawn.spec["leaves"] != 63


def test_a_resumed_study_draws_what_an_unbroken_one_draws(tmp_path):
    def specs(folder, resume):
        study, found = study_at(folder), []
        study.begin(TREES)
        for i in range(14):
            if resume and i % 3 == 0:
                study = study_at(folder)
            asked = study.ask(TREES)
            found.append(asked.spec)
            study.finish(asked.number, "done", score=0.6 + asked.spec["learning_rate"])
        return found

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = specs(tmp_path / "a", resume=False)
    assert one == specs(tmp_path / "b", resume=True)
    assert len({json.dumps(s) for s in one}) == 14


def test_two_commands_share_a_study_and_its_other_seeds(tmp_path):
    a, b = study_at(tmp_path), study_at(tmp_path)
    a.begin(TREES)
    first, second = a.ask(TREES), b.ask(TREES)
    assert {first.number, second.number} == {0, 1}
    a.finish(0, "done", score=0.7)
    b.finish(1, "pruned", score=0.6)
    b.set_again(0, 2, 0.71)
    assert a.again() == {(0, 2): 0.71}
    assert [(t.number, t.outcome, t.score) for t in a.trials(command=str)] == [(0, "done", 0.7), (1, "pruned", 0.6)]
    assert a.trials(command=str, seeds=(2, 3))[0].again == (0.71,)


def test_pruning_is_among_trials_of_one_learner(tmp_path):
    study = study_at(tmp_path)
    space = Space(learners={"a": {"use": "boosted"}, "b": {"use": "boosted"}})

    def ask_for(name):
        while True:
            asked = study.ask(space)
            if asked.learner == name:
                return asked.number
            study.finish(asked.number, "failed", reason="not wanted")

    for level in (0.80, 0.81, 0.82, 0.83):
        number = ask_for("a")
        for step in (1, 2, 3):
            assert not study.report(number, step, level + step / 100)
        study.finish(number, "done", score=level + 0.03)
    good, bad, other = ask_for("a"), ask_for("a"), ask_for("b")
    assert not study.report(good, 1, 0.85)
    assert not study.report(bad, 1, 0.5)  # the first report decides nothing
    assert not study.report(good, 2, 0.85)
    assert study.report(bad, 2, 0.79)
    assert [study.report(other, step, 0.5) for step in (1, 2, 3)] == [False] * 3
    never = study_at(tmp_path, prune="none")
    assert never.again() == {}


def test_a_trial_whose_process_is_gone_is_found_and_queued_again(tmp_path):
    code = """
import os, sys
from pathlib import Path
from ctrsel.tune.space import Space
from ctrsel.tune.study import Study
space = Space(learners={"trees": {"use": "boosted"}})
study = Study("s", journal=Path(sys.argv[1]))
study.begin(space)
print(study.ask(space).number, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "study.journal")], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("0", -9), done.stderr
    with (tmp_path / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":6,"trial_')  # a line that the kill cut short
    study = study_at(tmp_path)
    assert study.begin(TREES) == 1
    [line] = study.trials(command=str)
    assert line.outcome == "running"
    assert study.adopt() == 1
    assert study.adopt() == 0
    asked = study.ask(TREES)
    assert (asked.number, asked.origin, asked.spec["leaves"]) == (1, "trees as given", 63)
    study.breathe()
    assert study_at(tmp_path).adopt() == 1  # of this very process, but not known to that study: left by a Ctrl-C


def test_a_trial_at_work_elsewhere_is_left_alone(tmp_path):
    code = """
import sys, time
from pathlib import Path
from ctrsel.tune.space import Space
from ctrsel.tune.study import Study
space = Space(learners={"trees": {"use": "boosted"}})
study = Study("s", journal=Path(sys.argv[1]))
study.begin(space)
print(study.ask(space).number, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "study.journal")], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "0"
        try:
            assert study_at(tmp_path).adopt() == 0
        finally:
            other.kill()
    assert study_at(tmp_path).adopt() == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "--storage: cannot be used: "),
        ("postgresql+psycopg://ann:secret@127.0.0.1:1/none", "--storage: cannot be used: "),
        ("mysql+nodriver://ann:secret@host/db", "--storage: "),
    ],
)
def test_a_storage_that_cannot_be_used(tmp_path, url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        study_at(tmp_path, storage=url)
    assert "secret" not in str(caught.value)


def test_a_database(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study = study_at(tmp_path, storage=url)
    study.begin(TREES)
    study.finish(study.ask(TREES).number, "done", score=0.7)
    study.close()
    again = study_at(tmp_path, storage=url)
    assert [t.score for t in again.trials(command=str)] == [0.7]
    again.close()
    assert not (tmp_path / "study.journal").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


def test_starts_that_are_cheap_come_first_after_those_that_are_given(tmp_path):
    study = study_at(tmp_path)
    price = {"boosted": 1.0, "fm": 2.0, "deepfm": 9.0}
    space = Space(
        learners={"net": {"use": "net"}, "trees": {"use": "boosted"}},
        wished={"net.backbone": OneOf(("autoint", "deepfm", "dnn", "fm"))},
    )
    study.begin(space, cost=lambda spec: price.get(spec.get("backbone", {}).get("use", ""), 5.0))
    origins = []
    for _ in range(5):
        asked = study.ask(space)
        origins.append(asked.origin)
        study.finish(asked.number, "done", score=0.6)
    assert origins[:3] == ["net as given", "trees as given", "net with backbone fm"]
    assert set(origins[3:]) == {"net with backbone autoint", "net with backbone dnn"}


def test_a_start_that_was_killed_comes_before_later_ones(tmp_path):
    space = Space(learners={"net": {"use": "net"}}, wished={"net.backbone": OneOf(("deepfm", "dnn", "fm"))})
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ctrsel.core.ranges import OneOf\n"
        "from ctrsel.tune.space import Space\n"
        "from ctrsel.tune.study import Study\n"
        "space = Space(learners={'net': {'use': 'net'}}, wished={'net.backbone': OneOf(('deepfm', 'dnn', 'fm'))})\n"
        f"study = Study('s', journal=Path({str(tmp_path / 'study.journal')!r}))\n"
        "study.begin(space)\n"
        "assert study.ask(space).origin == 'net as given'\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    study = study_at(tmp_path)
    assert study.begin(space) == 3
    assert study.adopt() == 1
    assert [study.ask(space).origin for _ in range(3)] == [
        "net as given",
        "net with backbone dnn",
        "net with backbone fm",
    ]
    assert study.ask(space).origin == "drawn"
