"""Estimates against what really comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.costs import ASSUMED, COSTS, NetShape, tree_rounds
from ctrsel.api.estimate import estimate
from ctrsel.core.config import load_config
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.models.cost import BackboneCost
from ctrsel.testing.tables import sequence_frame, tiny_frame
from ctrsel.train.boosted import BoostedLearner


def config(tmp_path, data="clicks.parquet", extra="", **overrides):
    path = tmp_path / "run.yaml"
    path.write_text(f"name: a\ndata: {{train: {tmp_path / data}}}\nschema: {{label: {{name: click}}}}\n{extra}")
    return load_config(path, overrides=overrides)


@pytest.fixture
def clicks(tmp_path):
    tiny_frame(rows=4000).write_parquet(tmp_path / "clicks.parquet")
    return tmp_path


def table_of(made):
    return ingest(made.data, schema=made.schema, split=made.split, settings=made.ingest, seed=1)


def array_bytes(table):
    total = table.labels.nbytes + table.row.nbytes
    for column in table.columns.values():
        total += column.nbytes if isinstance(column, np.ndarray) else column.offsets.nbytes + column.codes.nbytes
    return total


def test_small_data_are_counted_exactly(clicks):
    made = config(clicks)
    found = estimate(made)
    table = table_of(made)
    assert found.rows == {"train": 3200, "valid": 400, "test": 400}
    assert found.exact_rows
    assert found.fields == len(table.schema.fields)
    assert found.values == pytest.approx(table.encoder.n_values, rel=0.02)
    assert found.table_bytes == pytest.approx(array_bytes(table), rel=0.02)


def test_lists_are_measured(tmp_path):
    sequence_frame(rows=2000).write_parquet(tmp_path / "seq.parquet")
    made = config(tmp_path, "seq.parquet", **{"schema.fields": {"history": {"kind": "sequence", "vocabulary": "item"}}})
    assert estimate(made).table_bytes == pytest.approx(array_bytes(table_of(made)), rel=0.05)


@pytest.mark.parametrize("min_count", [1, 3])
def test_values_grow_like_the_data(tmp_path, monkeypatch, min_count):
    # A heavy tail (Zipf, exponent 1.5): distinct values grow as a power of the rows.
    rng = np.random.default_rng(0)
    n = 60_000
    frame = pl.DataFrame({"click": np.arange(n) % 2, "item": rng.zipf(1.5, n).astype(str), "flat": np.arange(n) % 7})
    frame.write_parquet(tmp_path / "tail.parquet")
    made = config(tmp_path, "tail.parquet", **{"ingest.min_count": min_count})
    real = table_of(made).encoder.n_values
    from ctrsel.api import estimate as module

    monkeypatch.setattr(
        module, "_sample", lambda data, name, pattern: module.sample_source(pattern, format=data.format, limit=5000)
    )
    found = estimate(made)
    assert not found.exact_values
    assert found.sampled_rows == 5000
    assert found.values == pytest.approx(real, rel=0.3)


def test_embedding_and_optimiser_bytes_are_those_of_the_net(clicks):
    made = config(clicks, extra="learners: {net: {use: net, width: 5, backbone: {use: deepfm, hidden: [8]}}}")
    (net,) = estimate(made).nets
    encoder = table_of(made).encoder
    assert net.embedding_rows == pytest.approx(encoder.total_codes, rel=0.02)
    assert net.embedding_bytes == net.embedding_rows * (5 + 1) * 4
    # linear 6 slots x 5 -> 8 with bias, batch normalisation (2 x 8), linear 8 -> 1 with bias
    assert net.network_bytes == 4 * (30 * 8 + 8 + 2 * 8 + 8 + 1)
    assert net.optimiser_bytes == 5 * (net.embedding_bytes + net.network_bytes)


def test_stages_are_those_of_a_run_in_its_order(clicks):
    names = [s.name for s in estimate(config(clicks)).stages]
    assert names == [
        "ingest",
        "audit",
        "train/boosted",
        "train/net",
        "rank/mutual_information",
        "rank/boosted_shap",
        "select/gated",
        "retrain/gated",
        "retrain/ranking",
        "retrain/random",
        "retrain/frequent",
        "evaluate",
        "explain",
        "report",
        "register",
    ]
    assert "register" not in [s.name for s in estimate(config(clicks, **{"register.enabled": False})).stages]


def test_more_work_takes_longer(clicks):
    base = {s.name: s.seconds for s in estimate(config(clicks)).stages}
    wide = {s.name: s.seconds for s in estimate(config(clicks, **{"learners": {
        "boosted": {"use": "boosted", "learning_rate": 0.01}, "net": {"use": "net", "width": 64}}})).stages}  # fmt: skip
    assert wide["train/net"] > base["train/net"]
    assert wide["train/boosted"] > base["train/boosted"]
    assert wide["ingest"] == base["ingest"]


def test_selectors_that_train_take_their_trainings(clicks):
    named = [{"use": "net_merge", "nets": 4}, "permutation", "merge"]
    seconds = {s.name: s.seconds for s in estimate(config(clicks, **{"select.selectors": named})).stages}
    assert seconds["select/net_merge"] == 4 * seconds["train/net"]
    assert seconds["select/permutation"] == seconds["train/net"]
    assert "select/merge" not in seconds


def test_rankers_that_train_or_count_pairs_take_longer(clicks):
    specs = [{"use": name} for name in ("mutual_information", "mrmr", "boosted_gain", "null_importance")]
    seconds = {s.name: s.seconds for s in estimate(config(clicks, rank=specs)).stages}
    assert seconds["rank/mrmr"] > seconds["rank/mutual_information"]
    assert seconds["rank/null_importance"] > seconds["rank/boosted_gain"]


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


def test_too_large_for_the_memory_is_a_warning(clicks, monkeypatch):
    import psutil

    real = psutil.virtual_memory()
    assert estimate(config(clicks)).warnings == ()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=100 << 20))
    (warning,) = estimate(config(clicks)).warnings
    assert "GiB are free" in warning


def test_what_is_seen_without_all_rows_is_refused(clicks):
    with pytest.raises(DataError, match="no such file"):
        estimate(config(clicks, **{"data.train": "nothing.csv"}))
    with pytest.raises(ConfigError, match="sise"):
        config(clicks, **{"select.sise": 1})
    with pytest.raises(ConfigError, match="clik"):
        estimate(config(clicks, **{"schema.label.name": "clik"}))


def test_rows_sorted_by_label_are_no_error(tmp_path, monkeypatch):
    from ctrsel.api import estimate as module

    pl.DataFrame({"click": [0] * 500 + [1] * 500, "ad": ["a", "b"] * 500}).write_parquet(tmp_path / "s.parquet")
    monkeypatch.setattr(
        module, "_sample", lambda data, name, pattern: module.sample_source(pattern, format=data.format, limit=100)
    )
    assert estimate(config(tmp_path, "s.parquet")).rows["train"] == 800


def test_shipped_data_give_the_right_order_of_magnitude():
    made = load_config(Path(__file__).parents[2] / "configs" / "census_income.yaml")
    found = estimate(made)
    assert found.rows["test"] == 99_762
    assert found.rows["train"] + found.rows["valid"] == 199_523
    assert found.values == pytest.approx(table_of(made).encoder.n_values, rel=0.1)
    assert 30 < found.seconds < 480
    assert found.memory < 2 << 30


def test_crosses_cost_a_scan_of_pairs_and_one_more_net(clicks):
    plain, asked = estimate(config(clicks)), estimate(config(clicks, extra="crosses: {top: 2}\n"))
    more = [s.name for s in asked.stages if s.name not in {x.name for x in plain.stages}]
    assert more == ["rank/interactions", "cross", "train/net, without crosses"]
    assert asked.seconds > plain.seconds
    assert any("crosses are chosen in the run" in w for w in asked.warnings)
    named = estimate(config(clicks, extra="crosses: {use: [[site, ad]], compare: false}\n"))
    assert [s.name for s in named.stages if s.name not in {x.name for x in plain.stages}] == ["cross"]


def test_mixes_cost_what_their_parts_cost_one_after_the_other(clicks):
    net = {"use": "net", "width": 5, "backbone": {"use": "deepfm", "hidden": [8]}}
    trees = {"use": "boosted", "rounds": 50}
    mix = {"use": "ensemble", "members": [net, trees], "seeds": 3}
    learners = {"net": net, "boosted": trees, "mix": mix, "sure": {"use": "calibrated", "learner": mix}}
    found = estimate(config(clicks, learners=learners, **{"select.learner": "sure", "select.selectors": ["ranking"]}))
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


def test_a_learner_of_another_kind_is_told_and_not_guessed(clicks):
    learners = {"boosted": {"use": "boosted"}, "net": {"use": "net"}, "regression": {"use": "logistic"}}
    found = estimate(config(clicks, learners=learners))
    assert "train/regression" in [s.name for s in found.stages]
    assert any("how long regression takes is not known" in w for w in found.warnings)
