"""Estimates against what really comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrsel.api.costs import ASSUMED, COSTS, NetShape, tree_rounds
from ctrsel.api.estimate import estimate
from ctrsel.core.config import load_config
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.models.cost import BackboneCost
from ctrsel.train.boosted import BoostedLearner


def table_of(made):
    return ingest(made.data, schema=made.schema, split=made.split, settings=made.ingest, seed=1)


def test_small_data_are_counted_exactly(clicks_config):
    made = clicks_config()
    found = estimate(made)
    table = table_of(made)
    assert found.rows == {"train": 3200, "valid": 400, "test": 400}
    assert found.exact_rows
    assert found.fields == len(table.schema.fields)
    assert found.values == pytest.approx(table.encoder.n_values, rel=0.02)


def test_embedding_and_optimiser_bytes_are_those_of_the_net(clicks_config):
    made = clicks_config(extra="learners: {net: {use: net, width: 5, backbone: {use: deepfm, hidden: [8]}}}")
    (net,) = estimate(made).nets
    encoder = table_of(made).encoder
    assert net.embedding_rows == pytest.approx(encoder.total_codes, rel=0.02)
    assert net.embedding_bytes == net.embedding_rows * (5 + 1) * 4
    # linear 6 slots x 5 -> 8 with bias, batch normalisation (2 x 8), linear 8 -> 1 with bias
    assert net.network_bytes == 4 * (30 * 8 + 8 + 2 * 8 + 8 + 1)
    assert net.optimiser_bytes == 5 * (net.embedding_bytes + net.network_bytes)


def test_epoch_time_is_the_sum_of_its_parts():
    cost = BackboneCost(multiply_adds=1000, parameters=50)
    net = NetShape(slots=4, width=10, rows=100, backbone=cost, batch=256, threads=1)
    rows = 1000 * (COSTS.embedded * 40 + COSTS.multiply_add * 1000)
    steps = 4 * COSTS.table_step * 100 * 11
    assert net.epoch(1000) == pytest.approx(rows + steps)
    assert net.epoch(1000, kept=0.5) == pytest.approx(rows + steps / 2)


def test_rounds_follow_the_learning_rate():
    assert tree_rounds(BoostedLearner(learning_rate=0.05)) == ASSUMED.rounds / 0.05
    assert tree_rounds(BoostedLearner(learning_rate=0.05, rounds=10)) == 10


def test_too_large_for_the_memory_is_a_warning(clicks_config, monkeypatch):
    import psutil

    real = psutil.virtual_memory()
    assert estimate(clicks_config()).warnings == ()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=100 << 20))
    (warning,) = estimate(clicks_config()).warnings
    assert "GiB are free" in warning


def test_what_is_seen_without_all_rows_is_refused(clicks_config):
    with pytest.raises(DataError, match="no such file"):
        estimate(clicks_config(**{"data.train": "nothing.csv"}))
    with pytest.raises(ConfigError, match="sise"):
        clicks_config(**{"select.sise": 1})
    with pytest.raises(ConfigError, match="clik"):
        estimate(clicks_config(**{"schema.label.name": "clik"}))


def test_shipped_data_give_the_right_order_of_magnitude():
    made = load_config(Path(__file__).parents[2] / "configs" / "census_income.yaml")
    found = estimate(made)
    assert found.rows["test"] == 99_762
    assert found.rows["train"] + found.rows["valid"] == 199_523
    assert found.values == pytest.approx(table_of(made).encoder.n_values, rel=0.1)
    assert 30 < found.seconds < 480
    assert found.memory < 2 << 30


def test_mixes_cost_what_their_parts_cost_one_after_the_other(clicks_config):
    net = {"use": "net", "width": 5, "backbone": {"use": "deepfm", "hidden": [8]}}
    trees = {"use": "boosted", "rounds": 50}
    mix = {"use": "ensemble", "members": [net, trees], "seeds": 3}
    learners = {"net": net, "boosted": trees, "mix": mix, "sure": {"use": "calibrated", "learner": mix}}
    found = estimate(clicks_config(learners=learners, **{"select.learner": "sure", "select.selectors": ["ranking"]}))
    stages = {s.name: s for s in found.stages}
    once = stages["train/net"].seconds + stages["train/boosted"].seconds
    assert stages["train/mix"].seconds == pytest.approx(3 * once)
    assert stages["train/sure"].seconds == pytest.approx(3 * once)
    assert stages["train/mix"].memory == max(stages["train/net"].memory, stages["train/boosted"].memory)
    assert stages["retrain/ranking"].seconds > stages["train/boosted"].seconds
    alone, mixed, sure = found.nets
    assert [n.learner for n in found.nets] == ["net", "mix", "sure"]
    assert mixed.embedding_bytes == 3 * alone.embedding_bytes
    assert mixed.multiply_adds == sure.multiply_adds == 3 * alone.multiply_adds == 3 * (30 * 8 + 8)
    assert mixed.optimiser_bytes == alone.optimiser_bytes
    assert found.warnings == ()


def test_a_learner_of_another_kind_is_told_and_not_guessed(clicks_config):
    learners = {"boosted": {"use": "boosted"}, "net": {"use": "net"}, "regression": {"use": "logistic"}}
    found = estimate(clicks_config(learners=learners))
    assert "train/regression" in [s.name for s in found.stages]
    assert any("how long regression takes is not known" in w for w in found.warnings)
