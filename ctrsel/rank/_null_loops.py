"""Loops behind the drawn nulls: count positives where a draw puts them, and sum a statistic over the values.

Labels are moved as a list of the rows that are positive in a draw, so that a draw costs a read per positive row, and no
column is copied. The numpy forms stand in the tests.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Array, Floats, Ints
from ctrsel.stats._kernel import kernel
from ctrsel.stats._permutation_loops import statistic_term

__all__ = ["information_of_rows", "regrouped", "statistic_of_rows", "statistic_of_sums", "weight_of_rows"]


@kernel
def _x_log_x(x: int, table: Floats) -> float:
    if x < table.size:
        return float(table[x])
    return float(x * np.log(x))


@kernel
def information_of_rows(codes: Array, rows: Array, totals: Ints, cells: Ints, table: Floats) -> float:
    # n times the plug-in information, but for the label's entropy. `cells` is all 0 before and after.
    for i in range(rows.size):
        cells[codes[rows[i]]] += 1
    total = 0.0
    for v in range(cells.size):
        yes = cells[v]
        if yes > 0:
            cells[v] = 0
            n = totals[v]
            # A value of one row gives 0, whatever its label.
            if n > 1:
                total += _x_log_x(yes, table) + _x_log_x(n - yes, table) - _x_log_x(n, table)
    return total


@kernel
def statistic_of_rows(codes: Array, rows: Array, totals: Ints, cells: Ints, setting: Floats) -> float:
    # The sum of a statistic's terms over the values with rows.
    for i in range(rows.size):
        cells[codes[rows[i]]] += 1
    n = 0
    for v in range(cells.size):
        n += totals[v]
    rate = rows.size / n
    total = 0.0
    for v in range(cells.size):
        if totals[v] > 0:
            total += statistic_term(setting, cells[v], totals[v], rate)
        cells[v] = 0
    return total


@kernel
def weight_of_rows(codes: Array, rows: Array, weight: Floats, sums: Floats) -> None:
    # Adds the weights of the rows to the sums of their values.
    for i in range(rows.size):
        row = rows[i]
        sums[codes[row]] += weight[row]


@kernel
def statistic_of_sums(positives: Floats, totals: Floats, setting: Floats, rate: float) -> float:
    # As `statistic_of_rows`, for sums of weights: rounding may take a sum of some rows above that of all.
    total = 0.0
    for v in range(positives.size):
        if totals[v] > 0:
            total += statistic_term(setting, min(positives[v], totals[v]), totals[v], rate)
    return total


@kernel
def regrouped(order: Array, starts: Ints, donors: Ints, turns: Ints, out: Array) -> None:
    # out[row] = the row whose label a row is given: rows of a group, in `order`, take those of its donor from a turn on,
    # around in a circle.
    for group in range(donors.size):
        first, size = starts[group], starts[group + 1] - starts[group]
        source = starts[donors[group]]
        length = starts[donors[group] + 1] - source
        at = turns[group] % length
        for i in range(size):
            out[order[first + i]] = order[source + at]
            at += 1
            if at == length:
                at = 0
