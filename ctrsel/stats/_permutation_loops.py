"""Loops behind the permutation moments: hypergeometric and binomial weights, and what a value's term does under them.

The formulas stand in ``permutation``; weights follow from ratios of neighbours, outwards from the mode. The statistic is
a number, as the loops are compiled once for all: 0 information, 1 Pearson's, 2 information value (``statistic_term``).
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = [
    "CHI_SQUARE",
    "INFORMATION",
    "VALUE",
    "binomial_moments",
    "expansions",
    "hypergeometric",
    "means",
    "statistic_term",
]

INFORMATION, CHI_SQUARE, VALUE = 0, 1, 2

_NEGLIGIBLE = 1e-25  # of the weight at the mode


@kernel
def statistic_term(setting: Floats, y: float, a: float, rate: float) -> float:
    # One value's share of a statistic; that of the informations times n. `setting` is the kind and, for the information
    # value, the rows at the base rate that are added to the value, and the smoothed sums of both classes.
    if setting[0] == CHI_SQUARE:
        apart = y - a * rate
        return float(apart * apart / (a * rate * (1.0 - rate)))
    if setting[0] == VALUE:
        up = (y + setting[1] * rate) / setting[2]
        down = (a - y + setting[1] * (1.0 - rate)) / setting[3]
        return float((setting[2] + setting[3]) * (up - down) * np.log(up / down))
    mean = a * rate
    out = 0.0
    if y > 0:
        out += y * np.log(y / mean)
    if y < a:
        out += (a - y) * np.log((a - y) / (a - mean))
    return out


@kernel
def hypergeometric(a: int, n: int, p: int, cut: float) -> tuple[int, Floats]:
    # Probabilities of y = first, first + 1, ... positives among a of n rows, p of the n positive.
    q = n - p
    low, high = max(0, a - q), min(a, p)
    mode = min(max(int((a + 1.0) * (p + 1.0) / (n + 2.0)), low), high)
    first = mode
    weight = 1.0
    while first > low and weight > cut:
        weight *= first * float(q - a + first) / ((p - first + 1.0) * (a - first + 1.0))
        first -= 1
    last = mode
    weight = 1.0
    while last < high and weight > cut:
        weight *= (p - last) * float(a - last) / ((last + 1.0) * (q - a + last + 1.0))
        last += 1
    out = np.empty(last - first + 1)
    out[mode - first] = 1.0
    for y in range(mode, first, -1):
        out[y - 1 - first] = out[y - first] * (y * float(q - a + y) / ((p - y + 1.0) * (a - y + 1.0)))
    for y in range(mode, last):
        out[y + 1 - first] = out[y - first] * ((p - y) * float(a - y) / ((y + 1.0) * (q - a + y + 1.0)))
    return first, out / out.sum()


@kernel
def binomial(a: int, rate: float, cut: float) -> tuple[int, Floats]:
    odds = rate / (1.0 - rate)
    mode = min(int((a + 1.0) * rate), a)
    first = mode
    weight = 1.0
    while first > 0 and weight > cut:
        weight *= first / ((a - first + 1.0) * odds)
        first -= 1
    last = mode
    weight = 1.0
    while last < a and weight > cut:
        weight *= (a - last) * odds / (last + 1.0)
        last += 1
    out = np.empty(last - first + 1)
    out[mode - first] = 1.0
    for y in range(mode, first, -1):
        out[y - 1 - first] = out[y - first] * (y / ((a - y + 1.0) * odds))
    for y in range(mode, last):
        out[y + 1 - first] = out[y - first] * ((a - y) * odds / (y + 1.0))
    return first, out / out.sum()


@kernel
def means(sizes: Ints, n: int, p: int) -> Floats:
    plain = np.zeros(4)
    out = np.empty(sizes.size)
    for i in range(sizes.size):
        a = sizes[i]
        first, weights = hypergeometric(a, n, p, _NEGLIGIBLE)
        rate = p / n
        total = 0.0
        for k in range(weights.size):
            total += weights[k] * statistic_term(plain, first + k, a, rate)
        out[i] = total
    return out


@kernel
def expansions(sizes: Ints, n: int, p: int, degrees: int, setting: Floats) -> Floats:
    # Per distinct size: mean, variance, then the coefficients of degree 1 to `degrees` of the value's term.
    out = np.zeros((sizes.size, 2 + degrees))
    for i in range(sizes.size):
        a = sizes[i]
        first, weights = hypergeometric(a, n, p, _NEGLIGIBLE)
        points = weights.size
        expected = a * (p / n)
        term = np.empty(points)
        average = 0.0
        for k in range(points):
            term[k] = statistic_term(setting, first + k, a, p / n)
            average += weights[k] * term[k]
        variance = 0.0
        for k in range(points):
            term[k] -= average
            variance += weights[k] * term[k] * term[k]
        out[i, 0] = average
        out[i, 1] = variance
        spread = np.sqrt(expected * (1.0 - p / n) * (n - a) / max(n - 1.0, 1.0))
        if spread == 0.0:
            continue
        # Stieltjes' recurrence for the orthonormal polynomials on these points.
        before = np.zeros(points)
        current = np.ones(points)
        norm = 0.0
        reach = min(a, n - a, p, n - p)
        for degree in range(1, min(degrees, reach, points - 1) + 1):
            centre = 0.0
            for k in range(points):
                centre += weights[k] * ((first + k - expected) / spread) * current[k] * current[k]
            following = np.empty(points)
            length = 0.0
            for k in range(points):
                x = (first + k - expected) / spread
                following[k] = (x - centre) * current[k] - norm * before[k]
                length += weights[k] * following[k] * following[k]
            if length < 1e-10:
                break
            norm = np.sqrt(length)
            coefficient = 0.0
            for k in range(points):
                following[k] /= norm
                coefficient += weights[k] * following[k] * term[k]
            before, current = current, following
            out[i, 1 + degree] = coefficient
    return out


@kernel
def binomial_moments(sizes: Ints, rate: float, setting: Floats) -> Floats:
    # Per distinct size, centred, f the term and y the positives: ff, fy, fff, ffy, fyy, yyy.
    out = np.zeros((sizes.size, 6))
    for i in range(sizes.size):
        a = sizes[i]
        first, weights = binomial(a, rate, _NEGLIGIBLE)
        expected = a * rate
        average = 0.0
        term = np.empty(weights.size)
        for k in range(weights.size):
            term[k] = statistic_term(setting, first + k, a, rate)
            average += weights[k] * term[k]
        for k in range(weights.size):
            f = term[k] - average
            y = first + k - expected
            w = weights[k]
            out[i, 0] += w * f * f
            out[i, 1] += w * f * y
            out[i, 2] += w * f * f * f
            out[i, 3] += w * f * f * y
            out[i, 4] += w * f * y * y
            out[i, 5] += w * y * y * y
    return out
