"""Loops behind the effects of single values: the tails of the hypergeometric distribution, and a posterior mode."""

from __future__ import annotations

import math

import numpy as np

from ctrsel.stats._checks import Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["posterior_modes", "two_sided_tails"]


@kernel
def two_sided_tails(positives: Ints, totals: Ints, n: int, p: int) -> Floats:
    # Twice the smaller tail of y positives among a of n rows, p of the n positive; at most 1.
    out = np.empty(totals.size)
    q = n - p
    whole = math.lgamma(n + 1.0) - math.lgamma(p + 1.0) - math.lgamma(q + 1.0)
    for i in range(totals.size):
        a, y = totals[i], positives[i]
        low, high = max(0, a - q), min(a, p)
        chosen = math.lgamma(a + 1.0) - math.lgamma(y + 1.0) - math.lgamma(a - y + 1.0)
        rest = math.lgamma(n - a + 1.0) - math.lgamma(p - y + 1.0) - math.lgamma(n - a - p + y + 1.0)
        here = math.exp(min(chosen + rest - whole, 0.0))
        tail = weight = 1.0  # in units of the weight at y; outwards from there it only falls
        if y * float(n) >= a * float(p):
            at = y
            while at < high and weight > 1e-17 * tail:
                weight *= (p - at) * float(a - at) / ((at + 1.0) * (q - a + at + 1.0))
                tail += weight
                at += 1
        else:
            at = y
            while at > low and weight > 1e-17 * tail:
                weight *= at * float(q - a + at) / ((p - at + 1.0) * (a - at + 1.0))
                tail += weight
                at -= 1
        tail *= here
        out[i] = min(1.0, 2.0 * min(tail, 1.0 - tail + here))
    return out


@kernel
def posterior_modes(positives: Ints, totals: Ints, base: float, deviation: float) -> tuple[Floats, Floats]:
    # Mode and Laplace deviation of d: y of a positive with log-odds base + d, and d normal around 0.
    mode = np.empty(totals.size)
    spread = np.empty(totals.size)
    pull = 1.0 / (deviation * deviation)
    for i in range(totals.size):
        a, y = float(totals[i]), float(positives[i])
        # The slope y - a rate(d) - pull d falls; at 0 it is at most a, so the mode lies within a / pull.
        low, high = -a / pull - 1.0, a / pull + 1.0
        d = 0.0
        before = high - low
        for _ in range(200):
            rate = 1.0 / (1.0 + math.exp(-(base + d)))
            slope = y - a * rate - pull * d
            curve = a * rate * (1.0 - rate) + pull
            if slope > 0:
                low = d
            else:
                high = d
            following = d + slope / curve
            # Newton's step may go to and fro between the flat ends of the rate: then the bracket is halved.
            if following <= low or following >= high or abs(following - d) > 0.5 * before:
                following = 0.5 * (low + high)
            before = abs(following - d)
            d = following
            if before <= 1e-12 * (1.0 + abs(d)):
                break
        rate = 1.0 / (1.0 + math.exp(-(base + d)))
        mode[i] = d
        spread[i] = 1.0 / math.sqrt(a * rate * (1.0 - rate) + pull)
    return mode, spread
