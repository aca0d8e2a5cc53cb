"""Compiled loops over the rows of a table that a batch touched: find them, add their gradients up, move them.

Occurrences are first dealt to `PARTS` parts by their row. A part's rows are its own, so that threads can take parts; within
a part a small table of hashes with open addressing (Knuth, The Art of Computer Programming, vol. 3, 6.4) finds the
occurrences of one row, whose gradients are added in the order of the batch. No sum depends on the number of threads.

Arrays are indexed by unsigned numbers and loops over a row are written into their callers: with checks for negative indices,
with views of rows or with calls, whose counting of references costs more than the arithmetic, a row takes 4 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ctrsel.stats._kernel import kernel
from ctrsel.train.optimisers._prefetch import prefetch

__all__ = ["ABSENT", "DECAYED", "FROZEN", "PARTS", "add_up", "deal", "move_by_adagrad", "move_by_adam"]

PARTS = 128  # a part of 160,000 occurrences has a table of hashes that fits the first cache
FROZEN, ABSENT, DECAYED = 0, 1, 2  # what steps that skip a row do to its moments

_LINE = 16  # float32 numbers in a line of memory
_AHEAD = 8  # rows between asking for a line and needing it
_MIX = np.int64(-7046029254386353131)  # 2**64 over the golden ratio


@kernel
def _part(row: int) -> int:
    # 16 neighbours share a part: so many numbers of the first-order table share a line.
    return (row >> 4) & (PARTS - 1)


@kernel
def deal(rows: np.ndarray, order: np.ndarray, starts: np.ndarray) -> None:
    """Order occurrences by part, and within a part as they came.

    Args:
        rows: int64 `[n]`.
        order: int32 `[n]`, filled.
        starts: int64 `[PARTS + 1]`, filled: where each part begins.
    """
    starts[:] = 0
    for i in range(len(rows)):
        starts[_part(rows[i]) + 1] += 1
    for p in range(PARTS):
        starts[p + 1] += starts[p]
    at = starts.copy()
    for i in range(len(rows)):
        p = _part(rows[i])
        order[at[p]] = i
        at[p] += 1


def _inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    made: Callable[..., Any] = numba.njit(inline="always", error_model="numpy")(function)
    return made


@kernel
def add_up(  # noqa: PLR0917  # compiled loops take their arguments by position
    rows: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    thread: int,
    threads: int,
    hidden: np.ndarray,
    l2: np.float32,
    table: np.ndarray,
    gradient: np.ndarray,
    table2: np.ndarray,
    gradient2: np.ndarray,
    found: np.ndarray,
    ends: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Add the gradients of each row up in its first occurrence, in a thread's share of the parts.

    Args:
        rows: int64 `[n]`.
        order: From `deal`.
        starts: From `deal`.
        thread: Which share.
        threads: How many shares.
        hidden: int64: rows that are left out.
        l2: So many times the row is added to its gradient.
        table: float32 `[V, D]`.
        gradient: float32 `[n, D]`; changed.
        table2: Another table looked up by the same rows, or one of width 0.
        gradient2: Its gradient.
        found: int32 `[n]`, filled: from where a part begins, the first occurrences of its rows, hidden ones left out.
        ends: int64 `[PARTS]`, filled: where a part's first occurrences end.
        squares: float64 `[PARTS]`, filled: the squared norm of the sums.
    """
    width, width2 = np.uint64(gradient.shape[1]), np.uint64(gradient2.shape[1])
    columns = np.empty(gradient.shape[1])
    for p in range(thread, PARTS, threads):
        begin, end = starts[p], starts[p + 1]
        size = 16
        while size < 2 * (end - begin):
            size *= 2
        mask = size - 1
        slots = np.full(size, -1, np.int32)
        u = begin
        for k in range(begin, end):
            if k + _AHEAD < end:
                prefetch(gradient, order[k + _AHEAD], 0)
            i = order[k]
            row = rows[i]
            h = ((row * _MIX) >> 24) & mask
            while slots[h] >= 0 and rows[slots[h]] != row:
                h = (h + 1) & mask
            if slots[h] < 0:
                slots[h] = i
                found[u] = i
                u += 1
            else:
                to, of = np.uint64(slots[h]), np.uint64(i)
                for j in range(width):
                    gradient[to, j] += gradient[of, j]
                for j in range(width2):
                    gradient2[to, j] += gradient2[of, j]
        for row in hidden:
            if _part(row) == p:
                h = ((row * _MIX) >> 24) & mask
                while slots[h] >= 0 and rows[slots[h]] != row:
                    h = (h + 1) & mask
                for k in range(begin, u):
                    if found[k] == slots[h]:
                        u -= 1
                        found[k] = found[u]
                        break
        ends[p] = u
        columns[:] = 0.0
        square = 0.0
        for k in range(begin, u):
            to = np.uint64(found[k])
            if l2 != 0.0:
                if k + _AHEAD < u:
                    ahead = rows[found[k + _AHEAD]]
                    for column in range(0, table.shape[1], _LINE):
                        prefetch(table, ahead, column)
                    prefetch(table2, ahead, 0)
                of = np.uint64(rows[to])
                for j in range(width):
                    gradient[to, j] += l2 * table[of, j]
                for j in range(width2):
                    gradient2[to, j] += l2 * table2[of, j]
            for j in range(width):  # a sum a column: these are independent, so that they run side by side
                columns[j] += np.float64(gradient[to, j]) * np.float64(gradient[to, j])
            for j in range(width2):
                square += np.float64(gradient2[to, j]) * np.float64(gradient2[to, j])
        for j in range(width):
            square += columns[j]
        squares[p] = square


