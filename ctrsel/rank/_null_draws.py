"""Arrangements of the labels under a null: shuffled over the rows, shifted along time, exchanged between groups.

References: Harris, "A shift test for independence in generic time series", 2020 (circular shifts, and why not the smallest);
Winkler, Webster, Vidaurre, Nichols and Smith, "Multi-level block permutation", 2015 (exchange of whole blocks); Blackwell and
MacQueen, "Ferguson distributions via Polya urn schemes", 1973 (labels that a smaller group lacks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctrsel.core.seeds import generator
from ctrsel.rank._null_loops import regrouped

if TYPE_CHECKING:
    from ctrsel.rank._nulls import Null
    from ctrsel.rank.counts import TableCounts
    from ctrsel.rank.rows import CodedRows

__all__ = ["MIN_GROUPS", "Draw", "blocks"]

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

MIN_GROUPS = 20  # fewer cannot be exchanged in enough ways
_ALIKE = 1.25  # largest over smallest size of groups that are exchanged, where there are enough of them
_BYTES = 64 << 20  # of draws at once


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One arrangement of the labels: the rows that are positive (or negative, if those are fewer).

    Attributes:
        rows: Such rows, ascending.
        total: How many of the class there are, or their weight.
        weight: Per row, where weights move with the labels.
    """

    rows: Array
    weight: Floats | None = None


def blocks(null: Null, counts: TableCounts, rows: CodedRows) -> Iterator[list[Draw]]:
    """Draw arrangements, as many at once as fit in memory."""
    kind = np.uint32 if rows.n_rows < 2**32 else np.int64
    yes = rows.labels == 1
    fewer = yes if 2 * np.count_nonzero(yes) <= len(yes) else ~yes
    rng = generator(counts.seed, "rank", "null", null.name)
    sources = {"shuffled": _shuffles, "shift": _shifts, "group": _exchanges}[null.name](null, rows, rng, fewer)
    block: list[Draw] = []
    size = 0
    for moved, source in sources:
        weight = None if not null.paired else np.asarray(rows.weight)[source()]
        draw = Draw(np.flatnonzero(moved).astype(kind), weight)
        block.append(draw)
        size += draw.rows.nbytes + (0 if weight is None else weight.nbytes)
        if size > _BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


Source = Iterator[tuple[Array, Callable[[], Array]]]  # labels by row, and the row that each row's label came from


def _shuffles(null: Null, rows: CodedRows, rng: np.random.Generator, fewer: Array) -> Source:
    for _ in range(null.draws):
        if null.paired:
            source = rng.permutation(len(fewer))
            yield fewer[source], lambda source=source: source  # type: ignore[misc]
        else:
            yield rng.permutation(fewer), lambda: np.arange(len(fewer))


def _order(*keys: Array) -> Array | None:
    """Rows by the last key, then the one before; None if they stand so already."""
    order = np.lexsort(keys)
    return None if np.array_equal(order, np.arange(len(order))) else order


def _shifts(null: Null, rows: CodedRows, rng: np.random.Generator, fewer: Array) -> Source:
    n = len(fewer)
    order = _order(rows.row) if rows.time is None else _order(rows.row, rows.time)
    sequence = fewer if order is None else fewer[order]
    least = max(1, round(null.min_shift * n))
    # One offset in each of B equal parts: draws that cover the circle tell its mean better than B free ones.
    steps = least + (n - 2 * least) * ((np.arange(null.draws) + rng.random(null.draws)) / null.draws)
    for step in steps.astype(np.int64).tolist():
        moved = np.roll(sequence, step)
        if order is not None:
            back = np.empty_like(moved)
            back[order] = moved
            moved = back

        def source(step: int = step) -> Array:
            if order is None:
                return np.roll(np.arange(n), step)
            found = np.empty(n, dtype=np.int64)
            found[order] = np.roll(order, step)
            return found

        yield moved, source


def _exchanges(null: Null, rows: CodedRows, rng: np.random.Generator, fewer: Array) -> Source:
    assert rows.group is not None
    keys = (rows.row, rows.group) if rows.time is None else (rows.row, rows.time, rows.group)
    order = np.lexsort(keys)
    sorted_groups = rows.group[order]
    starts = np.append(np.flatnonzero(np.append(True, sorted_groups[1:] != sorted_groups[:-1])), len(order))
    sizes = np.diff(starts)
    by_size, stratum = _strata(sizes)
    prior = _urn(sizes, np.add.reduceat(fewer[order], starts[:-1], dtype=np.int64))
    out = np.empty(len(order), dtype=np.int64)
    for _ in range(null.draws):
        mixed = rng.permutation(len(sizes))
        # Stably by stratum: groups change places within their stratum only.
        taken = mixed[np.argsort(stratum[mixed], kind="stable")]
        donors = np.empty(len(sizes), dtype=np.int64)
        donors[by_size] = by_size[taken]
        urn = (prior, int(rng.integers(2**62)))
        regrouped((order, starts), donors, rng.integers(0, sizes[donors]), urn, out)
        # The next draw overwrites the array, after this one has been used.
        yield fewer[out], lambda: out


def _urn(sizes: Array, positives: Array) -> float:
    """Return how many random labels Polya's urn holds at first for labels that resemble each other as those of a group do.

    That is ``1 / r - 1`` with the correlation r of two labels of a group, by analysis of variance (Fisher 1925).
    """
    rows, number = float(sizes.sum()), len(sizes)
    rate = positives / sizes
    between = float((sizes * (rate - positives.sum() / rows) ** 2).sum()) / max(number - 1, 1)
    within = float((sizes * rate * (1 - rate)).sum()) / max(rows - number, 1.0)
    size = (rows - float((sizes.astype(np.float64) ** 2).sum()) / rows) / max(number - 1, 1)
    whole = between + (size - 1) * within
    correlation = min(max((between - within) / whole if whole > 0 else 0.0, 1e-9), 1.0)
    return 1.0 / correlation - 1.0


def _strata(sizes: Array) -> tuple[Array, Array]:
    """Return the groups by size, and the stratum of each place: groups of like size, at least 20 of them."""
    by_size = np.argsort(sizes, kind="stable")
    ascending = sizes[by_size]
    stratum = np.zeros(len(sizes), dtype=np.uint16)
    first = number = 0
    while first < len(sizes):
        stop = int(np.searchsorted(ascending, ascending[first] * _ALIKE, side="right"))
        stop = max(stop, first + MIN_GROUPS)
        if len(sizes) - stop < MIN_GROUPS:
            stop = len(sizes)
        stratum[first:stop] = number
        first, number = stop, number + 1
    return by_size, stratum
