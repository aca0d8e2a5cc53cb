"""Agreement of orders against values worked by hand, the paper's formulas written out, and scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.stats.agreement import (
    kendall_tau,
    rank_biased_chance,
    rank_biased_overlap,
    rank_biased_weight,
    selection_stability,
    top_overlap,
)


def order(items: str) -> dict[str, int]:
    return {item: i + 1 for i, item in enumerate(items)}


def extrapolated(first: str, second: str, p: float) -> float:
    """Webber, Moffat and Zobel 2010, equation 32, as printed."""
    short, long = sorted((first, second), key=len)
    s, n = len(short), len(long)
    x = {d: len(set(short[:d]) & set(long[:d])) for d in range(1, n + 1)}
    total = sum(x[d] / d * p**d for d in range(1, n + 1))
    total += sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, n + 1))
    return (1 - p) / p * total + ((x[n] - x[s]) / n + x[s] / s) * p**n


@pytest.mark.parametrize(
    ("first", "second", "p", "expected"),
    [
        ("abc", "abc", 0.9, 1.0),
        ("abc", "xyz", 0.9, 0.0),
        ("abc", "acb", 0.9, 0.955),  # agreements 1, 1/2, 1: .1 (1 + .45 + .81) + .729
        ("ab", "ba", 0.5, 0.5),  # agreements 0, 1: .5 (0 + .5) + .25
        ("abc", "dea", 0.5, 1 / 12),  # agreements 0, 0, 1/3: .25 (1/6) + .125 / 3 = .041667 + .041667
        ("a", "ab", 0.9, 1.0),  # the short one is thought to go on as it began
        ("ab", "acbd", 0.8, 289 / 375),  # 1, 1/2, 5/6, 3/4: .2 (1 + .4 + .64 * 5/6 + .512 * 3/4) + .4096 * 3/4
    ],
)
def test_overlap_by_hand(first, second, p, expected):
    assert rank_biased_overlap(order(first), order(second), p=p) == pytest.approx(expected, abs=1e-12)


WORDS = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=12, unique=True).map("".join)


@settings(max_examples=150, deadline=None)
@given(first=WORDS, second=WORDS, p=st.floats(0.05, 0.98))
def test_overlap_is_the_published_formula(first, second, p):
    found = rank_biased_overlap(order(first), order(second), p=p)
    assert found == pytest.approx(min(extrapolated(first, second, p), 1.0), abs=1e-10)
    assert found == pytest.approx(rank_biased_overlap(order(second), order(first), p=p), abs=1e-12)
    assert 0 <= found <= 1


@settings(max_examples=80, deadline=None)
@given(levels=st.lists(st.integers(0, 3), min_size=1, max_size=9), p=st.floats(0.1, 0.95))
def test_ties(levels, p):
    """Tied items stand at the best of their places; an order agrees wholly with itself, whatever its ties."""
    ranks = dict(enumerate(rankdata(levels, method="min").astype(int).tolist()))
    assert rank_biased_overlap(ranks, ranks, p=p) == pytest.approx(1.0)
    assert rank_biased_overlap({"a": 1, "b": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}, p=0.5) == pytest.approx(
        0.5 * (2 / 3) + 0.25 * 1 + 0.125 + 0.125
    )


def test_the_weight_of_the_top():
    assert rank_biased_weight(10, p=0.9) == pytest.approx(0.8556, abs=5e-5)  # the paper's 86 %
    # All of the disagreement below depth d costs at most what the weight leaves.
    rng = np.random.default_rng(0)
    top = "abcde"
    for _ in range(20):
        rest = ["".join(rng.permutation(list("fghijklmno"))) for _ in range(2)]
        found = rank_biased_overlap(order(top + rest[0]), order(top + rest[1]), p=0.8)
        assert found >= rank_biased_weight(5, p=0.8)
    assert rank_biased_weight(500, p=0.9) == pytest.approx(1.0)


def test_overlap_is_the_mean_over_readers():
    """Drawing how far a reader goes, and averaging the agreement there, gives the same number."""
    first, second, p = "abcdefgh", "hbacdgfe", 0.7
    stops = np.random.default_rng(1).geometric(1 - p, 200_000).clip(max=8)
    agreement = [len(set(first[:d]) & set(second[:d])) / d for d in range(1, 9)]
    mean = np.array(agreement)[stops - 1].mean()
    assert rank_biased_overlap(order(first), order(second), p=p) == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize("items", [1, 2, 4])
def test_chance_is_the_mean_over_all_orders(items):
    names = "abcdef"[:items]
    found = [rank_biased_overlap(order(names), order("".join(other))) for other in itertools.permutations(names)]
    assert np.mean(found) == pytest.approx(rank_biased_chance(items), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9))
def test_tau_b_counts_pairs(pairs):
    a, b = np.array(pairs).T
    signs = [
        (np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in itertools.combinations(range(len(a)), 2)
    ]  # fmt: skip
    ups = sum(x * y for x, y in signs)
    scale = np.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    found = kendall_tau(dict(enumerate(a.tolist())), {**dict(enumerate(b.tolist())), "not shared": 9})
    if scale == 0:
        assert found is None
    else:
        assert found == pytest.approx(ups / scale)
        assert found == pytest.approx(kendalltau(a, b).statistic)


def test_tau_needs_two_shared_items():
    assert kendall_tau({"a": 1, "b": 2}, {"a": 1, "c": 2}) is None
    assert kendall_tau({"a": 1, "b": 1}, {"a": 1, "b": 2}) is None


def test_top_overlap():
    assert top_overlap(order("abcd"), order("bacd"), k=1) == 0
    assert top_overlap(order("abcd"), order("bacd"), k=2) == 1
    assert top_overlap(order("abc"), order("xab"), k=3) == 2 / 4
    assert top_overlap({"a": 1, "b": 2, "c": 2}, order("abc"), k=2) == pytest.approx(2 / 3)


def pairwise(z: np.ndarray) -> float:
    """Nogueira 2018: for choices of one size the measure is the mean pairwise overlap, corrected for chance (Kuncheva)."""
    k, f = z[0].sum(), z.shape[1]
    shared = [(a & b).sum() for a, b in itertools.combinations(z, 2)]
    return float(np.mean([(r * f - k * k) / (k * (f - k)) for r in shared]))


def test_stability_of_equal_sizes_is_kunchevas():
    rng = np.random.default_rng(2)
    z = np.zeros((6, 15), dtype=bool)
    for row in z:
        row[rng.choice(15, 4, replace=False)] = True
    assert selection_stability(z).value == pytest.approx(pairwise(z))
    assert selection_stability(np.repeat(z[:1], 5, axis=0)).value == pytest.approx(1.0)
    assert selection_stability(np.repeat(z[:1], 5, axis=0)).low == pytest.approx(1.0)


def test_stability_interval_covers():
    """Over repetitions the interval holds the value that very many choices have."""
    rng = np.random.default_rng(3)
    chance = rng.beta(0.4, 0.8, 40)
    truth = selection_stability(rng.random((40_000, 40)) < chance).value
    found = [selection_stability(rng.random((60, 40)) < chance) for _ in range(300)]
    held = np.mean([s.low <= truth <= s.high for s in found])
    assert 0.90 <= held <= 0.99
    random = [selection_stability(rng.random((20, 30)) < 0.3).value for _ in range(200)]
    assert abs(np.mean(random)) < 0.01


def test_refusals():
    with pytest.raises(ConfigError, match="p: must be between 0 and 1, got 1"):
        rank_biased_overlap(order("a"), order("a"), p=1)
    with pytest.raises(DataError, match="the second order is empty"):
        rank_biased_overlap(order("a"), {})
    with pytest.raises(DataError, match=r"the first order's ranks must rise from 1.*got 3"):
        rank_biased_overlap({"a": 1, "b": 3}, order("a"))
    with pytest.raises(ConfigError, match="at least 1 item, got 0"):
        top_overlap(order("a"), order("a"), k=0)
    with pytest.raises(ConfigError, match="at least 1 item, got 0"):
        rank_biased_weight(0)
    with pytest.raises(ConfigError, match="items: must be at least 1, got 0"):
        rank_biased_chance(0)
    with pytest.raises(DataError, match="at least two choices"):
        selection_stability(np.ones((1, 3), dtype=bool))
    with pytest.raises(DataError, match="true or false"):
        selection_stability(np.full((2, 3), 0.5))
    with pytest.raises(DataError, match="not defined"):
        selection_stability(np.ones((2, 3), dtype=bool))
