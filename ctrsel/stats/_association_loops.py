"""Loops behind the association of two fields: sums of n ln n over cells, and what chance alone gives them.

The formulas stand in ``association``. Weights follow from ratios of neighbours, outwards from the mode, down to 1e-19 of
it, so no factorials are needed.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["conditional_sums", "n_log_n", "null_terms", "sum_n_log_n"]

_NEGLIGIBLE = 1e-19  # of the weight at the mode


@kernel
def n_log_n(size: int) -> Floats:
    # 0 ln 0, 1 ln 1, ... as a table for the small counts, which are most.
    out = np.zeros(size)
    for n in range(2, size):
        out[n] = n * np.log(n)
    return out


@kernel
def _of(n: int, small: Floats) -> float:
    return float(small[n]) if n < small.size else float(n * np.log(float(n)))


@kernel
def sum_n_log_n(counts: Ints, small: Floats) -> float:
    total = 0.0
    for i in range(counts.size):
        total += _of(counts[i], small)
    return total


@kernel
def _term(x: int, mean: float) -> float:
    # x ln(x / m) - (x - m): as E[x] = m the second part costs nothing, and keeps large counts from cancelling.
    return x * np.log(x / mean) - (x - mean) if x > 0 else mean


@kernel
def _null_term(a: int, b: int, n: int) -> tuple[float, float, float, float]:
    # The term for x of the b rows of one value among the a rows of another, m = a b / n: mean, coefficients of degree 1
    # and 2 in the orthonormal polynomials of x, and the variance that higher degrees leave.
    low, high = max(0, a + b - n), min(a, b)
    mode = min(max(int((a + 1.0) * (b + 1.0) / (n + 2.0)), low), high)
    mean = a * (b / n)
    scale = np.sqrt(mean) + 1.0
    base = _term(mode, mean)
    # Sums over x of weight times powers of d = (x - mode) / scale and of f, the term less its value at the mode.
    w, d1, d2, d3, d4, f0, f1, f2, ff = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for side in range(2):
        weight = 1.0
        x = mode
        while weight > _NEGLIGIBLE and (x > low if side == 0 else x < high):
            if side == 0:
                weight *= x * float(n - a - b + x) / ((a - x + 1.0) * (b - x + 1.0))
                x -= 1
            else:
                weight *= (a - x) * float(b - x) / ((x + 1.0) * (n - a - b + x + 1.0))
                x += 1
            f, d = _term(x, mean) - base, (x - mode) / scale
            w += weight
            d1 += weight * d
            d2 += weight * d * d
            d3 += weight * d * d * d
            d4 += weight * d * d * d * d
            f0 += weight * f
            f1 += weight * f * d
            f2 += weight * f * d * d
            ff += weight * f * f
    d1, d2, d3, d4, f0, f1, f2, ff = d1 / w, d2 / w, d3 / w, d4 / w, f0 / w, f1 / w, f2 / w, ff / w
    variance = d2 - d1 * d1
    rest = ff - f0 * f0
    if variance < 1e-14:
        return base + f0, 0.0, 0.0, 0.0
    spread = np.sqrt(variance)
    first = (f1 - f0 * d1) / spread
    rest -= first * first
    # Second polynomial: (d^2 - slope d - level) / norm.
    slope = (d3 - d2 * d1) / variance
    level = d2 - slope * d1
    norm = d4 - 2.0 * slope * d3 + (slope * slope - 2.0 * level) * d2 + 2.0 * slope * level * d1 + level * level
    second = 0.0
    if norm > 1e-10 * d4:
        second = (f2 - slope * f1 - level * f0) / np.sqrt(norm)
        rest -= second * second
    return base + f0, first, second, max(rest, 0.0)


@kernel
def null_terms(a: Ints, b: Ints, n: int, symmetric: bool) -> Floats:
    # [4, A, B]: mean, coefficients of degree 1 and 2, and the rest of the variance, of the term of each pair of counts.
    out = np.empty((4, a.size, b.size))
    for i in range(a.size):
        for j in range(i if symmetric else 0, b.size):
            out[0, i, j], out[1, i, j], out[2, i, j], out[3, i, j] = _null_term(a[i], b[j], n)
            if symmetric:
                for k in range(4):
                    out[k, j, i] = out[k, i, j]
    return out


@kernel
def _shuffled_cell(a: int, n: int, p: int, small: Floats) -> float:
    # E[y ln y + (a - y) ln(a - y)] for y of the p positive rows among the a of n rows.
    q = n - p
    low, high = max(0, a - q), min(a, p)
    mode = min(max(int((a + 1.0) * (p + 1.0) / (n + 2.0)), low), high)
    weights = 1.0
    total = _of(mode, small) + _of(a - mode, small)
    weight = 1.0
    y = mode
    while y > low and weight > _NEGLIGIBLE:
        weight *= y * float(q - a + y) / ((p - y + 1.0) * (a - y + 1.0))
        y -= 1
        weights += weight
        total += weight * (_of(y, small) + _of(a - y, small))
    weight = 1.0
    y = mode
    while y < high and weight > _NEGLIGIBLE:
        weight *= (p - y) * float(a - y) / ((y + 1.0) * (q - a + y + 1.0))
        y += 1
        weights += weight
        total += weight * (_of(y, small) + _of(a - y, small))
    return total / weights


@kernel
def conditional_sums(group: Ints, totals: Ints, positives: Ints, small: Floats, null: bool) -> tuple[float, float]:
    # Rows times I(F; Y | S) and its mean when labels are shuffled among the rows of each value of S. Cells of one value
    # of S (a group) stand together.
    observed, expected = 0.0, 0.0
    known = np.zeros(totals.max() + 1 if totals.size and null else 1)
    known_in = np.full(known.size, -1, dtype=np.int64)
    first = 0
    while first < totals.size:
        last = first
        n, p = 0, 0
        while last < totals.size and group[last] == group[first]:
            n += totals[last]
            p += positives[last]
            last += 1
        if last - first > 1 and 0 < p < n:
            # sum over cells of y ln y + (a - y) ln(a - y) - a ln a, less the same of the group as a whole
            whole = _of(p, small) + _of(n - p, small) - _of(n, small)
            here, chance = -whole, -whole
            for i in range(first, last):
                a, y = totals[i], positives[i]
                here += _of(y, small) + _of(a - y, small) - _of(a, small)
                if null and a > 1:
                    if known_in[a] != first:
                        known[a] = _shuffled_cell(a, n, p, small) - _of(a, small)
                        known_in[a] = first
                    chance += known[a]
            observed += here
            expected += chance
        first = last
    return observed, expected
