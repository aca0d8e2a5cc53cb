"""Loops behind the association of two fields: sums of n ln n over cells, and what chance alone gives them.

The formulas stand in ``association`` and ``chance_table``. Weights follow from ratios of neighbours, outwards from the
mode, down to 1e-19 of it, so no factorials are needed.
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
def _expansion(w: float, d: Floats, f: Floats, ff: float) -> tuple[float, float, float, float]:
    # From sums of weights (w), of powers 1 to 4 of d, of f times powers 0 to 2 of d, and of f squared: the mean of f, its
    # coefficients of degree 1 and 2 in the orthonormal polynomials of d, and the variance that higher degrees leave.
    d1, d2, d3, d4 = d[0] / w, d[1] / w, d[2] / w, d[3] / w
    f0, f1, f2 = f[0] / w, f[1] / w, f[2] / w
    variance = d2 - d1 * d1
    rest = ff / w - f0 * f0
    if variance < 1e-14:
        return f0, 0.0, 0.0, 0.0
    first = (f1 - f0 * d1) / np.sqrt(variance)
    rest -= first * first
    # Second polynomial: (d^2 - slope d - level) / norm.
    slope = (d3 - d2 * d1) / variance
    level = d2 - slope * d1
    norm = d4 - 2.0 * slope * d3 + (slope * slope - 2.0 * level) * d2 + 2.0 * slope * level * d1 + level * level
    second = 0.0
    if norm > 1e-10 * d4:
        second = (f2 - slope * f1 - level * f0) / np.sqrt(norm)
        rest -= second * second
    return f0, first, second, max(rest, 0.0)


@kernel
def _add(weight: float, d: float, f: float, powers: Floats, terms: Floats) -> None:
    wd = weight * d
    powers[0] += wd
    powers[1] += wd * d
    powers[2] += wd * d * d
    powers[3] += wd * d * d * d
    terms[0] += weight * f
    terms[1] += wd * f
    terms[2] += wd * d * f


@kernel
def _null_term(a: int, b: int, n: int, sums: Floats) -> tuple[float, float, float, float]:
    # The expansion of the term for x of the b rows of one value among the a rows of another, m = a b / n.
    low, high = max(0, a + b - n), min(a, b)
    mode = min(max(int((a + 1.0) * (b + 1.0) / (n + 2.0)), low), high)
    mean = a * (b / n)
    scale = np.sqrt(mean) + 1.0
    base = _term(mode, mean)
    weights, squares = 1.0, 0.0
    sums[:] = 0.0
    powers, terms = sums[:4], sums[4:]
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
            f = _term(x, mean) - base
            weights += weight
            squares += weight * f * f
            _add(weight, (x - mode) / scale, f, powers, terms)
    average, first, second, rest = _expansion(weights, powers, terms, squares)
    return base + average, first, second, rest


@kernel
def null_terms(a: Ints, b: Ints, n: int, symmetric: bool) -> Floats:
    # [4, A, B]: mean, coefficients of degree 1 and 2, and the rest of the variance, of the term of each pair of counts.
    out = np.empty((4, a.size, b.size))
    sums = np.empty(7)
    for i in range(a.size):
        for j in range(i if symmetric else 0, b.size):
            out[0, i, j], out[1, i, j], out[2, i, j], out[3, i, j] = _null_term(a[i], b[j], n, sums)
            if symmetric:
                for k in range(4):
                    out[k, j, i] = out[k, i, j]
    return out


@kernel
def _cell(y: int, a: int, yes: float, no: float, small: Floats) -> float:
    # y ln(y / expected) + (a - y) ln((a - y) / expected), given the logarithms of what is expected.
    return _of(y, small) + _of(a - y, small) - y * yes - (a - y) * no


@kernel
def _shuffled_cell(a: int, n: int, p: int, small: Floats, sums: Floats) -> tuple[float, float, float, float]:
    # The expansion of a cell's term for y of the p positive rows among the a of n rows.
    q = n - p
    low, high = max(0, a - q), min(a, p)
    mode = min(max(int((a + 1.0) * (p + 1.0) / (n + 2.0)), low), high)
    yes, no = np.log(a * (p / n)), np.log(a * (q / n))
    scale = np.sqrt(a * (p / n) * (q / n)) + 1.0
    base = _cell(mode, a, yes, no, small)
    weights, squares = 1.0, 0.0
    sums[:] = 0.0
    powers, terms = sums[:4], sums[4:]
    for side in range(2):
        weight = 1.0
        y = mode
        while weight > _NEGLIGIBLE and (y > low if side == 0 else y < high):
            if side == 0:
                weight *= y * float(q - a + y) / ((p - y + 1.0) * (a - y + 1.0))
                y -= 1
            else:
                weight *= (p - y) * float(a - y) / ((y + 1.0) * (q - a + y + 1.0))
                y += 1
            f = _cell(y, a, yes, no, small) - base
            weights += weight
            squares += weight * f * f
            _add(weight, (y - mode) / scale, f, powers, terms)
    average, first, second, rest = _expansion(weights, powers, terms, squares)
    return base + average, first, second, rest


@kernel
def conditional_sums(group: Ints, totals: Ints, positives: Ints, small: Floats) -> tuple[float, float, float]:
    # Rows times I(F; Y | S), and its mean and variance when labels are shuffled among the rows of each value of S. Cells
    # of one value of S (a group) stand together.
    observed, expected, variance = 0.0, 0.0, 0.0
    known = np.zeros((totals.max() + 1 if totals.size else 1, 4))
    known_in = np.full(known.shape[0], -1, dtype=np.int64)
    sums = np.empty(7)
    first = 0
    while first < totals.size:
        last = first
        n, p = 0, 0
        while last < totals.size and group[last] == group[first]:
            n += totals[last]
            p += positives[last]
            last += 1
        if last - first > 1 and 0 < p < n:
            share, other = np.log(p / n), np.log((n - p) / n)
            # Sums over the group's cells: of u times the coefficient, u^2 the odds of the cell's rows in each degree.
            one, two = 0.0, 0.0
            for i in range(first, last):
                a, y = totals[i], positives[i]
                observed += _of(y, small) + _of(a - y, small) - _of(a, small) - y * share - (a - y) * other
                if known_in[a] != first:
                    known[a] = _shuffled_cell(a, n, p, small, sums)
                    known_in[a] = first
                mean, c1, c2, rest = known[a]
                u1 = a / float(n - a)
                u2 = u1 * (a - 1.0) / (n - a - 1.0) if n - a > 1 else 0.0
                expected += mean
                one += c1 * np.sqrt(u1)
                two += c2 * np.sqrt(u2)
                variance += c1 * c1 * (1.0 + u1) + c2 * c2 * (1.0 - u2) + rest
            variance += two * two - one * one
        first = last
    return observed, expected, max(variance, 0.0)
