"""Rankings by day, each beside the one before."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ctrsel.api.feed import feed, store_of
from ctrsel.api.ranking_days import rank_days
from ctrsel.core.config import DataConfig, LabelConfig, RunConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError
from ctrsel.core.pipelines_config import FeedConfig, PipelinesConfig, WindowConfig
from ctrsel.data.table import Table
from ctrsel.records.ranking import Ranking
from ctrsel.testing.tables import tiny_frame

FIRST = datetime.date(2026, 1, 1)


@pytest.fixture
def config(tmp_path):
    for i in range(6):
        day = FIRST + datetime.timedelta(days=i)
        frame = tiny_frame(rows=400, seed=i).drop("id", "load").with_columns(day=pl.lit(str(day)))
        if i >= 3:  # from the fourth day on, `site` says what `ad` said
            frame = frame.with_columns(noise=pl.col("click") * 3)
        frame.write_csv(tmp_path / f"{day}.csv")
    made = RunConfig(
        name="clicks",
        data=DataConfig(store=str(tmp_path / "store")),
        schema=SchemaConfig(label=LabelConfig(name="click"), time="day"),
        split=SplitConfig(use="hash", valid=0.1, test=0.1),
        rank=({"use": "mutual_information"},),
        out=str(tmp_path / "run"),
        pipelines=PipelinesConfig(
            ingest_daily=FeedConfig(source=str(tmp_path / "{day}.csv"), first=str(FIRST)),
            rank_weekly=WindowConfig(days=3),
        ),
    )
    feed(made, as_of=FIRST + datetime.timedelta(days=5))
    return made


def test_each_ranking_is_compared_with_the_one_before(config):
    out = Path(config.out)
    third, sixth = (FIRST + datetime.timedelta(days=i) for i in (2, 5))
    before = rank_days(config, as_of=third, backfill=True, out=out)
    assert before["rankings"]["mutual_information"]["best"][0] == "ad"
    assert "since" not in before["rankings"]["mutual_information"]
    now = rank_days(config, as_of=sixth, backfill=False, out=out)
    told = now["rankings"]["mutual_information"]
    assert told["best"][0] == "noise"
    assert told["since"] == "2026-01-03"
    assert 0 < told["overlap"] < 1
    assert now["overlap_mutual_information"] == told["overlap"]
    saved = out / "rank_weekly" / "2026-01-06"
    assert Ranking.load(saved / "mutual_information").order[0] == "noise"
    assert json.loads((saved / "summary.json").read_text())["rows"] == now["rows"]
    # Only rows of the newest three days took part.
    table = Table.load(store_of(config))
    assert now["rows"] < 0.6 * table.part("train").n_rows


def test_days_must_be_positive(config):
    none = replace(config, pipelines=replace(config.pipelines, rank_weekly=WindowConfig(days=0)))
    with pytest.raises(ConfigError, match=r"pipelines\.rank_weekly\.days: must be at least 1, got 0"):
        rank_days(none, as_of=FIRST, backfill=False, out=Path(config.out))
