"""Area under the ROC curve: pooled, per group, and with DeLong's interval.

The area is the chance that a positive row scores above a negative one, ties counting one half (Hanley and McNeil 1982).

References:
    DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated ROC curves"; Sun and Xu
    (2014), "Fast implementation of DeLong's algorithm" (midranks); Obuchowski (1997), "Nonparametric analysis of
    clustered ROC curve data"; Zhu et al. (2017), "Optimized cost per click in Taobao display advertising" (group AUC,
    weighted by rows here).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Bools, Ints, binary, finite, row_weight
from ctrsel.stats._placements import covariance, placements, run_starts
from ctrsel.stats.intervals import Interval, normal_quantile

__all__ = ["GroupedAuc", "PairedDifference", "auc", "auc_statistic", "delong", "delong_paired", "grouped_auc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAuc:
    """Mean AUC over groups, weighted by their rows; groups with one class have none and are left out.

    Attributes:
        value: The mean, or None when no group has both classes.
        groups_used: Groups with both classes.
        groups_one_class: Groups left out.
        rows_used: Rows in the groups used.
    """

    value: float | None
    groups_used: int
    groups_one_class: int
    rows_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """AUC of model A minus AUC of model B on the same rows.

    Attributes:
        value: The difference.
        low: Lower limit.
        high: Upper limit.
        standard_error: Of the difference.
        p_value: Two-sided, of no difference.
        auc_a: AUC of model A.
        auc_b: AUC of model B.
        method: How the limits were found.
        level: Level of the limits.
    """

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float
    auc_a: float
    auc_b: float
    method: str
    level: float = 0.95


def auc(labels: Array, scores: Array, *, weight: Array | None = None) -> float | None:
    """Area under the ROC curve over all rows; exact with ties.

    Shape:
        ``labels``, ``scores`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        scores: Any numbers that rise with the chance of a positive (logits keep more ties apart than probabilities).
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        A number in [0, 1], or None when one class is absent.

    Raises:
        DataError: labels other than 0 and 1, scores that are not finite, negative weights, different lengths.

    Examples:
        >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
        0.75
        >>> auc(np.array([0, 1]), np.array([0.5, 0.5]))
        0.5
    """
    positive = binary(labels)
    values = finite("scores", scores, rows=positive.size)
    weights = row_weight(weight, rows=positive.size)
    if positive.size == 0:
        return None
    order = np.argsort(values)
    return _area(positive[order], None if weights is None else weights[order], run_starts(values[order]))


def auc_statistic(labels: Array, scores: Array) -> Callable[[Array], float | None]:
    """The weighted AUC as a function of the row weights alone, sorted once: what a bootstrap repeats.

    Shape:
        ``labels`` and ``scores`` ``[N]``; the function takes ``[N]`` weights.

    Args:
        labels: 0 or 1.
        scores: Any numbers that rise with the chance of a positive.

    Returns:
        A function that equals ``auc(labels, scores, weight=weight)`` for weights that are finite and not negative.

    Raises:
        DataError: as :func:`auc`.

    Examples:
        >>> weighted = auc_statistic(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
        >>> weighted(np.array([1, 1, 1, 1])), weighted(np.array([1, 0, 1, 1]))
        (0.75, 1.0)
    """
    positive = binary(labels)
    values = finite("scores", scores, rows=positive.size)
    order = np.argsort(values)
    ranked, starts = positive[order], run_starts(values[order])

    def statistic(weight: Array) -> float | None:
        if np.shape(weight) != positive.shape:
            raise DataError(f"weight must have shape {positive.shape} like the labels, got {np.shape(weight)}")
        return _area(ranked, weight[order], starts) if positive.size else None

    return statistic


def grouped_auc(labels: Array, scores: Array, groups: Array, *, weight: Array | None = None) -> GroupedAuc:
    """Mean over groups of the AUC within the group, each group counting by its rows (or by their weight).

    One sort over all rows serves all groups.

    Shape:
        ``labels``, ``scores``, ``groups`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        scores: Any numbers that rise with the chance of a positive.
        groups: Group of each row, of any sortable type.
        weight: Row weights; a weight of 2 is the row twice.

    Returns:
        The mean and what it rests on.

    Raises:
        DataError: as :func:`auc`.

    Examples:
        >>> labels, scores = np.array([0, 1, 1, 0, 1]), np.array([0.2, 0.7, 0.1, 0.9, 0.3])
        >>> grouped_auc(labels, scores, np.array([7, 7, 8, 8, 9]))
        GroupedAuc(value=0.5, groups_used=2, groups_one_class=1, rows_used=4)
    """
    positive = binary(labels)
    values = finite("scores", scores, rows=positive.size)
    weights = row_weight(weight, rows=positive.size)
    if np.shape(groups) != positive.shape:
        raise DataError(f"groups must have shape {positive.shape} like the labels, got {np.shape(groups)}")
    if positive.size == 0:
        return GroupedAuc(value=None, groups_used=0, groups_one_class=0, rows_used=0)
    names, group_of_row = np.unique(groups, return_inverse=True)
    order = np.lexsort((values, group_of_row))
    owner = group_of_row[order]
    starts = run_starts(values[order], owner)
    up, down = _class_sums(positive[order], None if weights is None else weights[order], starts)
    owner = owner[starts]
    first = run_starts(owner)
    below = np.cumsum(down) - down
    # What stands below within the group: less all that was counted before the group began.
    below = below - below[first][owner]
    ups, downs = np.add.reduceat(up, first), np.add.reduceat(down, first)
    won = np.add.reduceat(up * (below + down / 2), first)
    both = (ups > 0) & (downs > 0)
    used = int(both.sum())
    rows = np.bincount(group_of_row, minlength=names.size)
    mass = (ups + downs)[both]
    return GroupedAuc(
        value=float((won[both] / (ups[both] * downs[both]) * mass).sum() / mass.sum()) if used else None,
        groups_used=used,
        groups_one_class=int(names.size) - used,
        rows_used=int(rows[both].sum()),
    )


def delong(labels: Array, scores: Array, *, groups: Array | None = None, level: float = 0.95) -> Interval | None:
    """AUC with DeLong's standard error and a normal interval, cut off at 0 and 1.

    Shape:
        ``labels``, ``scores`` and ``groups`` ``[N]``.

    Args:
        labels: 0 or 1.
        scores: Any finite numbers that rise with the chance of a positive.
        groups: Group of each row (user, day) when rows of one group depend on each other: Obuchowski's clustered form.
        level: Share of repetitions in which the interval is to hold the true area.

    Returns:
        The interval; None with fewer than two rows of either class (or fewer than two groups).

    Raises:
        DataError: as :func:`auc`.

    Examples:
        >>> interval = delong(np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.2, 0.6, 0.4, 0.7, 0.9]))
        >>> round(interval.value, 4), round(interval.standard_error, 4)
        (0.8889, 0.1571)
    """
    positive = binary(labels)
    values = finite("scores", scores, rows=positive.size)
    quantile = normal_quantile(level)
    placed = placements(positive, values)
    if placed is None:
        return None
    variance = covariance(positive, placed, placed, groups)
    if variance is None:
        return None
    value = float(placed[positive].mean())
    error = float(np.sqrt(max(variance, 0.0)))
    return Interval(
        value=value,
        low=max(value - quantile * error, 0.0),
        high=min(value + quantile * error, 1.0),
        standard_error=error,
        method="delong" if groups is None else "delong, clustered",
        level=level,
    )


def delong_paired(
    labels: Array, scores_a: Array, scores_b: Array, *, groups: Array | None = None, level: float = 0.95
) -> PairedDifference | None:
    """Difference of the AUC of two models on the same rows, with DeLong's interval and two-sided p-value.

    Shape:
        ``labels``, ``scores_a``, ``scores_b`` and ``groups`` ``[N]``.

    Args:
        labels: 0 or 1.
        scores_a: Scores of model A.
        scores_b: Scores of model B.
        groups: Group of each row when rows of one group depend on each other.
        level: Share of repetitions in which the interval is to hold the true difference.

    Returns:
        The difference A - B; None with fewer than two rows of either class (or fewer than two groups). Two models that
        order all rows alike have difference 0, error 0 and p-value 1.

    Raises:
        DataError: as :func:`auc`.

    Examples:
        >>> labels = np.array([0, 0, 0, 1, 1, 1])
        >>> paired = delong_paired(labels, np.arange(6.0), np.array([0.0, 3.0, 1.0, 2.0, 4.0, 5.0]))
        >>> round(paired.value, 4), round(paired.p_value, 4)
        (0.1111, 0.4795)
    """
    positive = binary(labels)
    first = placements(positive, finite("scores_a", scores_a, rows=positive.size))
    second = placements(positive, finite("scores_b", scores_b, rows=positive.size))
    quantile = normal_quantile(level)
    if first is None or second is None:
        return None
    # The variance of the difference is that of the differences of the placements: no cancellation between near-equal
    # models.
    apart = first - second
    variance = covariance(positive, apart, apart, groups)
    if variance is None:
        return None
    value_a, value_b = float(first[positive].mean()), float(second[positive].mean())
    difference = float(apart[positive].mean())
    error = float(np.sqrt(max(variance, 0.0)))
    # Without any spread, models that order all rows alike are equal for sure, and others differ for sure.
    p_value = float(2 * special.ndtr(-abs(difference) / error)) if error > 0 else float(difference == 0)
    return PairedDifference(
        value=difference,
        low=max(difference - quantile * error, -1.0),
        high=min(difference + quantile * error, 1.0),
        standard_error=error,
        p_value=p_value,
        auc_a=value_a,
        auc_b=value_b,
        method="delong, paired" if groups is None else "delong, paired, clustered",
        level=level,
    )


def _area(positive: Bools, weights: Array | None, starts: Ints) -> float | None:
    up, down = _class_sums(positive, weights, starts)
    below = np.cumsum(down) - down
    pairs = float(up.sum()) * float(down.sum())
    return float((up * (below + down / 2)).sum()) / pairs if pairs > 0 else None


def _class_sums(positive: Bools, weights: Array | None, starts: Ints) -> tuple[Array, Array]:
    # Positive and negative mass per run; whole numbers without weights, so that the area is exact.
    up = positive.astype(np.int64) if weights is None else np.where(positive, weights, 0)
    down = 1 - up if weights is None else np.where(positive, 0, weights)
    return np.add.reduceat(up, starts), np.add.reduceat(down, starts)
