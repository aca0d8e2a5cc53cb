"""Means over rows, with weights and groups."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ctrsel.select._row_mean import row_mean
from ctrsel.stats.one_standard_error import paired_error


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_it_is_the_mean_and_its_error(weighted, grouped):
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    weight = rng.random(60).astype(np.float32) if weighted else None
    group = rng.integers(0, 9, 60) if grouped else None
    mean, error = row_mean(values, SimpleNamespace(weight=weight, group=group))
    assert mean == pytest.approx(np.average(values, weights=weight))
    assert error == pytest.approx(paired_error(values[None], weight=weight, groups=group))


def test_rows_that_repeat_within_groups_say_no_more():
    values = np.repeat([1.0, 2.0, 4.0], 20)
    alone = row_mean(values, SimpleNamespace(weight=None, group=None))[1]
    together = row_mean(values, SimpleNamespace(weight=None, group=np.repeat([0, 1, 2], 20)))[1]
    assert together == pytest.approx(np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    assert together > 4 * alone


def test_one_row_has_no_error():
    assert row_mean(np.array([2.0]), SimpleNamespace(weight=None, group=None)) == (2.0, 0.0)
