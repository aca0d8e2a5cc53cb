"""The test of values by counts: planted effects, chance, and what is dropped as the measure."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.records.feature_set import RESERVED
from ctrsel.select import Problem, Size
from ctrsel.select._drop_rounds import drop_in_rounds
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.value_test import ValueTest, _Effects
from ctrsel.testing.tables import tiny_frame

REAL = 30


def planted(rows, seed, *, values=200, effect=1.0):
    """200 equally frequent values, of which the first 30 have an effect of either sign."""
    rng = generator(seed, "planted values")
    value = rng.integers(0, values, rows)
    size = np.where(value < REAL, np.where(value % 2 == 0, effect, -effect), 0.0)
    return pl.DataFrame(
        {
            "click": (rng.random(rows) < special.expit(-1.0 + size)).astype(np.int8),
            "v": [f"v{i}" for i in value],
            "flat": [f"f{i}" for i in rng.integers(0, 4, rows)],
        }
    )


def table_of(seed, rows=20_000, **how):
    parts = {
        "train": planted(rows, seed, **how),
        "valid": planted(rows // 2, seed + 100, **how),
        "test": planted(20, 9),
    }
    return ingest(parts, label="click").without("test")


def found_of(table, features):
    """Recall of the planted values, and the share of the kept values that are not planted."""
    vocabulary = table.encoder.vocabulary("v")
    kept = {
        int(t[1:])
        for t, c in zip(vocabulary.values.to_list(), vocabulary.codes.tolist(), strict=True)
        if features.kept("v")[c]
    }
    real = len([v for v in kept if v < REAL])
    return real / REAL, 1.0 - real / max(features.n_values, 1)


@pytest.mark.parametrize("against", ["field", "dropped"])
def test_planted_values_are_found_where_frequency_says_nothing(against, untouched):
    ours, theirs = [], []
    for seed in range(4):
        table = table_of(seed)
        problem = Problem(table=table, learner=untouched)
        ours.append(found_of(table, ValueTest(against=against).select(problem, size=REAL, seed=1).features))
        theirs.append(found_of(table, MostFrequent().select(problem, size=REAL, seed=1).features))
    (recall, false), (frequent, wrong) = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    assert recall > 0.85
    assert false < 0.15
    assert frequent < 0.35
    assert wrong > 0.6


def test_where_most_values_are_alike_they_are_what_is_dropped(untouched):
    # Nine in ten values have a rate of 5 %, the others of 80 %: the field's rate, 12 %, is nobody's.
    rng = generator(1, "alike")
    rows = 30_000
    value = rng.integers(0, 300, rows)
    frame = pl.DataFrame(
        {
            "click": (rng.random(rows) < np.where(value < 30, 0.8, 0.05)).astype(np.int8),
            "v": [f"v{i}" for i in value],
        }
    )
    table = ingest(frame, label="click", seed=1).without("test")
    problem = Problem(table=table, learner=untouched)
    found = ValueTest().search(problem, sizes=(Size(number=30),), seed=1)
    assert found_of(table, found.at(Size(number=30))) == (1.0, 0.0)
    told = found.scores["v"][RESERVED:]
    alone = ValueTest(against="field").search(problem, sizes=(), seed=1).scores["v"][RESERVED:]
    # Against the field's rate alike values seem worth something; against their own rate they are worth about nothing.
    assert np.median(told) < 0.5
    assert np.median(alone) > 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60))
def test_nats_are_those_of_the_shrunken_rates_less_chance(seed, size):
    rng = np.random.default_rng(seed)
    totals = rng.integers(0, 300, size + RESERVED)
    totals[RESERVED] = 50
    positives = rng.binomial(totals, rng.beta(2, 5, size + RESERVED))
    positives[RESERVED] = 7
    effects = _Effects.of(positives, totals)
    q, c = effects.rate, effects.base
    by_hand = totals * (q * np.log(q / c) + (1 - q) * np.log((1 - q) / (1 - c))) - effects.chance
    assert np.allclose(effects.nats(c), by_hand)
    assert (effects.nats(c)[totals == 0] == 0.0).all()
    assert ((effects.chance >= 0) & (effects.chance <= 0.5)).all()
    # No shrunken rate is further from the base than the plain one.
    seen = totals > 0
    assert (np.abs(q - c)[seen] <= np.abs(positives / np.maximum(totals, 1) - c)[seen] + 1e-9).all()


def test_chance_explains_what_values_of_no_effect_save():
    rng = np.random.default_rng(2)
    saved = []
    for _ in range(20):
        totals = np.full(500, 80)
        effects = _Effects.of(rng.binomial(totals, 0.3), totals)
        saved.append(effects.nats(effects.base).mean())
    assert abs(np.mean(saved)) < 0.02  # nats a value; the plug-in information is 0.5


def test_rounds_score_later_ones_higher_and_stop_when_few_are_left():
    cost = np.array([0.0, 0.0, 0.0, 4.0, 1.0, 3.0, 2.0])
    asked = []

    def told(gone):
        asked.append(int(gone["v"].sum()))
        return {"v": cost - 10.0 * gone["v"].sum()}  # everything becomes cheaper as values go

    scores = drop_in_rounds(told, {"v": 7}, share=0.26, least=1)["v"][RESERVED:]
    assert asked == [0, 1, 2, 3]
    assert np.argsort(scores).tolist() == [1, 3, 2, 0]
    asked.clear()
    drop_in_rounds(told, {"v": 7}, share=0.5, least=2)
    assert asked == [0, 2]
    asked.clear()
    assert drop_in_rounds(told, {"v": 7}, share=1.0, least=0)["v"][RESERVED:].tolist() == [4.0, 1.0, 3.0, 2.0]
    assert asked == [0]


def test_weighted_rows_are_refused(untouched):
    schema = SchemaConfig(label=LabelConfig(name="click"), weight="hour")
    table = ingest(tiny_frame(rows=300), schema=schema, seed=1).without("test")
    with pytest.raises(DataError, match="value_test: counts rows and cannot tell values of weighted rows apart"):
        ValueTest().select(Problem(table=table, learner=untouched), size=5, seed=1)


@pytest.mark.parametrize(
    ("how", "message"),
    [({"against": "x"}, "value_test.against: must be one of field, dropped"), ({"share": 0.0}, "share")],
)
def test_parameters_are_checked(how, message):
    with pytest.raises(ConfigError, match=message):
        ValueTest(**how)
