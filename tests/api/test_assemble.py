"""The final table, the summaries per field and the verdict."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import polars as pl
import pytest

from ctrsel.api.assemble import milliseconds_per_1000, summarise_fields, table_facts, verdict
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.ingest import ingest
from ctrsel.rank import rank
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.records.evaluation import Metric
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import RESERVED, FeatureSet
from ctrsel.records.run import Contender
from ctrsel.testing.tables import sequence_table, tiny_table


def made(
    name: str,
    role: str,
    *,
    auc: float = 0.8,
    values: int = 100,
    size: int = 1000,
    ratio: float | None = 1.0,
    entropy=0.8,
):
    return Contender(
        name=name,
        role=role,
        learner="net",
        selector=None,
        seed=1,
        fields=3,
        values=values,
        parameters=1,
        bytes=size,
        milliseconds=1.0,
        seconds=1.0,
        metrics={
            "auc": Metric(value=auc),
            "calibration_ratio": Metric(value=ratio),
            "normalised_entropy": Metric(value=entropy),
        },
        valid={"auc": auc},
    )


FULL = made("full", "full")
GOOD = {"auc": 0.799, "values": 40, "size": 500, "ratio": 1.02}


@pytest.mark.parametrize(
    ("changes", "delta", "stops", "failed"),
    [
        ({}, -0.001, 0, None),
        ({}, -0.005, 0, None),
        ({}, +0.004, 0, None),
        ({}, -0.0051, 0, "test AUC"),
        ({}, None, 0, "test AUC"),
        ({"size": 1000}, -0.001, 0, "bytes on disk"),
        ({"values": 100}, -0.001, 0, "values against"),
        ({"ratio": 0.899}, -0.001, 0, "predicted / observed"),
        ({"ratio": 1.101}, -0.001, 0, "predicted / observed"),
        ({"ratio": None}, -0.001, 0, "predicted / observed on test unknown"),
        ({"entropy": 1.0}, -0.001, 0, "normalised entropy"),
        ({"entropy": None}, -0.001, 0, "normalised entropy on test unknown"),
        ({}, -0.001, 2, "2 unaccepted leaks"),
    ],
)
def test_each_rule_by_itself(changes, delta, stops, failed):
    chosen = made("small", "selected", **{**GOOD, **changes})
    found = verdict(
        (FULL, chosen), chosen=chosen, full=FULL, delta=Metric(value=delta), max_auc_loss=0.005, stops=stops
    )
    assert found.promoted == (failed is None)
    failures = [r for r in found.reasons if r.startswith("FAILED")]
    assert len(failures) == (failed is not None)
    assert all(failed in r for r in failures)
    assert len(found.reasons) == 6
    assert found.chosen == "small"
    assert found.delta_auc.value == delta
    assert ("unknown" in found.headline) == (delta is None)


@pytest.mark.parametrize(("high", "promoted"), [(-0.001, False), (0.0, True), (0.02, True)])
def test_a_choice_that_is_clearly_below_a_control_is_refused(high, promoted):
    chosen = made("small", "selected", **GOOD)
    found = verdict(
        (FULL, chosen, made("frequent", "control", auc=0.81)),
        chosen=chosen,
        full=FULL,
        delta=Metric(value=-0.001, low=-0.003, high=0.001),
        max_auc_loss=0.005,
        stops=0,
        against={"frequent": Metric(value=-0.011, low=-0.02, high=high)},
    )
    assert found.promoted == promoted
    assert any("must not be clearly below" in r and r.startswith("FAILED") != promoted for r in found.reasons)


def test_controls_without_an_interval_inform_and_do_not_decide():
    chosen = made("small", "selected", **GOOD)
    controls = (made("random", "control", auc=0.7), made("frequent", "control", auc=0.9))
    found = verdict(
        (FULL, chosen, *controls),
        chosen=chosen,
        full=FULL,
        delta=Metric(value=-0.001, low=-0.003, high=0.001),
        max_auc_loss=0.005,
        stops=0,
    )
    assert found.promoted
    assert [r.split("control")[0] for r in found.reasons[6:]] == [
        "for information: above the ",
        "for information: not above the ",
    ]
    assert "40 of 100 values (40%)" in found.headline
    assert "-0.0010 (95 % -0.0030 to +0.0010)" in found.headline


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1000, seed=1)


@pytest.fixture(scope="module")
def rankings(table):
    return rank(table, (MutualInformation(),), seed=1)


@pytest.fixture(scope="module")
def features(table):
    keep = {n: np.zeros(v.size, bool) for n, v in table.encoder.vocabularies.items()}
    keep["site"][RESERVED : RESERVED + 2] = True
    keep["ad"][:] = True
    return FeatureSet.from_keep(
        keep, fields=("site", "ad", "load"), method="hand", params={}, encoder=table.encoder.digest
    )


class TestFields:
    def test_counts_add_up(self, table, rankings, features):
        found = summarise_fields(table, features=features, rankings=rankings, attribution=None, salt="s")
        assert {f.name for f in found} == set(table.schema.names)
        assert [f.name for f in found][:2] == list(rankings[0].order[:2])
        assert sum(f.values for f in found) == table.encoder.n_values
        assert sum(f.values_kept for f in found) == features.n_values
        by = {f.name: f for f in found}
        assert {n for n, f in by.items() if f.kept} == set(features.fields)
        train = table.part("train")
        column = train.columns["site"]
        assert by["site"].traffic_kept == pytest.approx(np.isin(column, (0, RESERVED, RESERVED + 1)).mean())
        assert by["ad"].traffic_kept == by["load"].traffic_kept == 1.0
        assert by["noise"].traffic_kept == 0.0
        for f in found:
            assert all(v["rows"] >= 20 for v in f.shown_values)
            assert sum(v["rows"] for v in f.shown_values) <= train.n_rows
            assert f.attribution is None
        shown = {v["value"]: v for v in by["site"].shown_values}
        assert shown["(missing)"]["rows"] == (column == 0).sum()
        assert sum(v["rows"] for v in shown.values()) == train.n_rows
        kept = table.encoder.vocabulary("site").texts(np.array([RESERVED, RESERVED + 1]))
        assert {t for t, v in shown.items() if v["kept"]} == {"(missing)", *kept}
        assert by["id"].shown_values == ()

    def test_without_a_selection_everything_is_kept(self, table, rankings):
        found = summarise_fields(table, features=None, rankings=rankings, attribution=None, salt="s")
        assert all(f.kept and f.traffic_kept == 1.0 and f.values_kept == f.values for f in found)

    def test_attributions_stand_at_their_field(self, table, rankings, features):
        explanation = Explanation(
            method="m",
            fields=("ad", "load"),
            values=np.array([[1.0, -2.0], [3.0, 2.0]]),
            base=np.zeros(2),
            rows=np.arange(2),
            checks={},
            model="m",
        )
        found = summarise_fields(table, features=features, rankings=rankings, attribution=explanation, salt="s")
        by = {f.name: f.attribution for f in found}
        assert (by["ad"], by["load"], by["site"]) == (2.0, 2.0, None)

    def test_rare_values_are_left_as_they_were(self):
        table = tiny_table(rows=400, min_count=20)
        found = summarise_fields(table, features=None, rankings=(), attribution=None, salt="s")
        keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
        every = FeatureSet.from_keep(keep, fields=table.schema.names, method="all", params={}, encoder="")
        same = summarise_fields(table, features=every, rankings=(), attribution=None, salt="s")
        assert [f.traffic_kept for f in found] == [f.traffic_kept for f in same] == [1.0] * 6

    def test_the_traffic_of_a_list_is_that_of_its_items(self):
        table = sequence_table(rows=300)
        keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
        keep["tags"][RESERVED + 2 :] = False
        features = FeatureSet.from_keep(keep, fields=table.schema.names, method="hand", params={}, encoder="")
        found = {f.name: f for f in summarise_fields(table, features=features, rankings=(), attribution=None, salt="s")}
        codes = table.part("train").columns["tags"].codes
        assert found["tags"].traffic_kept == pytest.approx((codes < RESERVED + 2).mean())
        assert found["history"].traffic_kept == 1.0

    def test_sensitive_values_are_hashes_that_need_the_rows(self):
        def table(flip: int):
            n = 600
            click = np.arange(n) % 2
            click[:flip] = 1 - click[:flip]
            frame = pl.DataFrame({"click": click, "user": ["ann", "bob", "eve"] * (n // 3)})
            schema = SchemaConfig(
                label=LabelConfig(name="click"), fields={"user": FieldConfig(kind="categorical", sensitive=True)}
            )
            return ingest(frame, schema=schema)

        def shown(table, salt):
            (found,) = summarise_fields(table, features=None, rankings=(), attribution=None, salt=salt)
            return [v["value"] for v in found.shown_values]

        one = shown(table(0), "s")
        assert len(set(one)) == 3
        assert all(re.fullmatch("#[0-9a-f]{8}", v) for v in one)
        assert one == shown(table(0), "s")
        assert set(one).isdisjoint(shown(table(0), "t"))
        # With the printed salt but without the rows nobody can try out names.
        assert set(one).isdisjoint(shown(table(3), "s"))


def test_rates_of_values_are_those_before_negatives_were_sampled(table, rankings):
    def rates(rate):
        schema = dataclasses.replace(table.schema, sampling_rate=rate)
        sampled = dataclasses.replace(table, encoder=dataclasses.replace(table.encoder, schema=schema))
        found = summarise_fields(sampled, features=None, rankings=rankings, attribution=None, salt="s")
        return np.array([v["rate"] for f in found if f.name == "site" for v in f.shown_values])

    whole = rates(1.0)
    assert rates(0.1) == pytest.approx(0.1 * whole / (1 - 0.9 * whole))


def test_table_facts():
    table = tiny_table(rows=400)
    facts = table_facts(table)
    assert facts.rows == {"train": 320, "valid": 40, "test": 40}
    assert facts.base_rate["train"] == pytest.approx(table.part("train").label().mean())
    assert (facts.fields, facts.values, facts.label, facts.notes) == (6, table.encoder.n_values, "click", ())
    schema = dataclasses.replace(table.schema, sampling_rate=0.1)
    sampled = dataclasses.replace(table, encoder=dataclasses.replace(table.encoder, schema=schema))
    assert any("negatives" in note for note in table_facts(sampled).notes)


def test_milliseconds_are_per_thousand_rows(monkeypatch, given_model):
    import ctrsel.api.assemble as module

    table = tiny_table(rows=100)
    model = given_model(table, np.zeros(200))
    turn = [0.001, 0.004, 0.001, 0.002]
    clock = iter(np.cumsum([0, 9, *(turn * 7)]).tolist())
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    rows = pl.DataFrame({"site": ["a"] * 200})
    # Medians of 4 and 2 ms for 200 rows (the first turn is for warming up) are 20 and 10 ms for a thousand.
    assert milliseconds_per_1000([model, model], rows) == pytest.approx((20.0, 10.0))


def test_the_form_that_is_served_is_timed(monkeypatch, given_model):
    model = given_model(tiny_table(rows=100), np.zeros(10))
    served, asked = model.for_scoring(), []
    monkeypatch.setattr(type(model), "for_scoring", lambda self: served)
    logits = type(model).logits
    monkeypatch.setattr(type(model), "logits", lambda self, rows: (asked.append(self), logits(self, rows))[1])
    milliseconds_per_1000([model], pl.DataFrame({"site": ["a"] * 10}))
    assert asked
    assert all(m is served for m in asked)


def test_merged_values_count_once():
    table = tiny_table(rows=400)
    remaps = {n: np.arange(v.size, dtype=np.uint32) for n, v in table.encoder.vocabularies.items()}
    remaps["ad"] = remaps["ad"].copy()
    remaps["ad"][RESERVED:] = RESERVED + np.arange(len(remaps["ad"]) - RESERVED) // 2  # in pairs
    features = FeatureSet(fields=table.schema.names, remaps=remaps, encoder=table.encoder.digest, method="m", params={})
    found = {f.name: f for f in summarise_fields(table, features=features, rankings=(), attribution=None, salt="s")}
    ad = found["ad"]
    assert ad.values_kept == -(-ad.values // 2)
    assert ad.values_merged == ad.values // 2 * 2
    assert ad.traffic_kept == 1.0
    assert sum(f.values_kept for f in found.values()) == features.n_values
    assert all(f.values_merged == 0 for n, f in found.items() if n != "ad")
