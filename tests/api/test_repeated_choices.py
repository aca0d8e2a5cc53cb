from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ctrsel.api.repeated_choices import stability_over_seeds
from ctrsel.records.feature_set import FeatureSet
from ctrsel.select.whole_fields import whole_fields
from ctrsel.testing.tables import tiny_table

FIELDS = ("ad", "site")


def kept(*codes):
    """Of eight values of `ad` and four of `site` those with these codes."""
    mask = np.isin(np.arange(3, 15), codes)
    keep = {"ad": np.r_[np.ones(3, bool), mask[:8]], "site": np.r_[np.ones(3, bool), mask[8:]]}
    return FeatureSet.from_keep(keep, fields=FIELDS, method="toy", params={}, encoder="")


def test_values_by_the_formula():
    """Four of twelve values, three times: one minus M / (M - 1) times the mean of p (1 - p) over that of a third."""
    sets = [kept(3, 4, 5, 11), kept(3, 4, 6, 11), kept(3, 4, 5, 12)]
    p = np.array([3, 3, 2, 1, 2, 1]) / 3
    want = 1 - 1.5 * (p * (1 - p)).sum() / 12 / (1 / 3 * 2 / 3)
    assert stability_over_seeds(sets, unit="values", fields=FIELDS) == pytest.approx(want)
    assert stability_over_seeds([sets[0]] * 2, unit="values", fields=FIELDS) == pytest.approx(1)


def test_fields():
    table = tiny_table(rows=500)
    sets = [whole_fields(table.encoder, names) for names in (["ad", "site"], ["ad", "hour"])]
    # One of two is shared, of six: p = 1, 1/2, 1/2.
    want = 1 - 2 * (0.5 / 6) / (1 / 3 * 2 / 3)
    assert stability_over_seeds(sets, unit="fields", fields=table.schema.names) == pytest.approx(want)


def test_where_it_is_not_defined():
    one = kept(3, 4)
    assert stability_over_seeds([one], unit="values", fields=FIELDS) is None
    assert stability_over_seeds([kept(), kept()], unit="values", fields=FIELDS) is None
    assert stability_over_seeds([kept(*range(3, 15))] * 2, unit="values", fields=FIELDS) is None
    merged = dataclasses.replace(
        one, remaps={**one.remaps, "ad": np.array([0, 1, 2, 3, 3, 4, 1, 1, 1, 1, 1], dtype=np.uint32)}
    )
    assert stability_over_seeds([merged, merged], unit="values", fields=FIELDS) is None
