"""Loops behind the merging of values: neighbours are merged in the order of what it costs, by a heap."""

from __future__ import annotations

import heapq
import math

import numpy as np

from ctrsel.stats._checks import Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["merge_neighbours"]


@kernel
def code_length(y: float, a: float) -> float:
    # Nats that a group of a rows takes: which of a + 1 numbers of positives it has, and which rows they are.
    return float(math.lgamma(a + 2.0) - math.lgamma(y + 1.0) - math.lgamma(a - y + 1.0))


@kernel
def change(y: Floats, a: Floats, left: int, right: int) -> float:
    # What the code of the labels grows by if two groups are merged.
    both = code_length(y[left] + y[right], a[left] + a[right])
    return float(both - code_length(y[left], a[left]) - code_length(y[right], a[right]))


@kernel
def misfit(y: float, a: float) -> float:
    # Log-loss of a rows at their own rate, nats.
    out = 0.0
    if 0.0 < y < a:
        out = -y * math.log(y / a) - (a - y) * math.log(1.0 - y / a)
    return out


@kernel
def merge_neighbours(positives: Ints, totals: Ints, values: Ints) -> tuple[Ints, Floats, Floats]:
    """Merge neighbours until one is left.

    Shape: all ``[D]``, the groups at the start; the results ``[D - 1]``, in the order of the merges: which boundary goes
    (b lies between b and b + 1), what it costs in nats of code (less the orders of the values in a group, which need not
    be told), and in nats of log-loss. What is cheapest goes by the labels alone: the orders would let large groups
    swallow each other first.
    """
    size = totals.size
    y, a, v = positives.astype(np.float64), totals.astype(np.float64), values.astype(np.float64)
    after = np.arange(1, size + 1)  # the group to the right, by its first place
    before = np.arange(-1, size - 1)
    end = np.arange(size)  # last place of a group
    stamp = np.zeros(size, dtype=np.int64)
    boundary = np.empty(max(size - 1, 0), dtype=np.int64)
    cost = np.empty(max(size - 1, 0))
    loss = np.empty(max(size - 1, 0))
    heap = [(change(y, a, i, i + 1), i, 0, 0) for i in range(size - 1)]
    heapq.heapify(heap)
    done = 0
    while done < size - 1:
        grown, left, mine, others = heapq.heappop(heap)
        right = after[left]
        if mine != stamp[left] or right >= size or others != stamp[right]:
            continue
        boundary[done] = end[left]
        orders = math.lgamma(v[left] + v[right] + 1.0) - math.lgamma(v[left] + 1.0) - math.lgamma(v[right] + 1.0)
        cost[done] = grown - orders
        apart = misfit(y[left], a[left]) + misfit(y[right], a[right])
        y[left] += y[right]
        a[left] += a[right]
        v[left] += v[right]
        loss[done] = max(misfit(y[left], a[left]) - apart, 0.0)
        done += 1
        end[left] = end[right]
        following = after[right]
        after[left] = following
        stamp[left] += 1
        stamp[right] = -1
        if following < size:
            before[following] = left
            heapq.heappush(heap, (change(y, a, left, following), left, stamp[left], stamp[following]))
        if before[left] >= 0:
            b = before[left]
            heapq.heappush(heap, (change(y, a, b, left), b, stamp[b], stamp[left]))
    return boundary, cost, loss
