"""The one evaluation: metrics of stats, row weights, sampled negatives, groups, segments."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import special
from sklearn import metrics as sk

from ctrsel.api.evaluate import auc_difference_error, compare_auc, evaluate, row_weight
from ctrsel.core.errors import DataError
from ctrsel.stats.auc import delong, delong_paired, grouped_auc
from ctrsel.stats.calibration import calibration_ratio, ece
from ctrsel.stats.intervals import bootstrap
from ctrsel.stats.losses import log_loss, normalised_entropy

N = 400


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "click": (rng.random(N) < 0.3).astype(np.int8),
            "site": [f"s{i}" for i in rng.integers(0, 3, N - 15)] + ["rare"] * 15,
            "user": [f"u{i}" for i in rng.integers(0, 30, N)],
            "weight": rng.integers(1, 4, N).astype(float),
        }
    )


@pytest.fixture(scope="module")
def scores(frame):
    rng = np.random.default_rng(4)
    # The test rows are the third copy of the frame.
    return np.tile(rng.normal(size=N) - 1 + 1.5 * frame["click"].to_numpy(), 3).astype(np.float32)


def test_metrics_are_those_of_stats(frame, scores, hand_table, given_model):
    table = hand_table(frame, ignore=("weight",))
    found = evaluate(given_model(table, scores), table, seed=5)
    y, z = frame["click"].to_numpy().astype(float), scores[:N].astype(float)
    p = special.expit(z)
    value = {k: m.value for k, m in found.metrics.items()}
    assert value["auc"] == pytest.approx(sk.roc_auc_score(y, z), abs=1e-12)
    assert value["log_loss"] == pytest.approx(sk.log_loss(y, p), abs=1e-12)
    assert value["normalised_entropy"] == pytest.approx(normalised_entropy(y, z), abs=1e-12)
    assert value["calibration_ratio"] == pytest.approx(p.sum() / y.sum(), abs=1e-12)
    assert value["ece"] == pytest.approx(ece(y, p), abs=1e-12)
    assert value["base_rate"] == pytest.approx(y.mean(), abs=1e-12)
    assert "grouped_auc" not in value
    interval = delong(y, z)
    assert (found.metrics["auc"].low, found.metrics["auc"].high) == (interval.low, interval.high)
    by_rows = bootstrap(lambda m: log_loss(y, z, weight=m.astype(float)), N, draws=100, seed=5)
    assert found.metrics["log_loss"].low == pytest.approx(by_rows.low, abs=1e-12)
    assert found.metrics["log_loss"].high == pytest.approx(by_rows.high, abs=1e-12)
    ratio = bootstrap(lambda m: calibration_ratio(y, p, weight=m.astype(float)), N, draws=100, seed=5)
    assert found.metrics["calibration_ratio"].low == pytest.approx(ratio.low, abs=1e-12)
    assert (found.split, found.rows, found.label) == ("test", N, "click")
    np.testing.assert_array_equal(found.logits, scores[:N])
    assert sum(b["rows"] for b in found.reliability) == pytest.approx(N)


def test_a_weight_of_two_is_the_row_twice(frame, scores, hand_table, given_model):
    weighted = hand_table(frame, weight="weight", ignore=("user",))
    times = frame["weight"].cast(pl.Int64).to_numpy()
    repeated = frame.select(pl.all().repeat_by(pl.Series(times)).explode(empty_as_null=False, keep_nulls=False))
    plain = hand_table(repeated, ignore=("user", "weight"))
    one = evaluate(given_model(weighted, scores), weighted).metrics
    two = evaluate(given_model(plain, np.tile(np.repeat(scores[:N], times), 3)), plain).metrics
    for name, metric in one.items():
        assert metric.value == pytest.approx(two[name].value, abs=1e-9), name
    assert one["auc"].method == "bootstrap of rows"
    assert one["auc"].low < one["auc"].value < one["auc"].high


def test_sampled_negatives_weigh_what_they_stand_for():
    # Population: one field with three rates; a tenth of the negatives is kept, and the labels are of the sample.
    from ctrsel.core.config import LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest
    from ctrsel.train.boosted import BoostedLearner

    rng = np.random.default_rng(8)
    site = rng.integers(0, 3, 60_000)
    rate = np.array([0.02, 0.05, 0.15])[site]
    click = rng.random(60_000) < rate
    kept = click | (rng.random(60_000) < 0.1)
    frame = pl.DataFrame({"click": click.astype(np.int8), "site": [f"s{i}" for i in site]})
    table = ingest(
        frame.filter(pl.Series(kept)), schema=SchemaConfig(label=LabelConfig(name="click"), sampling_rate=0.1)
    )
    part = table.part("test")
    weight = row_weight(part)
    np.testing.assert_allclose(weight, np.where(part.label() > 0, 1.0, 10.0))
    model = (
        BoostedLearner(rounds=200, monitor="log_loss", category_smoothing=1.0).fit(table.without("test"), seed=1).model
    )
    found = evaluate(model, table, segments=("site",))
    assert found.metrics["base_rate"].value == pytest.approx(click.mean(), rel=0.1)
    ratio = found.metrics["calibration_ratio"]
    assert ratio.low < 1 < ratio.high
    assert 0.85 < ratio.value < 1.15
    # Calibrated on rows that were never sampled, too.
    p = model.probabilities(frame)[:, 0]
    assert p.mean() == pytest.approx(click.mean(), rel=0.05)
    for i, expected in enumerate([0.02, 0.05, 0.15]):
        assert p[site == i].mean() == pytest.approx(expected, rel=0.15)


def test_groups_cluster_intervals_and_give_a_grouped_auc(frame, scores, hand_table, given_model):
    table = hand_table(frame, group="user", ignore=("weight",))
    found = evaluate(given_model(table, scores), table).metrics
    y, z, users = frame["click"].to_numpy(), scores[:N].astype(float), frame["user"].to_numpy()
    expected = grouped_auc(y, z, users)
    assert found["grouped_auc"].value == pytest.approx(expected.value, abs=1e-12)
    assert str(expected.groups_one_class) in found["grouped_auc"].method
    clustered = delong(y, z, groups=users)
    assert found["auc"].method == "delong, clustered"
    assert found["auc"].low == pytest.approx(clustered.low, abs=1e-12)
    assert found["log_loss"].method == "bootstrap of groups"


def test_one_group_alone_gives_no_interval(frame, scores, hand_table, given_model):
    table = hand_table(frame.with_columns(user=pl.lit("u")), group="user", ignore=("weight",))
    model = given_model(table, scores)
    for name, metric in evaluate(model, table).metrics.items():
        assert metric.value is not None, name
        assert metric.low is None, name
    difference = compare_auc(table, scores[:N], -scores[:N])
    assert difference.value > 0
    assert difference.low is None


def test_segments_hide_rare_and_sensitive_values(frame, scores, hand_table, given_model):
    table = hand_table(frame, sensitive=("user",), ignore=("weight",))
    found = evaluate(given_model(table, scores), table, segments=("site", "user")).segments
    assert {s["field"] for s in found} == {"site"}
    assert {s["value"] for s in found} == {"s0", "s1", "s2"}
    y, p, site = frame["click"].to_numpy(), special.expit(scores[:N].astype(float)), frame["site"].to_numpy()
    for s in found:
        of = site == s["value"]
        assert s["rows"] == of.sum() >= 20
        assert s["observed"] == pytest.approx(y[of].mean())
        assert s["predicted"] == pytest.approx(p[of].mean())
        assert s["ratio"] == pytest.approx(p[of].sum() / y[of].sum())


def test_a_small_model_is_seen_by_the_segments_of_the_whole_table(frame, scores, hand_table, given_model):
    from ctrsel.select import exclude

    table = hand_table(frame, ignore=("weight",))
    narrow = exclude(table, ("site",))
    found = evaluate(given_model(narrow, scores), narrow, segments=("site",), segments_of=table)
    assert found.segments == evaluate(given_model(table, scores), table, segments=("site",)).segments
    assert len(found.segments) == 3


def test_a_segment_without_positives_has_no_ratio(hand_table, given_model):
    frame = pl.DataFrame({"click": [0] * 30 + [0, 1] * 15, "site": ["a"] * 30 + ["b"] * 30})
    table = hand_table(frame)
    found = evaluate(given_model(table, np.zeros(180)), table, segments=("site",)).segments
    assert {s["value"]: s["ratio"] for s in found} == {"a": None, "b": pytest.approx(1.0)}


def test_very_sure_models_do_not_overflow(frame, hand_table, given_model):
    table = hand_table(frame, ignore=("weight",))
    found = evaluate(given_model(table, np.full(3 * N, -2000.0)), table).metrics
    assert found["log_loss"].value == pytest.approx(2000 * frame["click"].mean())
    assert found["calibration_ratio"].value == 0.0


def test_the_model_reads_the_split_once_and_no_other(frame, scores, hand_table, given_model):
    table = hand_table(frame, ignore=("weight",))
    model = given_model(table, scores)
    evaluate(model, table)
    assert model.predictor.calls == [("test",)]
    evaluate(model, table, split="valid", keep_logits=False)
    assert model.predictor.calls == [("test",), ("valid",)]


def test_errors(frame, scores, hand_table, given_model):
    table = hand_table(frame, weight="weight")
    with pytest.raises(DataError, match="no split 'later'"):
        evaluate(given_model(table, scores), table, split="later")
    weightless = hand_table(frame.with_columns(weight=pl.lit(0.0)), weight="weight")
    with pytest.raises(DataError, match="all have weight 0"):
        evaluate(given_model(weightless, scores), weightless)


class TestCompareAuc:
    def test_it_is_delongs_paired_difference(self, frame, scores, hand_table):
        table = hand_table(frame, ignore=("weight", "user"))
        y, new = frame["click"].to_numpy(), scores[:N]
        old = np.random.default_rng(1).normal(size=N).astype(np.float32)
        found = compare_auc(table, new, old)
        expected = delong_paired(y, new.astype(float), old.astype(float))
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
        assert found.method == "delong, paired"

    @pytest.mark.parametrize("roles", [{}, {"group": "user"}, {"weight": "weight"}])
    def test_it_is_antisymmetric(self, frame, scores, hand_table, roles):
        table = hand_table(frame, ignore=tuple({"weight", "user"} - set(roles.values())), **roles)
        new, old = scores[:N], np.random.default_rng(1).normal(size=N).astype(np.float32)
        one, two = compare_auc(table, new, old), compare_auc(table, old, new)
        assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
        assert compare_auc(table, new, new).value == 0

    def test_a_class_that_is_absent_leaves_no_value(self, frame, scores, hand_table):
        table = hand_table(frame, ignore=("weight", "user"))
        start, stop = table.splits["test"]
        rows = np.flatnonzero(table.label()[start:stop] == 0) + start
        from dataclasses import replace

        negatives = replace(table.take(rows), splits={"test": (0, len(rows))})
        found = compare_auc(negatives, scores[: len(rows)], scores[: len(rows)])
        assert (found.value, found.low, found.high) == (None, None, None)


def test_the_error_of_a_difference_is_that_of_its_interval(frame, scores, hand_table):
    mine = scores[:N]
    other = mine + np.random.default_rng(3).normal(size=N)
    for given in ({"ignore": ("weight",)}, {"weight": "weight"}, {"group": "user", "ignore": ("weight",)}):
        table = hand_table(frame, **given)
        found = compare_auc(table, mine, other)
        error = auc_difference_error(table, mine, other)
        assert error == pytest.approx((found.high - found.low) / (2 * 1.96), rel=0.25)
    heavy = hand_table(
        frame.with_columns(weight=pl.when(pl.int_range(N) % 20 == 0).then(50.0).otherwise(0.1)), weight="weight"
    )
    plain = hand_table(frame, ignore=("weight",))
    assert auc_difference_error(heavy, mine, other) > 2 * auc_difference_error(plain, mine, other)
