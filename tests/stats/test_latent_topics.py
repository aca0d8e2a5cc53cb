"""Two topics: the likelihood never falls, and with known topics the shares are those of greatest likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ctrsel.core.errors import DataError
from ctrsel.stats.latent_topics import high_topic

_DOCUMENTS = st.lists(st.lists(st.integers(1, 50), min_size=5, max_size=5), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(_DOCUMENTS, st.booleans())
def test_the_likelihood_never_falls(documents: list[list[int]], learn: bool) -> None:
    share, told = high_topic(np.array(documents), learn=learn)
    assert ((share >= 0) & (share <= 1)).all()
    assert (np.diff(told) >= -1e-9 * abs(told[-1])).all()


@settings(max_examples=20, deadline=None)
@given(_DOCUMENTS)
def test_known_topics_give_the_most_likely_shares(documents: list[list[int]]) -> None:
    counts = np.array(documents, dtype=float)
    ramp = np.linspace(1.0, 5000.0, 5)
    high, low = ramp / ramp.sum(), ramp[::-1] / ramp.sum()
    share, _ = high_topic(counts, learn=False, iterations=20_000, tolerance=0.0)
    for row, found in zip(counts, share, strict=True):

        def loss(s: float, row: np.ndarray = row) -> float:
            return -float(row @ np.log(s * high + (1 - s) * low))

        assert loss(found) <= minimize_scalar(loss, bounds=(0, 1), method="bounded").fun + 1e-6


def test_a_document_that_is_its_own_mirror_is_half_about_each() -> None:
    share, _ = high_topic(np.array([[3.0, 7, 7, 3], [0, 1, 1, 0]]), learn=False, iterations=2000)
    assert share == pytest.approx([0.5, 0.5], abs=1e-3)


def test_learned_topics_follow_the_em_steps_of_the_paper() -> None:
    counts = np.array([[5.0, 3, 1], [1, 2, 9]])
    share, _ = high_topic(counts, iterations=1)
    ramp = np.linspace(1.0, 5000.0, 3)
    topics = np.stack([ramp, ramp[::-1]]) / ramp.sum()
    start = counts[:, -1] / counts.sum(axis=1)
    mix = np.stack([start, 1 - start])  # P(z | d)
    joint = mix[:, :, None] * topics[:, None, :]
    posterior = joint / joint.sum(axis=0)
    assert share == pytest.approx((counts * posterior[0]).sum(axis=1) / counts.sum(axis=1))


def test_refuses() -> None:
    with pytest.raises(DataError, match="document 1 has no tokens"):
        high_topic(np.array([[1.0, 2], [0, 0]]))
    with pytest.raises(DataError, match="two or more tokens"):
        high_topic(np.array([[1.0]]))
