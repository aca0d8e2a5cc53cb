"""How well two orders of items agree, with most weight on their tops, and how stable repeated choices of items are.

References: Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", 2010 (rank-biased overlap,
    extrapolated to uneven lists by its equation 32, ties as in its section on them, weight of the top by equation 21);
    Kendall, "The treatment of ties in ranking problems", 1945 (tau-b);
    Nogueira, Sechidis and Brown, "On the stability of feature selection algorithms", 2018 (definition 4, theorem 7).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.stats._checks import Array

__all__ = [
    "Stability",
    "kendall_tau",
    "rank_biased_chance",
    "rank_biased_overlap",
    "rank_biased_weight",
    "selection_stability",
    "top_overlap",
]

Ranks = Mapping[Hashable, int]
_Z95 = 1.959963984540054  # normal quantile of a two-sided interval at 95 %


def rank_biased_overlap(first: Ranks, second: Ranks, *, p: float = 0.9) -> float:
    """Agreement of two orders, depth d weighted by ``(1 - p) p^(d - 1)``; what is beyond their ends is extrapolated.

    The agreement at a depth is twice the number of shared items over the number of items that both orders have down
    to there. The shorter order is taken to go on with the agreement that it has at its end, the longer one likewise.
    Items of one order need not occur in the other.

    Args:
        first: Rank by item, 1 is best. Tied items have the same rank, and the next rank counts them all (1, 2, 2, 4).
        second: Likewise.
        p: Chance that a reader goes on to the next item; 0.9 puts 86 % of the weight on the first ten
            (`rank_biased_weight`).

    Returns:
        A number from 0 (nothing shared) to 1 (the same order).

    Raises:
        ConfigError: If p is not between 0 and 1.
        DataError: If an order is empty, or its ranks are not those of a ranking.

    Examples:
        >>> round(rank_biased_overlap({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 2, "b": 3}, p=0.9), 3)
        0.955
        >>> rank_biased_overlap({"a": 1}, {"b": 1})
        0.0
    """
    _share("p", p)
    short, long = sorted((_checked("first", first), _checked("second", second)), key=len)
    s, n = len(short), len(long)
    x, y = _depths(short), _depths(long)
    common = [max(short[item], long[item]) for item in short if item in long]
    shared = np.cumsum(np.bincount(common, minlength=n + 1)[1:]) if common else np.zeros(n)
    both = (x[np.minimum(np.arange(n), s - 1)] + y) / 2.0
    depth = np.arange(1, n + 1)
    beyond = np.maximum(depth - s, 0)
    at_end = shared[s - 1] / both[s - 1]
    # Beyond the end of the shorter order its next items are shared at the rate that it had; x has grown by as many.
    agreement = (shared + at_end * beyond) / (both + beyond / 2.0)
    weight = (1.0 - p) * p ** (depth - 1.0)
    return float(min(weight @ agreement + p**n * agreement[-1], 1.0))


def rank_biased_chance(items: int, *, p: float = 0.9) -> float:
    """Rank-biased overlap that two orders at random of the same items have on average.

    It is far from 0 where the items are few: at the end of both orders everything is shared.

    Args:
        items: How many, from 1.
        p: As in `rank_biased_overlap`.

    Returns:
        A number in (0, 1].

    Examples:
        >>> round(rank_biased_chance(40), 2), round(rank_biased_chance(6), 2)
        (0.25, 0.78)
    """
    _share("p", p)
    if items < 1:
        raise ConfigError(f"items: must be at least 1, got {items}")
    depth = np.arange(1, items + 1)
    # Of d items of either order d * d / items are shared on average.
    return float((1.0 - p) * p ** (depth - 1.0) @ depth / items + p**items)


def rank_biased_weight(depth: int, *, p: float = 0.9) -> float:
    """Share of the weight of rank-biased overlap that lies on the first ``depth`` items.

    Args:
        depth: How many items, from 1.
        p: As in `rank_biased_overlap`.

    Returns:
        A number in (0, 1).

    Examples:
        >>> round(rank_biased_weight(10, p=0.9), 4)
        0.8556
    """
    _share("p", p)
    if depth < 1:
        raise ConfigError(f"depth: must be at least 1 item, got {depth}")
    tail = -math.log1p(-p) - math.fsum(p**i / i for i in range(1, depth))
    return 1.0 - p ** (depth - 1) + (1.0 - p) / p * depth * tail


def kendall_tau(first: Ranks, second: Ranks) -> float | None:
    """Kendall's tau-b over the items that both orders have; ties count for neither side.

    Args:
        first: Rank by item.
        second: Likewise.

    Returns:
        A number from -1 (reversed) to 1 (the same order); None with fewer than two items in common, or where all of
        them are tied in one order.

    Examples:
        >>> round(kendall_tau({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 2, "b": 3}), 4)
        0.3333
    """
    from scipy.stats import kendalltau

    common = [item for item in first if item in second]
    pairs = np.array([(first[item], second[item]) for item in common]).reshape(-1, 2)
    if len(common) < 2 or (pairs == pairs[0]).all(axis=0).any():
        return None
    return float(kendalltau(pairs[:, 0], pairs[:, 1], variant="b").statistic)


def top_overlap(first: Ranks, second: Ranks, *, k: int) -> float:
    """Items that both orders have in their first k, as a share of those that either has (Jaccard).

    Items tied with the k-th one are in, too. An order of fewer than k items is taken whole.

    Args:
        first: Rank by item, 1 is best.
        second: Likewise.
        k: How many, from 1.

    Returns:
        A number from 0 to 1.

    Examples:
        >>> round(top_overlap({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 2, "b": 3}, k=2), 4)
        0.3333
    """
    if k < 1:
        raise ConfigError(f"k: must be at least 1 item, got {k}")
    a, b = ({item for item, rank in ranks.items() if rank <= k} for ranks in (first, second))
    return len(a & b) / max(len(a | b), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How much repeated choices among the same items agree, beyond chance.

    Attributes:
        value: 1 if all are the same, 0 on average for choices at random.
        low: Lower end of its interval at 95 % (normal).
        high: Upper end.
        sets: How many choices.
        items: Among how many items.
    """

    value: float
    low: float
    high: float
    sets: int
    items: int


