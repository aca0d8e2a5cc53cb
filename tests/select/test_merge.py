"""Merging as a selection: planted groups, sizes, wishes, the held-out check, and what happens to codes and names."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

import ctrsel
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import value_table
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select import Problem
from ctrsel.select._budget import hull
from ctrsel.select.merge import Merge
from ctrsel.testing.tables import tiny_frame

RATES = {"low": 0.05, "mid": 0.2, "high": 0.5}


def frame_of(rows, seed, *, noise=30):
    """`site` has twelve values in three groups of one rate each, `noise` says nothing, `gap` is missing half the time."""
    rng = generator(seed, "merge")
    kind = rng.choice(list(RATES), rows)
    site = [f"{k}{i}" for k, i in zip(kind, rng.integers(0, 4, rows), strict=True)]
    return pl.DataFrame(
        {
            "click": (rng.random(rows) < np.array([RATES[k] for k in kind])).astype(np.int8),
            "site": site,
            "noise": [f"n{i}" for i in rng.integers(0, noise, rows)],
            "gap": [f"g{i}" if i < 5 else None for i in rng.integers(0, 10, rows)],
        }
    )


@pytest.fixture(scope="module")
def table():
    parts = {name: frame_of(n, i) for i, (name, n) in enumerate([("train", 8_000), ("valid", 4_000), ("test", 20)])}
    return ingest(parts, label="click").without("test")


def merged(table, features, field):
    """Sets of texts that share a code."""
    vocabulary, found = table.encoder.vocabulary(field), {}
    for text, code in zip(vocabulary.values.to_list(), vocabulary.codes.tolist(), strict=True):
        found.setdefault(int(features.remaps[field][code]), set()).add(text)
    return found


def test_values_of_one_rate_become_one_and_noise_goes(table, untouched):
    selection = Merge().select(Problem(table=table, learner=untouched), size=100, seed=1)
    features = selection.features
    assert features.fields == ("site", "gap")
    groups = merged(table, features, "site")
    assert sorted(groups) == [RESERVED, RESERVED + 1, RESERVED + 2]
    assert sorted(map(sorted, groups.values())) == [sorted(f"{k}{i}" for i in range(4)) for k in sorted(RATES)]
    # Noise that may be missing still says that it is missing; its values are all one.
    assert set(merged(table, features, "gap")) == {OTHER}
    assert features.n_values == 3
    (history,) = selection.history
    assert (history["values"], history["groups"], history["kept"]) == (47, 3, 3 / 47)
    assert history["held_out_loss"] < 0.01 * history["held_out_gain"]
    assert math.isfinite(history["held_out_gain"])
    # More frequent groups have smaller codes, as in every vocabulary.
    counts = table.narrow(features).encoder.vocabulary("site").counts[RESERVED:]
    assert (np.diff(counts) <= 0).all()


def test_a_merged_table_is_learned_from(table):
    small = ctrsel.select_features(table, by="merge", size=1.0, learner={"use": "boosted", "rounds": 20})
    full = ctrsel.train_model(table, learner={"use": "boosted", "rounds": 20})
    assert small.fit.valid["auc"] > full.valid["auc"] - 0.005
    row = pl.DataFrame({"site": ["high0", "high3", "new"], "gap": [None] * 3})
    one, two, _ = small.fit.model.probabilities(row)[:, 0]
    assert one == two


def test_the_size_is_met_by_the_merges_that_lose_least(table, untouched):
    problem = Problem(table=table, learner=untouched)
    two = Merge().select(problem, size=2, seed=1).features
    # 0.05 and 0.2 are nearer in log-loss than 0.2 and 0.5.
    groups = sorted(merged(table, two, "site").values(), key=len)
    assert [len(g) for g in groups] == [4, 8]
    assert {t[:4] for t in groups[0]} == {"high"}
    assert two.n_values == 2
    assert Merge().select(problem, size=1, seed=1).features.n_values <= 1


def test_fields_to_keep_are_not_merged(table, untouched):
    problem = Problem(table=table, learner=untouched, always_keep=("noise",))
    features = Merge().select(problem, size=33, seed=1).features
    assert features.remaps["noise"].tolist() == list(range(33))
    assert features.fields == ("site", "noise", "gap")
    assert features.n_values == 33
    with pytest.raises(ConfigError, match="always_keep: these fields have 30 values, but the size allows 29"):
        Merge().select(problem, size=29, seed=1)


def test_fields_of_a_group_stay_together(table, untouched):
    problem = Problem(table=table, learner=untouched, groups=(("site", "noise"),))
    features = Merge().select(problem, size=10, seed=1).features
    assert features.fields == ("site", "noise", "gap")
    # Its values are one, which says nothing and takes no room; the field stays with the other.
    assert set(features.remaps["noise"][RESERVED:].tolist()) == {OTHER}
    assert features.n_values == 3


def test_where_validation_rows_lose_the_values_stay():
    # A hundred values that all differ a little: few groups are the shortest description, more predict better.
    def drawn(rows, seed):
        rng = generator(seed, "many")
        value = rng.integers(0, 100, rows)
        rate = np.linspace(0.05, 0.6, 100)
        return pl.DataFrame({"click": (rng.random(rows) < rate[value]).astype(np.int8), "a": [f"v{i}" for i in value]})

    table = ingest({"train": drawn(20_000, 1), "valid": drawn(40_000, 2), "test": drawn(20, 3)}, label="click")
    problem = Problem(table=table.without("test"), learner=None)
    loose, strict = (Merge(max_loss=m).select(problem, size=100, seed=1) for m in (1.0, 0.0))
    assert 2 <= loose.features.n_values < strict.features.n_values
    assert strict.history[0]["held_out_loss"] < loose.history[0]["held_out_loss"]
    assert strict.history[0]["held_out_loss"] < 0.01 * strict.history[0]["held_out_gain"]


def test_lists_are_merged_for_the_size_only(untouched):
    rng = generator(3, "lists")
    n = 1_000
    frame = pl.DataFrame(
        {
            "click": rng.integers(0, 2, n).astype(np.int8),
            "tags": [[f"t{v}" for v in rng.integers(0, 12, rng.integers(1, 4))] for _ in range(n)],
        }
    )
    schema = SchemaConfig(label=LabelConfig(name="click"), fields={"tags": FieldConfig(kind="multivalued")})
    problem = Problem(table=ingest(frame, schema=schema, seed=1).without("test"), learner=untouched)
    assert Merge().select(problem, size=12, seed=1).features.n_values == 12
    features = Merge().select(problem, size=5, seed=1).features
    assert features.n_values <= 5
    assert features.fields == ("tags",)


def test_planted_groups_are_found_and_noise_is_not():
    planted = value_table(rows=100_000, seed=1)
    table = ingest(planted.frame(), schema=planted.schema, seed=1).without("test")
    selection = Merge().select(Problem(table=table, learner=None), size=10**6, seed=1)
    features, (history,) = selection.features, selection.history
    assert "noise" not in features.fields
    assert history["held_out_loss"] <= 0.01 * history["held_out_gain"]
    assert features.n_values < 0.05 * table.encoder.n_values
    codes = {n: len(merged(table, features, n)) for n in ("few", "few_of_many", "groups")}
    assert all(2 <= c <= 8 for c in codes.values())


def test_without_validation_rows_the_shortest_description_stands(table, untouched):
    train = table.part("train")
    selection = Merge().select(Problem(table=train, learner=untouched), size=100, seed=1)
    assert selection.features.n_values == 3
    assert "held_out_loss" not in selection.history[0]


def test_weighted_rows_are_refused(untouched):
    schema = SchemaConfig(label=LabelConfig(name="click"), weight="hour")
    table = ingest(tiny_frame(rows=300), schema=schema, seed=1).without("test")
    with pytest.raises(DataError, match="merge: counts rows and cannot tell values of weighted rows apart"):
        Merge().select(Problem(table=table, learner=untouched), size=5, seed=1)


def test_the_hull_is_the_lower_one():
    counts, lost = np.array([5, 4, 3, 2, 1]), np.array([0.0, 2.0, 1.0, 1.8, 9.0])
    assert hull(counts, lost) == [(0, 2), (2, 3), (3, 4)]
    assert hull(np.array([1]), np.array([0.0])) == []


@pytest.mark.parametrize(
    ("how", "message"), [({"max_loss": -0.1}, "merge.max_loss"), ({"known": 1.0}, r"merge.known: must be in \[0, 1\)")]
)
def test_parameters_are_checked(how, message):
    with pytest.raises(ConfigError, match=message):
        Merge(**how)
