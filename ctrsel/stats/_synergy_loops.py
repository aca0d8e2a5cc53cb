"""Loops behind the additive model of a table of cells: its fit, the levers of its cells, and the sums of the test."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Array, Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["exact_levers", "fit", "shared_information", "small_groups", "sums", "two_levers"]


@kernel
def fit(  # noqa: PLR0917  # a compiled loop takes arrays by position
    groups: Array, sizes: Ints, positives: Ints, totals: Ints, tolerance: float, passes: int
) -> tuple[Floats, int, float]:
    # groups [J, M]: number of the group that each cell belongs to in each of J margins. Cyclic Newton steps of the
    # logarithm of each group's odds until every margin's positives are those of the model.
    margins, cells = groups.shape
    odds = np.ones(cells)
    widest = 0
    for j in range(margins):
        widest = max(widest, sizes[j])
    wanted = np.zeros((margins, widest))
    rows = 0.0
    yes = 0.0
    for c in range(cells):
        rows += totals[c]
        yes += positives[c]
        for j in range(margins):
            wanted[j, groups[j, c]] += positives[c]
    for c in range(cells):
        odds[c] = yes / (rows - yes)
    gap = np.empty(widest)
    slope = np.empty(widest)
    worst = 0.0
    done = 0
    for _ in range(passes):
        worst = 0.0
        for j in range(margins):
            gap[:] = 0.0
            slope[:] = 0.0
            for c in range(cells):
                p = odds[c] / (1.0 + odds[c])
                g = groups[j, c]
                gap[g] += totals[c] * p
                slope[g] += totals[c] * p * (1.0 - p)
            chi = 0.0
            for g in range(sizes[j]):
                miss = wanted[j, g] - gap[g]
                # The sum of squared gaps in units of their deviations: what the margins still miss.
                chi += miss * miss / slope[g]
                gap[g] = np.exp(min(max(miss / slope[g], -2.0), 2.0))
            worst = max(worst, chi)
            for c in range(cells):
                odds[c] = min(max(odds[c] * gap[groups[j, c]], 1e-9), 1e9)
        done += 1
        if worst <= tolerance:
            break
    return odds / (1.0 + odds), done, worst


@kernel
def shared_information(starts: Ints, second: Array, weights: Floats, totals_a: Floats, size: int) -> Floats:
    # Schur complement [K, K] of the two-way normal equations: D_b - sum over a of V_a V_a' / D_a.
    out = np.zeros((size, size))
    for a in range(starts.size - 1):
        for i in range(starts[a], starts[a + 1]):
            out[second[i], second[i]] += weights[i]
            share = weights[i] / totals_a[a]
            for j in range(starts[a], starts[a + 1]):
                out[second[i], second[j]] -= share * weights[j]
    return out


@kernel
def exact_levers(starts: Ints, second: Array, weights: Floats, totals_a: Floats, inverse: Floats) -> Floats:
    # V x' (X'VX)^- x per cell, by the inverse of the Schur complement.
    out = np.zeros(second.size)
    across = np.empty(inverse.shape[0])
    for a in range(starts.size - 1):
        low = starts[a]
        high = starts[a + 1]
        if low == high:
            continue
        across[:] = 0.0
        for i in range(low, high):
            share = weights[i] / totals_a[a]
            for b in range(across.size):
                across[b] += share * inverse[second[i], b]
        itself = 0.0
        for i in range(low, high):
            itself += weights[i] / totals_a[a] * across[second[i]]
        for i in range(low, high):
            b = second[i]
            out[i] = weights[i] * (1.0 / totals_a[a] + inverse[b, b] - 2.0 * across[b] + itself)
    return out


@kernel
def two_levers(first: Array, second: Array, weights: Floats, whole: float) -> Floats:
    # Shares of a cell in its two groups, less its share in all cells; at least the larger one and at most 1.
    totals_a = np.zeros(np.int64(first.max()) + 1)
    totals_b = np.zeros(np.int64(second.max()) + 1)
    for c in range(weights.size):
        totals_a[first[c]] += weights[c]
        totals_b[second[c]] += weights[c]
    out = np.empty(weights.size)
    for c in range(weights.size):
        a = weights[c] / totals_a[first[c]]
        b = weights[c] / totals_b[second[c]]
        out[c] = min(max(a + b - weights[c] / whole, a, b), 1.0)
    return out


@kernel
def small_groups(groups: Array, sizes: Ints, totals: Ints) -> Floats:
    # n / (n - 1) of the smallest group [J, M] that each cell belongs to, n its rows.
    out = np.full(totals.size, np.inf)
    for j in range(groups.shape[0]):
        rows = np.zeros(sizes[j])
        for c in range(totals.size):
            rows[groups[j, c]] += totals[c]
        for c in range(totals.size):
            out[c] = min(out[c], rows[groups[j, c]])
    for c in range(totals.size):
        out[c] = out[c] / max(out[c] - 1.0, 1.0)
    return out


@kernel
def sums(  # noqa: PLR0917  # a compiled loop takes arrays by position
    positives: Ints, totals: Ints, rates: Floats, levers: Floats, small: Floats, prior: float
) -> Floats:
    # Statistic minus its mean, variance, third cumulant; nats (times rows), their variance; rows that count.
    out = np.zeros(6)
    for c in range(totals.size):
        n = float(totals[c])
        if n < 2:
            continue
        y = float(positives[c])
        p = rates[c]
        v = p * (1.0 - p)
        left = 1.0 - levers[c]
        off = y - n * p
        pairs = off * off - y * (1.0 - p) * (1.0 - p) - (n - y) * p * p
        excess = pairs + (n - 1.0) * v * levers[c] * small[c]
        weight = 1.0 / (n + prior)
        both = n * (n - 1.0)
        out[0] += weight * excess
        out[1] += 2.0 * both * v * v * weight * weight * left
        skew = v * (1.0 - 2.0 * p)
        out[2] += 8.0 * both * (0.5 * skew * skew + (n - 2.0) * v * v * v) * weight * weight * weight * left
        if v > 0.0:
            out[3] += 0.5 * excess / ((n - 1.0) * v)
            out[4] += 0.5 * n / (n - 1.0) * left
        out[5] += n
    return out