def selection_stability(chosen: Array) -> Stability:
    """Stability of repeated choices: one minus the items' variance over that of choices at random of the same size.

    Shape:
        ``[M, F]``: M choices among F items.

    Args:
        chosen: True where an item was chosen.

    Returns:
        The stability with its interval.

    Raises:
        DataError: If there are fewer than two choices, or all of them are empty or hold every item (it is 0/0 then).

    Examples:
        >>> selection_stability(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)).value.__round__(4)
        0.3333
    """
    z = np.asarray(chosen)
    if z.ndim != 2 or len(z) < 2:
        raise DataError(f"stability needs at least two choices [M, F], got shape {z.shape}")
    if z.dtype != np.bool_ and not np.isin(z, (0, 1)).all():
        raise DataError("stability: choices must be true or false per item")
    z = z.astype(np.float64)
    m, f = z.shape
    frequency, sizes = z.mean(axis=0), z.sum(axis=1) / f
    size = float(sizes.mean())
    chance = size * (1.0 - size)
    if chance == 0.0:
        raise DataError("stability is not defined where every choice is empty, or every choice holds all items")
    value = 1.0 - m / (m - 1.0) * float((frequency * (1.0 - frequency)).mean()) / chance
    # Each choice's influence on the value; the variance of the mean of M of them, doubled since they enter as pairs.
    agreed = (z * frequency).mean(axis=1) - sizes * size
    influence = (agreed - value / 2.0 * (2.0 * sizes * size - sizes - size + 1.0)) / chance
    error = math.sqrt(4.0 / m**2 * float(((influence - influence.mean()) ** 2).sum()))
    return Stability(value=value, low=value - _Z95 * error, high=value + _Z95 * error, sets=m, items=f)


def _share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ConfigError(f"{name}: must be between 0 and 1, got {value}")


def _checked(name: str, ranks: Ranks) -> Ranks:
    """Return an order whose ranks are those of a ranking: each is one more than the number of better items."""
    if not ranks:
        raise DataError(f"rank-biased overlap: the {name} order is empty")
    held = np.sort(np.fromiter(ranks.values(), dtype=np.int64, count=len(ranks)))
    if (held != np.searchsorted(held, held) + 1).any():
        wrong = int(np.argmax(held != np.searchsorted(held, held) + 1))
        raise DataError(
            f"rank-biased overlap: the {name} order's ranks must rise from 1, tied items share the best, got {held[wrong]}"
        )
    return ranks


def _depths(ranks: Ranks | Collection[int]) -> np.ndarray:
    """Return how many items have a rank of at most 1, 2, ...; of the last depths of tied items all of them."""
    held = ranks.values() if isinstance(ranks, Mapping) else ranks
    return np.cumsum(np.bincount(list(held), minlength=len(ranks) + 1)[1:]).astype(np.float64)
