"""Loops behind joint counts: cells in a dense table, cells as runs of sorted keys, and rows in the order of their code."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Array, Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["dense", "extend", "grouped", "runs", "scan"]

_LOW = np.int64(0xFFFFFFFF)


@kernel
def extend(keys: Array, column: Array, size: int) -> int:
    # keys = keys * size + column, in place; returns the first row whose code is not below size, -1 if there is none.
    for i in range(keys.size):
        code = column[i]
        if code < 0 or code >= size:
            return i
        keys[i] = keys[i] * np.uint64(size) + np.uint64(code)
    return -1


@kernel
def dense(keys: Array, labels: Array, table: Ints) -> None:
    # Rows in the lower half of a cell, positive rows in the upper one: one cache line per row.
    for i in range(keys.size):
        table[np.int64(keys[i])] += 1 + (np.int64(labels[i]) << 32)


@kernel
def runs(marked: Array, cells: Array, positives: Ints, totals: Ints) -> int:
    # marked: sorted keys, each times two plus its label.
    found = -1
    last = np.uint64(0)
    for i in range(marked.size):
        key = marked[i] >> np.uint64(1)
        if found < 0 or key != last:
            found += 1
            cells[found] = key
            positives[found] = 0
            totals[found] = 0
            last = key
        totals[found] += 1
        positives[found] += np.int64(marked[i] & np.uint64(1))
    return found + 1


@kernel
def grouped(column: Array, labels: Array, starts: Ints, order: Array, sorted_labels: Array) -> None:
    # Counting sort: rows by code, rows of one code in their order; starts [V + 1] begins as zeros.
    size = starts.size - 1
    for i in range(column.size):
        starts[np.int64(column[i]) + 1] += 1
    for v in range(size):
        starts[v + 1] += starts[v]
    place = starts[:-1].copy()
    for i in range(column.size):
        code = np.int64(column[i])
        at = place[code]
        order[at] = i
        sorted_labels[at] = labels[i]
        place[code] = at + 1


@kernel
def nats(n: int, table: Floats) -> float:
    return float(table[n]) if n < table.size else float(n * np.log(float(n)))


@kernel
def scan(  # noqa: PLR0917  # a compiled loop takes arrays by position
    starts: Ints,
    order: Array,
    sorted_labels: Array,
    column: Array,
    odds: Floats,
    inverse: Floats,
    small: Floats,
    whole: float,
    table: Floats,
    expected: Floats,
    prior: float,
    least: int,
    counts: Ints,
    touched: Ints,
    totals: Ints,
    positives: Ints,
    large: Ints,
    cells: Ints,
) -> Floats:
    # One pair of fields: rows grouped by the first field (starts, order), codes of the second in `column`; odds [V] of
    # the second field's values over those of all rows, the inverse of their information n p (1 - p) (below 0: the value
    # has too few rows to be tested), n / (n - 1); `whole` is the inverse information of all rows; values of the first
    # field with fewer than `least` rows are not tested.
    # counts [V] zeros, touched, totals, positives [V] scratch; large [L] takes totals beyond `expected`;
    # cells [C, 4] takes (first code, second code, rows, positives) while there is room.
    # Returns: sum of n ln n terms, cells, expected terms, statistic, its variance, its third cumulant, nats, their
    # variance, paired rows (as `sums` of the fitted model), how many large.
    information = 0.0
    mean = 0.0
    statistic = 0.0
    variance = 0.0
    third = 0.0
    beyond = 0.0
    beyond_variance = 0.0
    paired = 0
    found = 0
    many = 0
    for a in range(starts.size - 1):
        low = starts[a]
        high = starts[a + 1]
        rows = high - low
        if rows == 0:
            continue
        if rows == 1:
            if found < cells.shape[0]:
                cells[found, 0] = a
                cells[found, 1] = column[order[low]]
                cells[found, 2] = 1
                cells[found, 3] = sorted_labels[low]
            found += 1
            mean += expected[1]
            continue
        k = 0
        yes = 0
        for i in range(low, high):
            code = np.int64(column[order[i]])
            before = counts[code]
            if before == 0:
                touched[k] = code
                k += 1
            label = np.int64(sorted_labels[i])
            counts[code] = before + 1 + (label << 32)
            yes += int(label)
        most = 0
        for j in range(k):
            code = touched[j]
            packed = counts[code]
            counts[code] = 0
            n = packed & _LOW
            y = packed >> 32
            totals[j] = n
            positives[j] = y
            most = max(most, int(n))
            if y > 0 and y < n:
                information += nats(y, table) + nats(n - y, table) - nats(n, table)
            if n < expected.size:
                mean += expected[n]
            else:
                large[many] = n
                many += 1
        if found < cells.shape[0]:
            for j in range(min(k, cells.shape[0] - found)):
                cells[found + j, 0] = a
                cells[found + j, 1] = touched[j]
                cells[found + j, 2] = totals[j]
                cells[found + j, 3] = positives[j]
        found += k
        if most < 2 or k < 2 or rows < least or yes in (0, rows):
            continue
        # Rates of the cells of this value: odds of the second field's values, scaled so that they add up to its
        # positives.
        scale = yes / (rows - yes)
        information_a = 1.0
        for _ in range(12):
            sum_p = 0.0
            information_a = 0.0
            for j in range(k):
                o = scale * odds[touched[j]]
                p = o / (1.0 + o)
                sum_p += totals[j] * p
                information_a += totals[j] * p * (1.0 - p)
            gap = yes - sum_p
            if gap * gap <= 1e-5 * information_a:
                break
            scale *= np.exp(min(max(gap / information_a, -3.0), 3.0))
        small_a = rows / (rows - 1.0)
        for j in range(k):
            n = totals[j]
            code = touched[j]
            if n < 2 or inverse[code] < 0.0:
                continue
            y = positives[j]
            o = scale * odds[code]
            p = o / (1.0 + o)
            v = p * (1.0 - p)
            lever = n * v * (1.0 / information_a + inverse[code] - whole)
            lever = min(max(lever, n * v / information_a), 1.0)
            off = y - n * p
            pairs = off * off - y * (1.0 - p) * (1.0 - p) - (n - y) * p * p
            excess = pairs + (n - 1.0) * v * lever * max(small_a, small[code])
            weight = 1.0 / (n + prior)
            left = 1.0 - lever
            both = n * (n - 1.0)
            statistic += weight * excess
            variance += 2.0 * both * v * v * weight * weight * left
            skew = v * (1.0 - 2.0 * p)
            third += 8.0 * both * (0.5 * skew * skew + (n - 2.0) * v * v * v) * weight * weight * weight * left
            if v > 0.0:
                beyond += 0.5 * excess / ((n - 1.0) * v)
                beyond_variance += 0.5 * n / (n - 1.0) * left
            paired += n
    out = np.empty(10)
    out[0] = information
    out[1] = found
    out[2] = mean
    out[3] = statistic
    out[4] = variance
    out[5] = third
    out[6] = beyond
    out[7] = beyond_variance
    out[8] = paired
    out[9] = many
    return out
