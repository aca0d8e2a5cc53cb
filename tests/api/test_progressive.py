"""Progressive evaluation: what each day is trained and tested on, by hand; and that later days change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.progressive import Protocol, progressive
from ctrsel.core.building import build
from ctrsel.core.config import FieldConfig, LabelConfig, RunConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.records.progressive import Progressive
from ctrsel.stats.auc import auc
from ctrsel.stats.losses import log_loss
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(
    backbone=DeepFM(hidden=(4,), dropout=0.0), width=4, batch_size=64, learning_rate=1e-2, embedding_l2=0, max_epochs=1
)
SCHEMA = SchemaConfig(
    label=LabelConfig(name="click"),
    fields={"price": FieldConfig(kind="numeric", bucket="quantile", bins=6)},
    time="day",
)


def days_of_clicks(days=4, per=300, seed=0, ads=12, fresh=3):
    """Ads come and go, and their rates drift; the price says a little."""
    rng = np.random.default_rng(seed)
    effect: dict[int, float] = {}
    parts = []
    for day in range(days):
        pool = range(day * fresh, day * fresh + ads)
        for ad in pool:
            effect[ad] = effect.get(ad, 0.0) * 0.9 + rng.normal() * (1.8 if ad not in effect else 0.3)
        ad, price = rng.choice(list(pool), per), rng.normal(size=per).round(3) + day
        logit = np.array([effect[a] for a in ad]) + 0.2 * (price - day) - 0.5
        parts.append(
            pl.DataFrame(
                {
                    "day": np.full(per, day),
                    "ad": [f"ad{a}" for a in ad],
                    "price": price,
                    "click": (rng.random(per) < 1 / (1 + np.exp(-logit))).astype(np.int8),
                }
            )
        )
    return pl.concat(parts)


@pytest.fixture(scope="module")
def table():
    return ingest(days_of_clicks(), schema=SCHEMA, split=SplitConfig(use="none"))


def write(frame: pl.DataFrame, folder: Path) -> RunConfig:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "clicks.parquet")
    given = {
        "name": "days",
        "out": str(folder / "out"),
        "data": {"train": str(folder / "clicks.parquet")},
        "schema": {"label": {"name": "click"}, "time": "day", "fields": {"price": {"kind": "numeric", "bins": 6}}},
        "learners": {
            "net": {
                "use": "net",
                "backbone": {"use": "deepfm", "hidden": [4], "dropout": 0.0},
                "width": 4,
                "batch_size": 64,
                "learning_rate": 0.01,
                "embedding_l2": 0,
                "max_epochs": 1,
            }
        },
    }
    return build(RunConfig, given, place="days")


def test_three_days_by_hand():
    """Cold: each day an ingest of what is past, the same training and the same metrics, by hand."""
    frame = days_of_clicks().drop("price")
    schema = SchemaConfig(label=LabelConfig(name="click"), time="day")
    found = progressive(ingest(frame, schema=schema, split=SplitConfig(use="none")), NET, valid=0.2)
    assert [d.day for d in found.days] == ["1", "2", "3"]
    assert [d.rows for d in found.days] == [
        {"train": 240, "valid": 60, "test": 300},
        {"train": 480, "valid": 120, "test": 300},
        {"train": 720, "valid": 180, "test": 300},
    ]
    for of, cut, stop in zip(found.days, (240, 480, 720), (300, 600, 900), strict=True):
        parts = {"train": frame[:cut], "valid": frame[cut:stop], "test": frame[stop : stop + 300]}
        by_hand = ingest(parts, schema=schema)
        model = NET.fit(by_hand.without("test"), seed=1).model
        assert of.model == model.digest
        y, z = by_hand.part("test").label(), model.logits(by_hand.part("test"))[:, 0].astype(np.float64)
        assert of.metrics["auc"].value == pytest.approx(auc(y, z))
        assert of.metrics["log_loss"].value == pytest.approx(log_loss(y, z))
        assert of.metrics["base_rate"].value == pytest.approx(y.mean())
        assert of.metrics["auc"].low < of.metrics["auc"].value < of.metrics["auc"].high
    values = np.array([d.metrics["auc"].value for d in found.days])
    half = 4.302653 * np.sqrt(((values - values.mean()) ** 2).sum() / 2) / np.sqrt(3)  # t with 2 degrees of freedom
    mean = found.mean["auc"]
    assert mean.value == pytest.approx(values.sum() / 3)
    assert (mean.low, mean.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-6)


def test_warm_days_train_each_row_once(table):
    found = progressive(table, NET, warm=True, valid=0.1)
    trained = [d.rows["train"] for d in found.days]
    assert trained == [270, 297, 299]  # 300 less a tenth; then yesterday's tenth and 300, less a tenth of both; ...
    assert [d.rows["valid"] for d in found.days] == [30, 33, 34]
    assert [d.start for d in found.days] == [None, found.days[0].model, found.days[1].model]
    assert found.days[0].new_values is None
    assert all(d.new_values is not None and d.new_values >= 1 for d in found.days[1:])
    assert all(d.epochs == 1 for d in found.days)


def test_a_warm_pass_over_the_new_day_beats_a_fresh_one_over_the_same_rows():
    """Ads stay, so that what was learned on earlier days is worth more than what one day tells."""
    table = ingest(days_of_clicks(days=5, per=400, fresh=1, ads=20), schema=SCHEMA, split=SplitConfig(use="none"))
    warm, fresh = progressive(table, NET, warm=True), progressive(table, NET, window=1)
    gains = [a.metrics["auc"].value - b.metrics["auc"].value for a, b in zip(warm.days, fresh.days, strict=True)]
    assert gains[0] == 0
    assert np.mean(gains[1:]) > 0.02


@pytest.mark.parametrize("warm", [False, True])
def test_later_days_change_no_earlier_score(tmp_path, warm):
    frame = days_of_clicks()
    later = frame.with_columns(
        ad=pl.when(pl.col("day") == 3).then(pl.lit("ad1")).otherwise(pl.col("ad")),
        price=pl.when(pl.col("day") >= 2).then(pl.col("price") * -7).otherwise(pl.col("price")),
        click=pl.when((pl.col("day") == 3) & (pl.col("price") > 3))
        .then(1 - pl.col("click"))
        .otherwise(pl.col("click")),
    )
    a = progressive(write(frame, tmp_path / "a"), warm=warm)
    b = progressive(write(later, tmp_path / "b"), warm=warm)
    c = progressive(write(frame.filter(pl.col("day") < 2), tmp_path / "c"), warm=warm)
    first = [r.days[0] for r in (a, b, c)]
    assert len({d.model for d in first}) == 1
    assert len({str(d.metrics) for d in first}) == 1
    assert a.days[1].model == b.days[1].model  # trained on days 0 and 1, tested on the changed day 2
    assert a.days[1].metrics != b.days[1].metrics
    assert a.days[2].model != b.days[2].model


def test_a_config_goes_on_where_it_was_and_takes_a_new_day(tmp_path, monkeypatch):
    frame = days_of_clicks()
    config = write(frame.filter(pl.col("day") < 3), tmp_path)
    first = progressive(config, warm=True)
    assert Progressive.load(tmp_path / "out/progressive") == first
    monkeypatch.setattr(NetLearner, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert progressive(config, warm=True) == first
    monkeypatch.undo()
    calls = []
    real = NetLearner.fit
    monkeypatch.setattr(NetLearner, "fit", lambda self, table, **k: calls.append(1) or real(self, table, **k))
    longer = progressive(write(frame, tmp_path), warm=True)
    assert longer.days[:2] == first.days
    assert len(calls) == 1
    header, lines = longer.rows()
    assert len(header) == len(lines[0])
    assert [line[0] for line in lines] == ["1", "2", "3", "mean of 3"]


def test_the_last_days_and_a_window(table):
    found = progressive(table, BoostedLearner(rounds=3), days=1, window=2)
    assert [d.day for d in found.days] == ["3"]
    assert found.days[0].rows["train"] + found.days[0].rows["valid"] == 600
    assert found.protocol["window"] == 2
    assert found.mean["auc"].low is None


def test_what_cannot_be_is_refused_in_one_sentence(table, tmp_path):
    with pytest.raises(ConfigError, match="cannot go on from a model"):
        progressive(table, BoostedLearner(rounds=3), warm=True)
    with pytest.raises(DataError, match="more than 4 periods"):
        progressive(table, NET, history=4)
    with pytest.raises(ConfigError, match="no window to set"):
        Protocol(warm=True, window=2)
    with pytest.raises(ConfigError, match="days: must be at least 1"):
        Protocol(days=0)
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        Protocol(valid=1.0)
    config = write(days_of_clicks(), tmp_path)
    with pytest.raises(ConfigError, match="nets"):
        progressive(config, "nets")
