"""Search in packed texts by numpy: all texts that are asked for halve their ranges together.

Texts are compared eight bytes at a time as big-endian numbers, padded with zeros; where all are equal the shorter text
comes first, which is the order of UTF-8 bytes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ctrsel.data._text_bytes import TextBytes

__all__ = ["Packed", "lower"]


class Packed(Protocol):
    """What is searched."""

    bytes: np.ndarray

    def __len__(self) -> int: ...

    def spans(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first byte and length of the texts at some places."""
        ...


def lower(packed: Packed, asked: TextBytes) -> tuple[np.ndarray, np.ndarray]:
    """Return how many packed texts stand before each text, int64 `[n]`, and whether it is among them, bool `[n]`."""
    begin, lengths = asked.ends[:-1], np.diff(asked.ends)
    low, high = np.zeros(len(lengths), dtype=np.int64), np.full(len(lengths), len(packed), dtype=np.int64)
    found = np.zeros(len(lengths), dtype=bool)
    open_ = np.arange(len(lengths))
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        sign = _compare(packed, middle, asked, begin[open_], lengths[open_])
        found[open_[sign == 0]] = True
        low[open_[sign < 0]] = middle[sign < 0] + 1
        high[open_[sign > 0]] = middle[sign > 0]
        same = sign == 0
        low[open_[same]] = high[open_[same]] = middle[same]
        open_ = open_[low[open_] < high[open_]]
    return low, found


def _compare(
    packed: Packed, places: np.ndarray, asked: TextBytes, begin: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return -1, 0 or 1 `[n]`: whether the packed text comes before, is, or comes after the one asked for."""
    start, size = packed.spans(places)
    sign: np.ndarray = np.sign(size - lengths)
    short = np.minimum(size, lengths)
    left = np.flatnonzero(short)
    done = 0
    while len(left):
        a = _words(packed.bytes, start[left] + done, size[left] - done)
        b = _words(asked.bytes, begin[left] + done, lengths[left] - done)
        sign[left] = np.where(a < b, -1, np.where(a > b, 1, sign[left]))
        done += 8
        left = left[(a == b) & (short[left] > done)]
    return sign


def _words(data: np.ndarray, begin: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the next eight bytes as numbers, uint64 `[n]`; zeros where a text has ended."""
    each = np.arange(8)
    inside = each < left[:, None]
    picked = data[np.where(inside, begin[:, None] + each, 0)]
    picked[~inside] = 0
    return picked.view(">u8")[:, 0].astype(np.uint64)
