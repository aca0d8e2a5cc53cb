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
def _mixed(state: np.uint64) -> np.uint64:
    # splitmix64's output (Steele, Lea and Flood 2014): a generator without state of its own.
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def regrouped(groups: tuple[Array, Ints], donors: Ints, turns: Ints, urn: tuple[float, int], out: Array) -> None:
    # out[row] = the row whose label a row is given. `groups` is the rows by group, and where each group starts. A group
    # takes the rows of its donor from a turn on, around in a circle, as many as it has. Where the donor has fewer, the
    # rest are drawn as from Polya's urn with the labels so far and `urn[0]` labels of random rows: so they resemble
    # the group's other labels as much as labels of one group do.
    order, starts = groups
    prior, state = urn[0], np.uint64(urn[1])
    step = np.uint64(0x9E3779B97F4A7C15)
    for group in range(donors.size):
        first, size = starts[group], starts[group + 1] - starts[group]
        source = starts[donors[group]]
        length = starts[donors[group] + 1] - source
        at = turns[group] % length
        for i in range(min(size, length)):
            out[order[first + i]] = order[source + at]
            at += 1
            if at == length:
                at = 0
        for i in range(length, size):
            state += step
            chance = (_mixed(state) >> np.uint64(11)) / 9007199254740992.0
            state += step
            share = (_mixed(state) >> np.uint64(11)) / 9007199254740992.0
            if chance * (i + prior) < i:
                out[order[first + i]] = out[order[first + int(share * i)]]
            else:
                out[order[first + i]] = order[int(share * order.size)]
