"""The champion on the newest days, and when that is an alarm."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.watching import watch
from ctrsel.core.errors import DataError
from ctrsel.register.store import quiet_mlflow
from ctrsel.register.versions import find_version, load_version
from ctrsel.stats.auc import auc

DAY = datetime.date(2026, 1, 20)


def limits(config, **changes):
    return replace(config, pipelines=replace(config.pipelines, monitor=replace(config.pipelines.monitor, **changes)))


def moved(config, tmp_path, days, change):
    """The config over days whose rows were changed."""
    folder = tmp_path / "moved"
    folder.mkdir()
    source = config.pipelines.ingest_daily.source
    for day in days:
        change(pl.read_parquet(source.replace("{day}", str(day)))).write_parquet(folder / f"{day}.parquet")
    feed = replace(config.pipelines.ingest_daily, source=f"{folder}/{{day}}.parquet")
    return replace(config, pipelines=replace(config.pipelines, ingest_daily=feed))


def line(found, figure):
    [one] = [x for x in found.lines if x.figure == figure]
    return one


def test_figures_are_those_of_the_rows(daily, champion_registry):
    out = Path(daily.out)
    found = watch(limits(daily, days=3), as_of=DAY, out=out)
    rows = pl.concat(pl.read_parquet(champion_registry.folder / f"2026-01-{d}.parquet") for d in (18, 19, 20))
    model = load_version("clicks", 1, config=daily.register, out=out)
    logits = model.logits(model.encoder.encode(rows))[:, 0].astype(np.float64)
    labels = rows["click"].to_numpy().astype(np.float64)
    assert found.rows == rows.height
    assert found.positives == labels.sum()
    assert line(found, "auc").value == pytest.approx(auc(labels, logits))
    p = 1 / (1 + np.exp(-logits))
    assert line(found, "calibration").value == pytest.approx(p.sum() / labels.sum())
    assert found.alarms == ()
    assert set(found.shift_by_field) <= set(model.encoder.schema.names)
    saved = json.loads((out / "monitor" / f"{DAY}.json").read_text())
    assert saved["auc"] == line(found, "auc").value
    assert saved["alarms"] == 0


def test_figures_are_on_the_champions_page(daily):
    out = Path(daily.out)
    for day in (19, 20):
        watch(limits(daily, days=2), as_of=datetime.date(2026, 1, day), out=out)
    from mlflow import MlflowClient

    facts = find_version("clicks/1", config=daily.register, out=out)
    with quiet_mlflow(daily.register.tracking_uri):
        client = MlflowClient(tracking_uri=daily.register.tracking_uri)
        history = client.get_metric_history(facts.run_id, "monitor/auc")
    assert [m.step for m in history] == [20472, 20473]  # days since 1970-01-01


def test_a_field_that_says_something_else_is_an_alarm(daily, tmp_path):
    config = moved(limits(daily, days=1), tmp_path, [DAY], lambda rows: rows.with_columns(noise=pl.lit(99)))
    found = watch(config, as_of=DAY, out=Path(daily.out))
    assert [x.figure for x in found.alarms] == ["fields"]
    assert "1 by more than 0.1: noise" in found.alarms[0].words
    assert found.unseen_by_field["noise"] == 1
    assert watch(limits(config, max_field_shift=None), as_of=DAY, out=Path(daily.out)).alarms == ()


def test_outcomes_that_turn_round_are_alarms(daily, tmp_path):
    days = [datetime.date(2026, 1, d) for d in range(14, 21)]
    config = moved(daily, tmp_path, days, lambda rows: rows.with_columns(click=1 - pl.col("click")))
    found = watch(config, as_of=DAY, out=Path(daily.out))
    alarm = line(found, "auc")
    assert alarm.alarm
    assert alarm.high < alarm.limit
    assert "at least" in alarm.words
    quiet = limits(config, max_auc_loss=None, min_calibration=None, max_calibration=None)
    assert not line(watch(quiet, as_of=DAY, out=Path(daily.out)), "auc").alarm


def test_days_that_cannot_be_read_are_left_out_and_told(daily, tmp_path):
    days = [datetime.date(2026, 1, d) for d in (18, 20)]
    config = moved(limits(daily, days=3), tmp_path, days, lambda rows: rows)
    found = watch(config, as_of=DAY, out=Path(daily.out))
    assert any("no rows for 2026-01-19" in note for note in found.notes)
    with pytest.raises(DataError, match="none of the 3 days until 2026-03-01 can be read"):
        watch(config, as_of=datetime.date(2026, 3, 1), out=Path(daily.out))


def test_age_is_held_against_its_limit(daily):
    found = watch(limits(daily, days=1, max_age=-1), as_of=DAY, out=Path(daily.out))
    assert [x.figure for x in found.alarms] == ["age"]
