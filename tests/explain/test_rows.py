from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.explain import explain, sample_rows
from ctrsel.testing.tables import tiny_table


def test_rows_come_from_the_split_with_its_share_of_clicks():
    table = tiny_table(rows=1000)
    rows = sample_rows(table, 40, split="valid", seed=3)
    start, stop = table.splits["valid"]
    assert len(rows) == 40
    assert (rows >= start).all()
    assert (rows < stop).all()
    assert abs(table.label()[rows].sum() - 40 * table.part("valid").label().mean()) <= 1
    assert len(sample_rows(table, 10**6, split="valid", seed=3)) == stop - start


def test_a_table_without_splits_is_drawn_from_as_a_whole(table, toy):
    raw = dataclasses.replace(table, labels=None, splits={})
    assert sample_rows(raw, 1000, split="valid", seed=1).tolist() == list(range(raw.n_rows))
    assert len(explain(toy(lambda v: v["a"]), raw, rows=3, seed=1).rows) == 3


def test_refuses_a_split_that_is_not_there():
    table = tiny_table()
    with pytest.raises(DataError, match="no split 'later'"):
        sample_rows(table, 5, split="later", seed=1)
    with pytest.raises(DataError, match="no rows to draw from"):
        sample_rows(table.take(np.array([], dtype=np.int64)), 5, split="valid", seed=1)
