"""Merit of sets: the formula with means, and searches against all subsets."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest

from ctrsel.core.seeds import generator
from ctrsel.stats.merit import best_first, merit, merit_order


def _drawn(seed: int, fields: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(seed, "merit")
    same = rng.random((fields, fields)) ** 2
    same = np.maximum(same, same.T)
    np.fill_diagonal(same, 1.0)
    return rng.random(fields) - 0.1, same


def _of(told: np.ndarray, same: np.ndarray, members: tuple[int, ...]) -> float:
    return merit(told[list(members)], same[np.ix_(members, members)])


def test_merit_by_hand() -> None:
    told, same = _drawn(1, 3)
    pairs = [same[0, 1], same[0, 2], same[1, 2]]
    assert merit(told, same) == pytest.approx(3 * told.mean() / np.sqrt(3 + 3 * 2 * np.mean(pairs)))
    assert merit(np.zeros(0), np.zeros((0, 0))) == 0.0


@pytest.mark.parametrize("seed", range(8))
def test_a_patient_search_finds_the_best_of_all_subsets(seed: int) -> None:
    told, same = _drawn(seed)
    subsets = chain.from_iterable(combinations(range(8), k) for k in range(9))
    best = max(subsets, key=lambda s: _of(told, same, s))
    assert best_first(told, lambda i: same[i], patience=300) == best
    quick = best_first(told, lambda i: same[i])
    assert _of(told, same, quick) >= 0.98 * _of(told, same, best)


def test_only_rows_of_extended_sets_are_asked_for() -> None:
    told, same = _drawn(3, 40)
    asked = []

    def row(i: int) -> np.ndarray:
        asked.append(i)
        return same[i]

    found = best_first(told, row)
    assert set(found) <= set(asked)
    assert len(set(asked)) <= len(found) + 5


def test_no_relevance_no_set() -> None:
    assert best_first(np.array([-0.1, 0.0]), lambda i: np.eye(2)[i]) == ()
    assert best_first(np.zeros(0), lambda i: np.zeros(0)) == ()


@pytest.mark.parametrize("k", [None, 3])
def test_the_order_is_greedy(k: int | None) -> None:
    told, same = _drawn(4)
    order, gains, merits = merit_order(told, lambda i: same[i], first=(6, 2), k=k)
    assert sorted(order) == list(range(8))
    assert set(order[:2]) == {2, 6}
    steps = 8 if k is None else k
    for step in range(8):
        before = tuple(order[: min(step, steps)])
        assert merits[step] == pytest.approx(_of(told, same, (*before, order[step])))
        assert gains[step] == pytest.approx(merits[step] - _of(told, same, before))
        if 2 <= step < steps:
            left = [i for i in range(8) if i not in before]
            assert order[step] == max(left, key=lambda i: _of(told, same, (*before, i)))
