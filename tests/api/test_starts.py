"""Starts by name, and what a run does with one: other keys of stages, and every retraining from the same place."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from ctrsel.api.cache import StageCache
from ctrsel.api.functions import train_model
from ctrsel.api.plan import plan
from ctrsel.api.stages import Stages
from ctrsel.core.building import build
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner

from .conftest import NET


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """A saved run of another table, or what of one a start needs."""
    folder = tmp_path_factory.mktemp("champion")
    train_model(tiny_table(rows=500, seed=8), learner=dict(NET)).model.save(folder / "run/model")
    return folder / "run"


def test_a_model_its_folder_and_its_run_are_the_same_start(champion):
    table = tiny_table(rows=300)
    fits = [train_model(table, learner=dict(NET), start=s) for s in (champion, str(champion / "model"))]
    assert fits[0].model.digest == fits[1].model.digest
    assert fits[0].notes[0].startswith("started from an older model")
    assert train_model(table, learner=dict(NET)).model.digest != fits[0].model.digest
    with pytest.raises(DataError, match="expected a saved"):
        train_model(table, learner=dict(NET), start=champion / "nothing")
    with pytest.raises(ConfigError, match="of kind 'net' is nothing that 'learner' can go on from"):
        train_model(table, learner=BoostedLearner(rounds=2), start=champion)


def test_a_run_goes_on_from_a_start_and_keeps_its_stages_apart(small_plan, champion, tmp_path):
    plain = small_plan(select={"selectors": [{"use": "ranking"}], "size": 0.5})
    begun = plan(build(RunConfig, {**asdict(plain.config), "start": str(champion)}, place="tiny"))
    assert begun.start is not None
    cache = StageCache(folder=tmp_path / "stages", version="1")
    fits = []
    for made in (plain, begun, begun):
        stages = Stages(plan=made, cache=cache)
        known = stages.ingest().without("test")
        trained = stages.train(known)
        outcomes = stages.select(known, stages.rank(known, trained))
        fits.append((trained, outcomes))
    (first, _), (second, chosen), (third, _) = fits
    assert first["boosted"].model.digest == second["boosted"].model.digest  # trees start from nothing
    assert first["net"].model.digest != second["net"].model.digest
    assert second["net"].notes
    assert third["net"].model.digest == second["net"].model.digest
    assert all(o.fit.notes for _, o in chosen.values())
    done = [s["name"] for s in cache.stages if not s["reused"]]
    assert done.count("train/boosted") == 1
    assert done.count("train/net") == 2


def test_a_start_for_no_learner_is_refused_before_anything_is_read(small_plan, champion):
    with pytest.raises(ConfigError, match="start: a model of kind 'net'"):
        small_plan(start=str(champion), learners={"trees": {"use": "boosted"}}, select={"learner": "trees"})


def test_the_newest_rows_of_a_table_alone_are_trained_on(tmp_path):
    import polars as pl

    from ctrsel.testing.tables import tiny_frame

    frame = tiny_frame(rows=600).with_columns(day=pl.int_range(600) // 100)
    frame.write_parquet(tmp_path / "days.parquet")
    given = {
        "name": "days",
        "out": str(tmp_path / "out"),
        "data": {"train": str(tmp_path / "days.parquet"), "newest": "2"},
        "schema": {"label": {"name": "click"}, "time": "day"},
        "split": {"use": "time", "valid": 0.17, "test": 0.17},
    }
    stages = Stages(
        plan=plan(build(RunConfig, given, place="days")), cache=StageCache(folder=tmp_path / "stages", version="1")
    )
    table = stages.ingest()
    assert sorted(set(table.part("train").time.tolist())) == [2, 3]
    assert set(table.part("valid").time.tolist()) == {4}
    assert table.encoder.vocabulary("ad").counts.sum() == 400  # codes are those of all days
