"""FeatureSets of any kind for the tests of the data layer."""

import numpy as np
import pytest

from ctrsel.data.encoder import Encoder
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet


def random_features(encoder: Encoder, seed: int) -> FeatureSet:
    """Keep some fields; keep, merge or drop values of every vocabulary at random."""
    rng = np.random.default_rng(seed)
    names = [n for n in encoder.schema.names if rng.random() < 0.7] or [encoder.schema.names[0]]
    remaps = {}
    for name, v in encoder.vocabularies.items():
        n = v.size - RESERVED
        label = rng.integers(0, max(int(n * rng.choice([0.3, 1, 3])), 1) + 1, n)
        label[rng.random(n) < rng.choice([0.0, 0.3, 1.0])] = -1
        new = np.full(n, OTHER)
        if (label >= 0).any():
            new[label >= 0] = RESERVED + np.unique(label[label >= 0], return_inverse=True)[1]
        remaps[name] = np.concatenate([np.arange(RESERVED), new]).astype(np.uint32)
    return FeatureSet(fields=tuple(names), remaps=remaps, method="random", params={}, encoder=encoder.digest)


@pytest.fixture(scope="session")
def any_features():
    return random_features
