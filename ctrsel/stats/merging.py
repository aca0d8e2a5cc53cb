"""Merge values of a field whose rates of a binary label cannot be told apart.

A partition of V values into G groups is worth what it takes to write down: which values each group has, how many positive
rows, and which rows these are. Values that differ by chance only take less in one group, and no level has to be chosen.

References:
    Boullé (2005), "A Bayes optimal approach for partitioning the values of categorical attributes", theorem 1 (the
    criterion, MODL, but for what a partition takes); Breiman, Friedman, Olshen and Stone (1984), "Classification and
    regression trees", theorem 4.5 (for two classes the best partitions cut the order of the rates).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats, Ints, contingency
from ctrsel.stats._merging_loops import merge_neighbours
from ctrsel.stats._value_loops import posterior_modes
from ctrsel.stats.value_effects import value_effects

__all__ = ["MergePath", "held_out_loss", "merge_path", "partition_cost"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergePath:
    """Partitions of a field's values, each made from the one before by a merge of two groups.

    Shape:
        V: values. D: groups at the start, which hold values of equal counts.

    Attributes:
        place: int64 `[V]`, place of each value's first group in the order of shrunken rates.
        boundary: int64 `[D - 1]`, the boundary that each merge takes away: b lies between the places b and b + 1.
        cost: Nats that the partition into 1, ..., D groups takes, `[D]`.
        loss: Log-loss of the rows at their groups' rates with 1, ..., D groups, less that with D: nats over all rows `[D]`.
    """

    place: Ints
    boundary: Ints
    cost: Floats
    loss: Floats

    @property
    def most(self) -> int:
        """D: how many groups there are before the first merge."""
        return len(self.cost)

    @property
    def best(self) -> int:
        """The number of groups that takes least; the smaller one of two that take the same."""
        return int(np.argmin(self.cost)) + 1

    def groups(self, count: int) -> Ints:
        """Return the partition into so many groups: numbers 0, ..., count - 1 `[V]`, rising with the rate.

        Raises:
            ValueError: a count that is not between 1 and D.
        """
        if not 1 <= count <= self.most:
            raise ValueError(f"count must be between 1 and {self.most} groups, got {count}")
        cut = np.zeros(self.most, dtype=np.int64)
        cut[self.boundary[self.most - count :] + 1] = 1
        return np.asarray(np.cumsum(cut)[self.place], dtype=np.int64)


def merge_path(positives: Array, totals: Array, *, known: float = 0.5) -> MergePath:
    """Merge the values of a field step by step: neighbours in the order of their shrunken rates, cheapest first.

    A value with few rows says more about its luck than about its rate: values that were lucky would be one group, which
    tells a model the labels of the rows that it is trained on. So rare values are taken together by how often they occur
    (1, 2 to 3, 4 to 7, ... rows), without a look at their labels, and each of these units is merged by its common rate.
    Values of equal counts are one unit as well.

    Shape:
        ``positives`` and ``totals`` ``[V]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.
        known: A value is rare if its rows tell less than this share of its effect: ``n p (1 - p) / (n p (1 - p) + 1 /
            deviation**2)``, p the rate of all rows, with the deviation of the field's effects (see ``value_effects``).

    Returns:
        The path from D groups to one.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> path = merge_path(np.array([50, 54, 9, 11, 1]), np.array([500, 500, 500, 500, 4]))
        >>> path.best, path.groups(2).tolist()
        (2, [1, 1, 0, 0, 1])
    """
    contingency(positives, totals)
    yes, rows = (np.asarray(c, dtype=np.int64) for c in (positives, totals))
    if rows.size == 0:
        return MergePath(place=rows, boundary=rows, cost=np.zeros(1), loss=np.zeros(1))
    unit, effect = _units(yes, rows, known=known)
    y, a, many = (np.bincount(unit, weights=w).astype(np.int64) for w in (yes, rows, np.ones(rows.size)))
    order = np.lexsort((a, y, effect))
    first = np.empty(y.size, dtype=np.int64)
    first[order] = np.arange(y.size)
    y, a, many = y[order], a[order], many[order]
    boundary, steps, losses = merge_neighbours(y, a, many)
    whole = partition_cost(*(np.array([c.sum()]) for c in (y, a)), values=np.array([rows.size]))
    # From one group back to D: each merge undone gives its nats back.
    told = whole - np.concatenate([[0.0], np.cumsum(steps[::-1])])
    return MergePath(
        place=first[unit],
        boundary=boundary,
        cost=told + _sizes(rows.size, np.arange(1, y.size + 1)),
        loss=np.concatenate([np.cumsum(losses)[::-1], [0.0]]),
    )


def _units(yes: Ints, rows: Ints, *, known: float) -> tuple[Ints, Floats]:
    """Return the number of each value's unit `[V]`, and the log-odds by which the units are put in order."""
    found = value_effects(yes, rows)
    if found is None:  # one class: nothing tells any two values apart
        return np.zeros(rows.size, dtype=np.int64), np.zeros(1)
    information = rows * found.base * (1.0 - found.base)
    rare = information / (information + found.deviation**-2.0) < known
    band = np.zeros(rows.size, dtype=np.int64)
    band[rare] = np.frexp(rows[rare].astype(np.float64))[1]
    key = np.where(rare, found.totals.size + band, found.case)
    keys, unit = np.unique(key, return_inverse=True)
    y, a = (np.bincount(unit, weights=w).astype(np.int64) for w in (yes, rows))
    effect = posterior_modes(y, a, float(special.logit(found.base)), found.deviation)[0]
    frequent = (keys >= 0) & (keys < found.totals.size)
    effect[frequent] = found.log_odds[keys[frequent]]  # of one value, however many have its counts
    return unit, effect


