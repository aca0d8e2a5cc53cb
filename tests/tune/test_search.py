"""Trials in processes of their own: what is reported, what hangs, fails or does not fit, and what is written down."""

from __future__ import annotations

import math

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.tune.job import Job, better, score
from ctrsel.tune.process import Running
from ctrsel.tune.search import candidates

QUICK = {"use": "quick:Quick"}


def ended(process: Running, *, seconds: float = 300) -> list:
    import time

    told, until = [], time.monotonic() + seconds
    while time.monotonic() < until and not any("done" in m or "error" in m for m in told):
        told += process.messages()
        time.sleep(0.05)
    process.end()
    return told


def test_a_job_is_scored_the_same_here_and_in_a_process(mine, job, tmp_path):
    here = score(Job(**{**job.to_dict(), "learner": {**QUICK, "level": 0.7}}))
    assert here.score == pytest.approx(0.8 + 1e-3)
    assert here.steps == 3
    told = ended(Running(Job(**{**job.to_dict(), "learner": {**QUICK, "level": 0.7}}), log=tmp_path / "log.txt"))
    assert [m["step"] for m in told[:-1]] == [1, 2, 3]
    assert told[-1]["done"]["score"] == here.score
    assert told[-1]["done"]["parameters"] == here.parameters > 0
    assert told[-1]["memory"] > 1 << 20


def test_a_job_may_end_after_some_reports(mine, job):
    found = score(Job(**{**job.to_dict(), "learner": {**QUICK, "level": 0.7}, "steps": 2}))
    assert found.score == pytest.approx(0.801 - 0.1 / 2)
    assert not found.valid
    assert score(Job(**{**job.to_dict(), "learner": QUICK, "steps": 4})).score == pytest.approx(0.601)  # it ends before
    loss = score(Job(**{**job.to_dict(), "learner": {**QUICK, "level": 0.7}, "objective": "log_loss"}))
    assert loss.score == pytest.approx(1 - 0.801)
    assert better(0.1, 0.2, objective="log_loss")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("said", "the loss is no number"),
        ("defect", "ZeroDivisionError: one by nothing"),
        ("death", "its process ended by signal 6"),
    ],
)
def test_a_failure_is_told(mine, job, tmp_path, how, message):
    told = ended(
        Running(Job(**{**job.to_dict(), "learner": {"use": "quick:Failing", "how": how}}), log=tmp_path / "log")
    )
    assert message in told[-1]["error"]
    assert ("Traceback" in (tmp_path / "log").read_text()) == (how == "defect")


def test_a_search_begins_with_what_is_given_and_goes_on_above_it(mine, searched):
    study, _ = searched({"q": QUICK}, seconds=500, trials=3, seeds=(2,))
    lines = study.trials(command=lambda n: f"again {n}", seeds=(2,))
    assert [t.outcome for t in lines] == ["done"] * 3
    given = next(t for t in lines if t.number == 0)
    assert (given.origin, given.score, given.values["q.level"]) == ("q as given", pytest.approx(0.601), 0.5)
    assert [t.score for t in lines] == sorted((t.score for t in lines), reverse=True)
    # The best, and the given one, were tried with another seed, which gives a thousandth more here.
    assert all(t.again == (pytest.approx(t.score + 1e-3),) for t in candidates(lines, top=3))
    assert lines[0].command == f"again {lines[0].number}"
    assert math.isfinite(lines[0].seconds)


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_and_the_budget_kept(mine, searched):
    # It may be silent for half of what is left, so either half is many times what a trial takes to begin.
    study, seconds = searched({"h": {"use": "quick:Hanging", "reports": 2}, "q": QUICK}, seconds=80, trials=2)
    assert seconds < 80
    lines = {t.number: t for t in study.trials(command=str)}
    assert lines[0].outcome == "hung"
    assert lines[0].score == pytest.approx(0.62)
    assert "silent since its report 2" in lines[0].reason
    assert any(t.learner == "q" and t.outcome == "done" for t in lines.values())


def test_what_does_not_fit_is_not_started(mine, searched):
    study, _ = searched({"big": {**QUICK, "bytes": 1 << 60}, "q": QUICK}, seconds=500, trials=2)
    first, second = sorted(study.trials(command=str), key=lambda t: t.number)
    assert first.outcome == "refused"
    assert first.reason.startswith("needs about 1073741824.29 GiB, ")
    assert first.score is None
    assert not first.command
    assert second.outcome == "done"


@pytest.mark.slow
def test_where_nothing_can_be_trained_the_search_ends(mine, searched):
    with pytest.raises(ConfigError, match="the first 5 trials have no score; the last one: "):
        searched({"f": {"use": "quick:Failing"}}, seconds=500)


def test_the_time_may_be_over_before_anything_is_known(mine, searched):
    study, seconds = searched({"h": {"use": "quick:Hanging"}}, seconds=5.0, trials=1)
    assert seconds < 120  # it hangs for ever
    [line] = study.trials(command=str)
    assert line.outcome in ("cut", "hung")
    assert line.score is None