@_inlined
def _ask(table: Any, table2: Any, state: Any, row: Any) -> None:
    for column in range(0, table.shape[1], _LINE):
        prefetch(table, row, column)
    prefetch(table2, row, 0)
    for column in range(0, state.shape[1], _LINE):
        prefetch(state, row, column)
    prefetch(state, row, state.shape[1] - 1)


@_inlined
def _adam(  # noqa: PLR0917  # as above
    table: Any, row: Any, gradient: Any, i: Any, state: Any, at: Any, row_wise: Any, skipped: Any, step: Any,
    rate: Any, move: Any, root: Any, factor: Any, beta1: Any, beta2: Any, eps: Any,
) -> None:  # fmt: skip
    """Move a row; its state is the first moments, the second ones (one if row-wise) and its clock, where it has one."""
    width = np.uint64(table.shape[1])
    second = at + width
    f1, f2 = np.float32(beta1), np.float32(beta2)
    n1, n2 = np.float32(1.0 - beta1), np.float32(1.0 - beta2)
    if skipped != FROZEN:
        clock = second + (np.uint64(1) if row_wise else width)
        if skipped == ABSENT:
            own = state[row, clock] + 1.0
            state[row, clock] = own
            move = np.float32(rate / (1.0 - beta1**own))
            root = np.float32(1.0 / np.sqrt(1.0 - beta2**own))
        else:
            since = step - state[row, clock]
            state[row, clock] = step
            if since > 1.0:
                f1, f2 = np.float32(beta1**since), np.float32(beta2**since)
    if row_wise:
        total = np.float32(0.0)
        for j in range(width):
            x = factor * gradient[i, j]
            total += x * x
        v = f2 * state[row, second] + n2 * (total / np.float32(table.shape[1]))
        state[row, second] = v
        move = move / (np.sqrt(v) * root + eps)
        for j in range(width):
            m = f1 * state[row, at + j] + n1 * (factor * gradient[i, j])
            state[row, at + j] = m
            table[row, j] -= move * m
    else:
        for j in range(width):
            x = factor * gradient[i, j]
            m = f1 * state[row, at + j] + n1 * x
            v = f2 * state[row, second + j] + n2 * (x * x)
            state[row, at + j] = m
            state[row, second + j] = v
            table[row, j] -= move * m / (np.sqrt(v) * root + eps)


