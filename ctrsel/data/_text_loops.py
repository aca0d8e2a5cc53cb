"""Compiled loops over the bytes of texts: places in packed texts, and hashes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ctrsel.stats._kernel import kernel

__all__ = ["lower"]

# Bytes of the file, the same as int64, first place of each batch, where its offsets begin, where its bytes begin.
Packed: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@kernel
def _compare(packed: Packed, place: int, asked: np.ndarray, begin: int, end: int) -> int:
    data, words, starts, ends, firsts = packed
    batch, stop = 0, len(starts) - 1
    while stop - batch > 1:
        middle = (batch + stop) // 2
        if starts[middle] <= place:
            batch = middle
        else:
            stop = middle
    at = ends[batch] + place - starts[batch]
    first, last = firsts[batch] + words[at], firsts[batch] + words[at + 1]
    size, length = last - first, end - begin
    for i in range(min(size, length)):
        a, b = data[first + i], asked[begin + i]
        if a != b:
            return -1 if a < b else 1
    if size == length:
        return 0
    return -1 if size < length else 1


@kernel
def lower(packed: Packed, asked: np.ndarray, asked_ends: np.ndarray, place: np.ndarray, found: np.ndarray) -> None:
    # Each search starts where the last one ended, in steps that double: ascending texts go through the file once.
    size = packed[2][-1]
    low = 0
    for i in range(len(place)):
        begin, end = asked_ends[i], asked_ends[i + 1]
        left, right = low, size
        if low > 0 and _compare(packed, low - 1, asked, begin, end) >= 0:
            left, right = 0, low
        else:
            step = 1
            while left + step < size:
                if _compare(packed, left + step, asked, begin, end) >= 0:
                    right = left + step
                    break
                left += step
                step *= 2
        while left < right:
            middle = (left + right) // 2
            if _compare(packed, middle, asked, begin, end) < 0:
                left = middle + 1
            else:
                right = middle
        low = left
        place[i] = left
        found[i] = left < size and _compare(packed, left, asked, begin, end) == 0