def partition_cost(positives: Array, totals: Array, *, values: Array) -> float:
    """Nats that a partition of a field's values into groups takes.

    ``ln (V-1 choose G-1) - ln G! + ln V! - sum_g ln v_g!`` tells the partition: how many values each group has, and which,
    in any order of the groups. ``sum_g ln (a_g + 1) + ln (a_g choose y_g)`` tells the labels: the positives of each group,
    and which of its rows they are.

    DEVIATION(MODL): the partition costs what its groups' sizes make it cost. In the paper all partitions into at most G
    groups cost the same, some ``V ln G`` nats, so that a few frequent values never stand apart from a million rare ones.

    Shape:
        All ``[G]``.

    Args:
        positives: Positive rows per group.
        totals: Rows per group.
        values: How many values each group has, at least 1.

    Examples:
        >>> round(partition_cost(np.array([2]), np.array([4]), values=np.array([2])), 6)  # ln 5 + ln 6
        3.401197
    """
    y, a, v = (np.asarray(c, dtype=np.float64) for c in (positives, totals, values))
    told = special.gammaln(a + 2) - special.gammaln(y + 1) - special.gammaln(a - y + 1)
    which = special.gammaln(v.sum() + 1) - special.gammaln(v + 1).sum()
    return float(told.sum() + which + _sizes(int(v.sum()), np.array([v.size]))[0])


def held_out_loss(
    train: tuple[Array, Array], valid: tuple[Array, Array], *, groups: Array, prior: float = 20.0
) -> tuple[float, float]:
    """Log-loss that held-out rows lose if values have the rates of their groups: its mean and standard error, nats a row.

    Rates are those of the training rows, smoothed towards the rate of all rows, per value and per group.

    Shape:
        Each array ``[V]``.

    Args:
        train: Positive training rows and training rows per value.
        valid: The same of the held-out rows.
        groups: Number of each value's group.
        prior: Weight of the rate of all rows, in rows.

    Returns:
        Mean and standard error; both 0 without rows on either side, or with one class in training.

    Examples:
        >>> train, valid = (np.array([90, 10]), np.array([100, 100])), (np.array([9, 1]), np.array([10, 10]))
        >>> round(held_out_loss(train, valid, groups=np.array([0, 0]))[0], 3)
        0.35
    """
    yes, rows = (np.asarray(c, dtype=np.float64) for c in train)
    held_yes, held = (np.asarray(c, dtype=np.float64) for c in valid)
    n, asked = rows.sum(), held.sum()
    base = float(yes.sum() / n) if n else 0.0
    if asked == 0 or base in (0.0, 1.0):
        return 0.0, 0.0
    alone = (yes + prior * base) / (rows + prior)
    joint_yes, joint = (np.bincount(groups, weights=w) for w in (yes, rows))
    together = ((joint_yes + prior * base) / (joint + prior))[np.asarray(groups)]
    positive, negative = np.log(alone / together), np.log((1.0 - alone) / (1.0 - together))
    mean = float((held_yes * positive + (held - held_yes) * negative).sum() / asked)
    square = float((held_yes * positive**2 + (held - held_yes) * negative**2).sum() / asked)
    return mean, float(np.sqrt(max(square - mean**2, 0.0) / asked))


def _sizes(values: int, groups: Ints) -> Floats:
    """Nats that tell how many values each of some groups has, less the orders of the groups."""
    left = special.gammaln(values - groups + 1) + special.gammaln(groups)
    return np.asarray(special.gammaln(values) - left - special.gammaln(groups + 1), dtype=np.float64)
