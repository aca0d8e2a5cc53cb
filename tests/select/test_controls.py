"""The controls by hand: most frequent values, random values, everything."""

from __future__ import annotations

import numpy as np

from ctrsel.records.feature_set import RESERVED
from ctrsel.select import Problem
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.none import NoSelection
from ctrsel.select.random import RandomValues


def test_frequent_keeps_the_largest_counts(tiny, untouched):
    problem = Problem(table=tiny.without("test"), learner=untouched)
    features = MostFrequent().select(problem, size=14, seed=1).features
    train = tiny.part("train")
    counted = [
        (int(n), name, code)
        for name in tiny.code_fields
        for code, n in enumerate(np.bincount(train.columns[name], minlength=tiny.encoder.size(name)))
        if code >= RESERVED
    ]
    least = sorted(counted, reverse=True)[13][0]
    kept = {(n, name, code) for n, name, code in counted if features.kept(name)[code]}
    assert len(kept) == 14
    assert kept >= {c for c in counted if c[0] > least}
    assert min(kept)[0] == least


def test_random_differs_by_seed_and_is_uniform(tiny, untouched):
    problem = Problem(table=tiny.without("test"), learner=untouched)
    hits = {name: np.zeros(tiny.encoder.size(name)) for name in tiny.code_fields}
    digests = set()
    for seed in range(60):
        features = RandomValues().select(problem, size=problem.n_values // 2, seed=seed).features
        digests.add(features.digest)
        for name in hits:
            hits[name] += features.kept(name)
    assert len(digests) == 60
    share = np.concatenate([h[RESERVED:] for h in hits.values()]) / 60
    # Half of 60 draws; the standard deviation of one value's share is 0.065, and there are over 500 values.
    assert abs(share.mean() - 0.5) < 0.01
    assert 0.2 < share.min() < share.max() < 0.8


def test_none_keeps_everything_whatever_the_size(tiny, untouched):
    problem = Problem(table=tiny.without("test"), learner=untouched)
    features = NoSelection().select(problem, size=1, seed=1).features
    assert features.fields == tiny.schema.names
    assert features.n_values == tiny.encoder.n_values
    np.testing.assert_array_equal(tiny.narrow(features).matrix(), tiny.matrix())
