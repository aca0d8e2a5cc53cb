"""Compiled loops over a table of hashes with open addressing (Knuth, The Art of Computer Programming, vol. 3, 6.4).

A table is uint64 `[c, 2]`, c a power of two: hash and number side by side, since one of them without the other is of no
use and memory comes in lines; number 2**32 - 1 where it is free.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._kernel import kernel

__all__ = ["assign", "move"]

_FREE = np.uint64(2**32 - 1)


@kernel
def assign(hashes: np.ndarray, table: np.ndarray, progress: np.ndarray, ids: np.ndarray, first: np.ndarray) -> None:
    """Give each hash its number, new ones the next, until all have one or half of the table is taken.

    Args:
        hashes: uint64 `[n]`.
        table: What has numbers already; new ones are entered.
        progress: int64 `[3]`: how many rows are done and how many numbers are taken, which both grow, and how many were
            taken before the first row.
        ids: uint32 `[n]`, filled.
        first: uint32 `[n]`, filled: the first row of each new number.
    """
    mask = np.uint64(len(table) - 1)
    known = progress[1]
    done = len(hashes)
    for row in range(progress[0], len(hashes)):
        at = hashes[row] & mask
        while table[at, 1] != _FREE and table[at, 0] != hashes[row]:
            at = (at + np.uint64(1)) & mask
        if table[at, 1] == _FREE:
            if 2 * (known + 1) > len(table):
                done = row
                break
            table[at, 0] = hashes[row]
            table[at, 1] = known
            first[known - progress[2]] = row
            known += 1
        ids[row] = table[at, 1]
    progress[0] = done
    progress[1] = known


@kernel
def move(table: np.ndarray, larger: np.ndarray) -> None:
    """Enter everything in a table into a larger, empty one."""
    mask = np.uint64(len(larger) - 1)
    for place in range(len(table)):
        if table[place, 1] != _FREE:
            at = table[place, 0] & mask
            while larger[at, 1] != _FREE:
                at = (at + np.uint64(1)) & mask
            larger[at] = table[place]
