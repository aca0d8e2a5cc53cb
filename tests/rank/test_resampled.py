from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.table import Ragged
from ctrsel.models.tree_columns import TreeColumns
from ctrsel.rank._resampled import givers, random_rows, relabelled, resolved, subset, with_shadows
from ctrsel.testing.tables import sequence_table, tiny_table

TABLE = tiny_table(rows=240)


def dependent(n, seed=0):
    rng = np.random.default_rng(seed)
    part = TABLE.take(np.arange(n))
    return replace(part, group=rng.integers(0, 7, n), time=rng.integers(0, 50, n))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 99), shuffle=st.sampled_from(["rows", "shift", "within"]))
def test_every_row_gives_once(n, seed, shuffle):
    found = givers(dependent(n, seed), shuffle=shuffle, rng=np.random.default_rng(seed))
    assert np.array_equal(np.sort(found), np.arange(n))


def test_a_shift_keeps_neighbours_in_the_order_of_group_and_time():
    part = dependent(100)
    found = givers(part, shuffle="shift", rng=np.random.default_rng(1))
    order = np.lexsort([part.row, part.time, part.group])
    place = np.empty(100, dtype=int)
    place[order] = np.arange(100)
    moved = (place[found] - place) % 100
    assert len(set(moved)) == 1
    assert 5 <= moved[0] <= 95


def test_within_stays_within():
    part = dependent(100)
    found = givers(part, shuffle="within", rng=np.random.default_rng(1))
    assert np.array_equal(part.group[found], part.group)
    assert not np.array_equal(found, np.arange(100))
    timed = replace(part, group=None)
    found = givers(timed, shuffle="within", rng=np.random.default_rng(1))
    place = np.argsort(np.argsort(timed.time, kind="stable"))  # rows are in the order of `row` already
    assert np.array_equal(place[found] // 5, place // 5)  # 20 blocks of 5


def test_the_way_follows_the_table():
    assert resolved("auto", TABLE, place="x")[0] == "rows"
    assert resolved("auto", dependent(9), place="x") == ("shift", "rows shifted round in the order of groups")
    assert resolved("within", replace(dependent(9), group=None), place="x")[1].endswith("blocks of time")
    with pytest.raises(ConfigError, match="x: 'within' needs a table with groups or time"):
        resolved("within", TABLE, place="x")


def test_labels_move_with_their_weight_and_stay_in_their_split():
    table = replace(TABLE, weight=1.0 + TABLE.label() + np.arange(TABLE.n_rows) / 1e4)
    moved = relabelled(table, shuffle="rows", seed=1, names=("test",))
    assert all(moved.columns[n] is table.columns[n] for n in table.columns)
    for start, stop in table.splits.values():
        pairs = [sorted(zip(t.label()[start:stop], t.weight[start:stop], strict=True)) for t in (table, moved)]
        assert pairs[0] == pairs[1]
    assert not np.array_equal(moved.labels, table.labels)
    again = relabelled(table, shuffle="rows", seed=1, names=("test",))
    assert np.array_equal(again.labels, moved.labels)
    with pytest.raises(DataError, match="labels can be shuffled"):
        relabelled(replace(TABLE, labels=None), shuffle="rows", seed=1, names=())


@pytest.mark.parametrize("table", [tiny_table(rows=300), sequence_table(rows=300)], ids=["floats", "lists"])
def test_shadows_have_their_fields_values_and_no_label(table):
    names = table.schema.names
    wide, shadows = with_shadows(table, names, shuffle="rows", seed=1, stream=("test",))
    assert wide.schema.names == names + tuple(shadows[n] for n in names)
    assert all(wide.columns[n] is table.columns[n] for n in names)

    def rows(table, name, split):
        column = table.part(split).columns[name]
        if isinstance(column, Ragged):
            return Counter(tuple(column.take(np.array([i])).codes.tolist()) for i in range(len(column)))
        return Counter(np.nan_to_num(column, nan=-1.0).tolist())

    for name in names:
        for split in table.splits:
            assert rows(wide, shadows[name], split) == rows(table, name, split)
        assert wide.encoder.vocabularies.keys() == table.encoder.vocabularies.keys()
    assert TreeColumns(wide.encoder).matrix(wide).shape[1] == 2 * TreeColumns(table.encoder).matrix(table).shape[1]
    assert wide.encoder.digest != table.encoder.digest


def test_a_shadows_name_is_free():
    first, _ = with_shadows(TABLE, ("ad",), shuffle="rows", seed=1, stream=())
    _, names = with_shadows(first, ("ad", "ad (shadow)"), shuffle="rows", seed=1, stream=())
    assert names == {"ad": "ad (shadow)'", "ad (shadow)": "ad (shadow) (shadow)"}


def test_groups_stay_together_in_a_random_order():
    part = dependent(80)
    order = random_rows(part, rng=np.random.default_rng(0))
    assert np.array_equal(np.sort(order), np.arange(80))
    groups = part.group[order]
    assert np.count_nonzero(np.diff(groups)) == len(np.unique(groups)) - 1


def test_a_subset_has_these_rows():
    some = subset(TABLE, np.array([4, 2]), np.array([200]))
    assert some.splits == {"train": (0, 2), "valid": (2, 3)}
    assert some.row.tolist() == TABLE.row[[4, 2, 200]].tolist()
