"""Loops behind knockoff copies: the pooled distribution of a field given others, its moments, and draws from it.

The distribution of a row is proportional to ``exp(base[v] + sum_k beta[k] T_k[x_k, v])``, where ``T_k`` is the log of how
much more often value v stands beside the row's value of the k-th other field than on average.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Floats, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["draw_copies", "pooled_moments"]


@kernel
def _scores(  # noqa: PLR0917  # a compiled loop takes arrays by position
    base: Floats, tables: Floats, starts: Ints, codes: Ints, row: int, beta: Floats, out: Floats
) -> float:
    # Fills `out` with the unscaled probabilities of a row, and returns their sum; the largest is 1.
    n = base.size
    for v in range(n):
        out[v] = base[v]
    for k in range(beta.size):
        at = starts[k] + codes[k, row] * n
        b = beta[k]
        for v in range(n):
            out[v] += b * tables[at + v]
    top = out[0]
    for v in range(1, n):
        top = max(top, out[v])
    total = 0.0
    for v in range(n):
        out[v] = np.exp(out[v] - top)
        total += out[v]
    return total


@kernel
def pooled_moments(  # noqa: PLR0917  # a compiled loop takes arrays by position
    base: Floats,
    tables: Floats,
    starts: Ints,
    codes: Ints,
    target: Ints,
    rows: Ints,
    beta: Floats,
    gradient: Floats,
    hessian: Floats,
) -> float:
    """Return the log-likelihood of the target's values in some rows; fill its gradient and (negative) curvature in beta."""
    n, m = base.size, beta.size
    p = np.empty(n)
    mean = np.empty(m)
    gradient[:] = 0.0
    hessian[:, :] = 0.0
    likelihood = 0.0
    for row in rows:
        total = _scores(base, tables, starts, codes, row, beta, p)
        y = target[row]
        likelihood += np.log(p[y] / total)
        mean[:] = 0.0
        for a in range(m):
            at = starts[a] + codes[a, row] * n
            for v in range(n):
                mean[a] += p[v] * tables[at + v]
            mean[a] /= total
            gradient[a] += tables[at + y] - mean[a]
            for b in range(a + 1):
                other = starts[b] + codes[b, row] * n
                both = 0.0
                for v in range(n):
                    both += p[v] * tables[at + v] * tables[other + v]
                hessian[a, b] += both / total - mean[a] * mean[b]
    for a in range(m):
        for b in range(a):
            hessian[b, a] = hessian[a, b]
    return likelihood


@kernel
def draw_copies(  # noqa: PLR0917  # a compiled loop takes arrays by position
    base: Floats, tables: Floats, starts: Ints, codes: Ints, rows: Ints, beta: Floats, uniform: Floats, out: Ints
) -> None:
    """Draw a value for each of some rows, by a number in [0, 1) per row, into their places of `out`."""
    n = base.size
    p = np.empty(n)
    for row in rows:
        left = uniform[row] * _scores(base, tables, starts, codes, row, beta, p)
        v = 0
        while v < n - 1 and left >= p[v]:
            left -= p[v]
            v += 1
        out[row] = v