@kernel
def move_by_adam(  # noqa: PLR0917  # as above
    rows: np.ndarray,
    starts: np.ndarray,
    found: np.ndarray,
    ends: np.ndarray,
    thread: int,
    threads: int,
    table: np.ndarray,
    gradient: np.ndarray,
    table2: np.ndarray,
    gradient2: np.ndarray,
    state: np.ndarray,
    at: int,
    at2: int,
    factor: np.float32,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    eps: np.float32,
    row_wise: bool,
    skipped: int,
) -> None:
    """Move the rows that `add_up` found, in a thread's share of the parts.

    Args:
        rows: int64 `[n]`.
        starts: From `deal`.
        found: From `add_up`.
        ends: From `add_up`.
        thread: Which share.
        threads: How many shares.
        table: float32 `[V, D]`; moved.
        gradient: From `add_up`.
        table2: Another table looked up by the same rows, or one of width 0; moved.
        gradient2: From `add_up`.
        state: float32 `[V, S]`: of each table a record of moments; changed.
        at: The column where the first table's record begins.
        at2: And the second one's.
        factor: Of the gradients, from clipping.
        step: From 1.
        rate: The learning rate.
        beta1: Decay of the first moments.
        beta2: Decay of the second moments.
        eps: Added to the root of the second moments.
        row_wise: Whether a row has one second moment: the mean of its squares.
        skipped: FROZEN, ABSENT or DECAYED.
    """
    move = np.float32(rate / (1.0 - beta1 ** float(step)))
    root = np.float32(1.0 / np.sqrt(1.0 - beta2 ** float(step)))
    for p in range(thread, PARTS, threads):
        for k in range(starts[p], ends[p]):
            if k + _AHEAD < ends[p]:
                _ask(table, table2, state, rows[found[k + _AHEAD]])
            i = np.uint64(found[k])
            row = np.uint64(rows[i])
            _adam(
                table, row, gradient, i, state, np.uint64(at), row_wise, skipped, step,
                rate, move, root, factor, beta1, beta2, eps,
            )  # fmt: skip
            if table2.shape[1] > 0:
                _adam(
                    table2, row, gradient2, i, state, np.uint64(at2), row_wise, skipped, step,
                    rate, move, root, factor, beta1, beta2, eps,
                )  # fmt: skip


@_inlined
def _adagrad(  # noqa: PLR0917  # as above
    table: Any, row: Any, gradient: Any, i: Any, state: Any, at: Any, row_wise: Any, rate: Any, factor: Any, eps: Any
) -> None:  # fmt: skip
    """Move a row; its state is the sums of squares (one if row-wise)."""
    width = np.uint64(table.shape[1])
    if row_wise:
        total = np.float32(0.0)
        for j in range(width):
            x = factor * gradient[i, j]
            total += x * x
        h = state[row, at] + total / np.float32(table.shape[1])
        state[row, at] = h
        move = rate * factor / (np.sqrt(h) + eps)
        for j in range(width):
            table[row, j] -= move * gradient[i, j]
    else:
        for j in range(width):
            x = factor * gradient[i, j]
            h = state[row, at + j] + x * x
            state[row, at + j] = h
            table[row, j] -= rate * x / (np.sqrt(h) + eps)


@kernel
def move_by_adagrad(  # noqa: PLR0917  # as above
    rows: np.ndarray,
    starts: np.ndarray,
    found: np.ndarray,
    ends: np.ndarray,
    thread: int,
    threads: int,
    table: np.ndarray,
    gradient: np.ndarray,
    table2: np.ndarray,
    gradient2: np.ndarray,
    state: np.ndarray,
    at: int,
    at2: int,
    factor: np.float32,
    rate: np.float32,
    eps: np.float32,
    row_wise: bool,
) -> None:
    """Move the rows that `add_up` found, in a thread's share of the parts; see `move_by_adam`."""
    for p in range(thread, PARTS, threads):
        for k in range(starts[p], ends[p]):
            if k + _AHEAD < ends[p]:
                _ask(table, table2, state, rows[found[k + _AHEAD]])
            i = np.uint64(found[k])
            row = np.uint64(rows[i])
            _adagrad(table, row, gradient, i, state, np.uint64(at), row_wise, rate, factor, eps)
            if table2.shape[1] > 0:
                _adagrad(table2, row, gradient2, i, state, np.uint64(at2), row_wise, rate, factor, eps)
