"""Tuning a config: the folder it leaves, what is preferred and why, scores computed again, and the hand-over to a run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from ctrsel.api.plan import plan
from ctrsel.api.preferred import leaderboard, tuned_config
from ctrsel.api.tuning import read_budget, score_again, tune_learners
from ctrsel.core.config import (
    DataConfig,
    LabelConfig,
    RegisterConfig,
    RunConfig,
    SchemaConfig,
    SelectConfig,
    TuneConfig,
)
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.records.leaderboard import Leaderboard, Trial
from ctrsel.testing.tables import tiny_frame
from ctrsel.tune.job import Job


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tune"))  # a learner that takes no time
    tiny_frame(rows=600).write_parquet(tmp_path / "clicks.parquet")
    return RunConfig(
        name="small",
        data=DataConfig(train=str(tmp_path / "clicks.parquet")),
        schema=SchemaConfig(label=LabelConfig(name="click"), ignore=("id",)),
        out=str(tmp_path / "out"),
        learners={"trees": {"use": "quick:Quick", "steps": 2}},
        select=SelectConfig(learner="trees"),
        register=RegisterConfig(enabled=False),
        tune=TuneConfig(seeds=1, top=1, ranges={"trees.steps": [1, 2, 4]}),
    )


@pytest.mark.parametrize("text", ["", "10x", "m10", "-3m", "0s", "1m nonsense", "inf"])
def test_budgets_are_checked(text):
    with pytest.raises(ConfigError, match="--budget: expected a time such as 10m"):
        read_budget(text)


def test_tuning_then_its_scores_again_then_going_on(config, tmp_path):
    made = tune_learners(config, budget="2m", trials=2, command="ctrsel tune small.yaml")
    board = Leaderboard.load(made.folder / "leaderboard")
    assert board == made.leaderboard
    assert board.digest == made.leaderboard.digest
    assert {t.outcome for t in board.trials} == {"done"}
    assert made.start.origin == "trees as given"
    assert board.best is not None
    assert made.best.fresh >= made.start.fresh
    frame = pl.read_parquet(made.folder / "leaderboard" / "trials.parquet")
    assert frame["command"].to_list() == [f"ctrsel tune small.yaml --score {t.number}" for t in board.trials]
    assert frame["score"].is_sorted(descending=True)

    # The same scores again: those of the study, and with the other seed.
    for trial in board.trials:
        found = score_again(config, trial.number, seeds=True)
        assert [f.found for f in found] == [trial.score, *trial.again]
    with pytest.raises(ConfigError, match="--score 77: unknown trial '77'"):
        score_again(config, 77)
    other = replace(config, seed=2)
    with pytest.raises(ConfigError, match="nothing was tuned with this config and these data"):
        score_again(other, 0)

    # A score that does not come out the same is an error, not a remark.
    lied = replace(board, trials=tuple(replace(t, score=0.99) for t in board.trials))
    lied.save(made.folder / "leaderboard")
    with pytest.raises(DataError, match=re.escape("the leaderboard says 0.99, computed again it is")):
        score_again(config, 0)

    # What is preferred is a part of a config, and a run takes it.
    given = yaml.safe_load((made.folder / "best.yaml").read_text())
    assert given["select"] == {"learner": "trees"}
    assert given["learners"]["trees"]["use"] == "quick:Quick"
    taken = tuned_config(config, tmp_path / "out")
    assert plan(taken).learners["trees"].level == made.best.spec["level"]

    # The same command goes on, and the leaderboard is whole again.
    more = tune_learners(config, budget="2m", trials=1)
    assert more.known == 2
    assert len(more.leaderboard.trials) == 3
    assert more.folder == made.folder


def test_learners_by_name(config):
    with pytest.raises(ConfigError, match=re.escape("--learner: unknown learner 'nett'; did you mean 'net'?")):
        tune_learners(config, budget="10s", learners=("nett",))
    with pytest.raises(ConfigError, match=re.escape("tune.learners: unknown learner 'treees'")):
        tune_learners(replace(config, tune=TuneConfig(learners=("treees",))), budget="10s")
    with pytest.raises(ConfigError, match="--workers: must be at least 1, got 0"):
        tune_learners(config, budget="10s", workers=0)


@pytest.mark.slow
def test_without_a_score_it_says_so(config):
    hanging = replace(config, learners={"trees": {"use": "quick:Hanging"}}, tune=TuneConfig(seeds=1, top=1))
    with pytest.raises(ConfigError, match=r"no trial has a score after 3 s .*raise --budget"):
        tune_learners(hanging, budget="3s")


def test_a_net_is_searched_with_where_trees_are_preferred_but_gates_are_wanted(config, tmp_path):
    best = {"learners": {"trees": {"use": "boosted"}, "net": {"use": "net"}}, "select": {"learner": "trees"}}
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(best))
    gated = replace(config, select=SelectConfig(learner="net"), learners={"net": {"use": "net"}})
    assert tuned_config(gated, tmp_path / "best.yaml").select.learner == "net"
    ranked = replace(gated, select=SelectConfig(learner="net", selectors=({"use": "ranking"},)))
    assert tuned_config(ranked, tmp_path).select.learner == "trees"
    with pytest.raises(ConfigError, match="expected a folder or a file that 'ctrsel tune' wrote"):
        tuned_config(config, tmp_path / "nothing")


def line(number: int, score: float | None, *, again: tuple[float, ...] = (), **given: object) -> Trial:
    facts = {"learner": "net", "spec": {"use": "net"}, "values": {}, "origin": "drawn", "outcome": "done", "valid": {}}
    return Trial(number=number, score=score, again=again, **{**facts, **given})


def chosen(config: RunConfig, *lines: Trial, seeds: tuple[int, ...] = (2, 3)) -> tuple[int | None, str]:
    job = Job(table="t", never_use=(), learner={}, seed=1)
    wide = replace(config, tune=TuneConfig())
    board = leaderboard(wide, job, seeds, tuple(sorted(lines, key=lambda t: -(t.score or 0.0))))
    return board.best, " ".join(board.notes)


def test_other_seeds_decide(config):
    lucky, good = line(5, 0.9, again=(0.7, 0.7)), line(3, 0.8, again=(0.75, 0.79))
    assert chosen(config, lucky, good)[0] == 3
    # As many seeds as two of them have are compared; one alone is compared with nothing.
    assert chosen(config, lucky, replace(good, again=(0.6,)))[0] == 5
    best, note = chosen(config, lucky, replace(good, again=()))
    assert (best, "no time for other seeds" in note) == (5, True)
    assert chosen(config, line(5, 0.9), line(3, 0.8), seeds=())[0] == 5


def test_the_given_one_stands_among_those_that_are_compared(config):
    best_three = [line(i, 0.9 - i / 100, again=(0.7, 0.7)) for i in range(3)]
    given = line(9, 0.8, again=(0.71, 0.72), origin="net as given")
    assert chosen(config, *best_three, given)[0] == 9


def test_a_given_one_that_had_no_time_to_end_is_not_passed_over(config):
    given, drawn = line(0, 0.94, outcome="slow", origin="net as given", steps=9), line(1, 0.9)
    best, note = chosen(config, given, drawn)
    assert best == 0
    assert "ended early" in note
    assert chosen(config, given, replace(drawn, again=(0.95, 0.9)))[0] == 0  # one alone is compared with nothing
    two = [line(i, 0.91, again=(0.9, 0.92)) for i in (3, 4)]
    assert chosen(config, given, *two)[0] == 0
    assert chosen(config, replace(given, score=0.9), *two)[0] == 3
    assert chosen(config, replace(given, again=(0.8,)), replace(drawn, again=(0.85,)))[0] == 1


def test_where_nothing_is_done_the_best_until_then_is_preferred_and_said(config):
    best, note = chosen(
        config, line(1, 0.7, outcome="hung"), line(2, 0.8, outcome="pruned"), line(3, None, outcome="failed")
    )
    assert best == 2
    assert "a run trains it to the end" in note
    assert chosen(config, line(3, None, outcome="failed")) == (None, "")
