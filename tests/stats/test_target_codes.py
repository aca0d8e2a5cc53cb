"""Left-out codes against codes of single rows, and Fisher's score against scikit-learn's F."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import f_classif

from ctrsel.core.seeds import generator
from ctrsel.stats.target_codes import LeftOutCodes, fisher_score, left_out_codes


def _codes(x: np.ndarray, y: np.ndarray, prior: float) -> LeftOutCodes:
    return left_out_codes(np.bincount(x, weights=y).astype(np.int64), np.bincount(x), prior=prior)


def _row_by_row(x: np.ndarray, y: np.ndarray, prior: float) -> np.ndarray:
    others = [(x == v) & (np.arange(len(x)) != i) for i, v in enumerate(x)]
    return np.array([(y[o].sum() + prior * y.mean()) / (o.sum() + prior) for o in others])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=4, max_size=40))
def test_agrees_with_rows_and_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(c) for c in zip(*pairs, strict=True))
    if y.sum() < 2 or y.sum() > len(y) - 2:
        return
    x = np.unique(x, return_inverse=True)[1]
    codes, rows = _codes(x, y, 3.0), _row_by_row(x, y, 3.0)
    assert np.where(y == 1, codes.positive[x], codes.negative[x]) == pytest.approx(rows)
    score = fisher_score(replace(codes, expected=0.0))
    if np.ptp(rows[y == 1]) + np.ptp(rows[y == 0]) < 1e-9:
        return
    assert score is not None
    assert abs(score) * (len(x) - 2) == pytest.approx(f_classif(rows[:, None], y)[0][0], rel=1e-6, abs=1e-9)
    assert np.sign(score) in (0.0, np.sign(rows[y == 1].mean() - rows[y == 0].mean()))


def test_the_mean_difference_under_all_shuffles() -> None:
    x = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    apart = []
    for positive in combinations(range(8), 3):
        y = np.isin(np.arange(8), positive).astype(int)
        rows = _row_by_row(x, y, 2.0)
        apart.append(rows[y == 1].mean() - rows[y == 0].mean())
    assert _codes(x, y, 2.0).expected == pytest.approx(np.mean(apart))


def test_noise_of_many_values_scores_about_0() -> None:
    rng = generator(1, "codes")
    found = []
    for _ in range(60):
        score = fisher_score(
            _codes(np.unique(rng.integers(0, 1500, 3000), return_inverse=True)[1], rng.integers(0, 2, 3000), 5.0)
        )
        assert score is not None
        found.append(np.sign(score) * np.sqrt(abs(score)))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)


def test_what_has_no_score() -> None:
    assert fisher_score(_codes(np.arange(6), np.arange(6) % 2, 5.0)) is None
    assert fisher_score(_codes(np.arange(6) // 2, np.ones(6, dtype=int), 5.0)) is None
    with pytest.raises(ValueError, match="prior must be above 0 rows, got 0"):
        left_out_codes(np.array([1]), np.array([2]), prior=0)
