"""Compiled loops over the bytes of texts: places in packed texts, and hashes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ctrsel.stats._kernel import kernel

__all__ = ["hashes", "keys", "lower"]

# Bytes of the file, the same as int64, first place of each batch, where its offsets begin, where its bytes begin.
Packed: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# Bytes, and where each text ends.
TextBytes: TypeAlias = tuple[np.ndarray, np.ndarray]


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
def keys(asked: np.ndarray, ends: np.ndarray, skip: int, out: np.ndarray) -> None:
    # Eight bytes of each text after the first `skip`, as a number: sorting them nearly sorts the texts.
    for i in range(len(out)):
        key = np.uint64(0)
        for j in range(8):
            key <<= np.uint64(8)
            at = ends[i] + skip + j
            if at < ends[i + 1]:
                key |= np.uint64(asked[at])
        out[i] = key


@kernel
def lower(packed: Packed, asked: TextBytes, order: np.ndarray, place: np.ndarray, found: np.ndarray) -> None:
    # Each search starts where the last one ended, in steps that double: ascending texts go through the file once,
    # and an order that only nearly ascends costs little more.
    size = packed[2][-1]
    texts, ends = asked
    low = 0
    for i in order:
        begin, end = ends[i], ends[i + 1]
        left, right = low, size
        if low > 0 and _compare(packed, low - 1, texts, begin, end) >= 0:
            left, right = 0, low
        else:
            step = 1
            while left + step < size:
                if _compare(packed, left + step, texts, begin, end) >= 0:
                    right = left + step
                    break
                left += step
                step *= 2
        while left < right:
            middle = (left + right) // 2
            if _compare(packed, middle, texts, begin, end) < 0:
                left = middle + 1
            else:
                right = middle
        low = left
        place[i] = left
        found[i] = left < size and _compare(packed, left, texts, begin, end) == 0


_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(p)
    for p in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


@kernel
def _turn(x: np.uint64, by: np.uint64) -> np.uint64:
    return np.uint64((x << by) | (x >> (np.uint64(64) - by)))


@kernel
def _lane(data: np.ndarray, at: int, size: int) -> np.uint64:
    out = np.uint64(0)
    for i in range(size):
        out |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return out


@kernel
def _round(x: np.uint64, lane: np.uint64) -> np.uint64:
    return np.uint64(_turn(np.uint64(x + lane * _P2), np.uint64(31)) * _P1)


@kernel
def hashes(data: np.ndarray, ends: np.ndarray, out: np.ndarray) -> None:
    # XXH64 with seed 0; the formulas stand in `hashing`.
    for t in range(len(out)):
        at, end = ends[t], ends[t + 1]
        if end - at >= 32:
            a, b, c, d = np.uint64(_P1 + _P2), _P2, np.uint64(0), np.uint64(0) - _P1
            while end - at >= 32:
                a = _round(a, _lane(data, at, 8))
                b = _round(b, _lane(data, at + 8, 8))
                c = _round(c, _lane(data, at + 16, 8))
                d = _round(d, _lane(data, at + 24, 8))
                at += 32
            h = np.uint64(
                _turn(a, np.uint64(1)) + _turn(b, np.uint64(7)) + _turn(c, np.uint64(12)) + _turn(d, np.uint64(18))
            )
            for v in (a, b, c, d):
                h = np.uint64((h ^ _round(np.uint64(0), v)) * _P1 + _P4)
        else:
            h = _P5
        h = np.uint64(h + np.uint64(end - ends[t]))
        while end - at >= 8:
            h = np.uint64(_turn(h ^ _round(np.uint64(0), _lane(data, at, 8)), np.uint64(27)) * _P1 + _P4)
            at += 8
        if end - at >= 4:
            h = np.uint64(_turn(h ^ np.uint64(_lane(data, at, 4) * _P1), np.uint64(23)) * _P2 + _P3)
            at += 4
        while at < end:
            h = np.uint64(_turn(h ^ np.uint64(np.uint64(data[at]) * _P5), np.uint64(11)) * _P1)
            at += 1
        h = np.uint64((h ^ (h >> np.uint64(33))) * _P2)
        h = np.uint64((h ^ (h >> np.uint64(29))) * _P3)
        out[t] = h ^ (h >> np.uint64(32))
