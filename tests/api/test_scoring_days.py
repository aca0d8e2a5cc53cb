"""A day's rows are scored once by each champion."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.reviewing import rollback
from ctrsel.api.scoring_days import score_day
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.register.versions import load_version

DAY = datetime.date(2026, 1, 20)


def test_the_champion_scores_the_day_once(daily, champion_registry):
    out = Path(daily.out)
    found = score_day(daily, as_of=DAY, out=out)
    rows = pl.read_parquet(champion_registry.folder / f"{DAY}.parquet")
    scores = pl.read_csv(found["out"])
    assert scores["id"].to_list() == rows["id"].to_list()
    model = load_version("clicks", 1, config=daily.register, out=out)
    np.testing.assert_allclose(scores["probability"], model.probabilities(rows)[:, 0], rtol=1e-6)
    assert (found["version"], found["rows"], found["reused"]) == (1, rows.height, False)
    assert 0 <= found["unseen_by_field"]["noise"] <= 1
    written = Path(found["out"]).stat().st_mtime_ns
    again = score_day(daily, as_of=DAY, out=out)
    assert again["reused"]
    assert again["mean_probability"] == found["mean_probability"]
    assert Path(found["out"]).stat().st_mtime_ns == written


def test_another_version_or_other_rows_are_scored_again(daily, champion_registry, tmp_path):
    out = Path(daily.out)
    source = tmp_path / "in"
    source.mkdir()
    shutil.copyfile(champion_registry.folder / f"{DAY}.parquet", source / f"{DAY}.parquet")
    score = replace(daily.pipelines.score_batch, source=f"{source}/{{day}}.parquet")
    config = replace(daily, pipelines=replace(daily.pipelines, score_batch=score))
    score_day(config, as_of=DAY, out=out)
    rollback("clicks", reason="for a test", to=2, store=daily.register.tracking_uri)
    second = score_day(config, as_of=DAY, out=out)
    assert (second["version"], second["reused"]) == (2, False)
    pl.read_parquet(source / f"{DAY}.parquet").head(7).write_parquet(source / f"{DAY}.parquet")
    third = score_day(config, as_of=DAY, out=out)
    assert (third["rows"], third["reused"]) == (7, False)
    Path(third["out"]).unlink()  # scores that are gone are made again
    assert score_day(config, as_of=DAY, out=out)["reused"] is False


def test_what_cannot_be_scored_is_said(daily):
    out = Path(daily.out)
    with pytest.raises(DataError, match=r"2026-03-01\.parquet: no rows to score on 2026-03-01"):
        score_day(daily, as_of=datetime.date(2026, 3, 1), out=out)
    nothing = replace(daily, pipelines=replace(daily.pipelines, score_batch=None))
    with pytest.raises(ConfigError, match=r"pipelines\.score_batch: name the source"):
        score_day(nothing, as_of=DAY, out=out)
