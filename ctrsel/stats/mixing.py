"""Weights of a sum of log-odds: logistic regression without negative weights, its exact optimum.

References: Breiman (1996), "Stacked regressions" (weights that are not negative); Lawson and Hanson (1974), "Solving least
squares problems", chapter 23 (the bounded least squares that each Newton step is).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from ctrsel.core.errors import CtrselError, DataError
from ctrsel.stats._checks import Array, Floats, binary, row_weight

__all__ = ["Mixture", "mix"]

_STEPS = 100  # Newton's method needs some ten
_ENOUGH = 1e-12  # stop where a step can gain no more than this share of the objective


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """A weighted sum of log-odds, ``intercept + logits @ weights``.

    Shape:
        ``weights`` ``[M]``.

    Attributes:
        weights: Not negative; exactly 0 for a column that does not help.
        intercept: Log-odds.
    """

    weights: Floats
    intercept: float

    def __call__(self, logits: Array) -> Floats:
        """Mix columns ``[N, M]`` into log-odds ``[N]``."""
        mixed: Floats = np.asarray(logits, dtype=np.float64) @ self.weights + self.intercept
        return mixed


def mix(
    labels: Array, logits: Array, *, centre: Array | None = None, ridge: float = 1.0, weight: Array | None = None
) -> Mixture:
    """Weights and intercept of least log-loss, drawn towards given weights.

    Minimises ``sum_i v_i ln(1 + exp(-s_i z_i)) + ridge / 2 (|w - centre|^2 + b^2)`` over ``w >= 0`` and b, where
    ``z = b + logits w``, ``s`` is 1 for positives and -1 for negatives, and the row weights v have mean 1. The problem is
    strictly convex, so the optimum is one point; projected Newton steps find it to rounding.

    Shape:
        ``labels`` and ``weight`` ``[N]``, ``logits`` ``[N, M]``, ``centre`` ``[M]``.

    Args:
        labels: 0 or 1.
        logits: Log-odds, one column a model.
        centre: What weights are drawn to; None for equal weights, ``1 / M``.
        ridge: Nats per squared unit of weight, above 0; it counts once and not per row, so it fades as rows come.
        weight: Row weights; only their ratios count.

    Raises:
        DataError: labels other than 0 and 1, different lengths, no row or no weight, logits that are not finite.
        ValueError: no column, or a ridge that is not above 0.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> good, noise = rng.normal(size=(2, 2000))
        >>> labels = rng.random(2000) < special.expit(2 * good)
        >>> found = mix(labels, np.column_stack([good, noise]))
        >>> bool(1.7 < found.weights[0] < 2.3), bool(found.weights[1] < 0.2)
        (True, True)
    """
    positive = binary(labels)
    x = np.asarray(logits, dtype=np.float64)
    if x.ndim != 2 or len(x) != positive.size:
        raise DataError(f"logits must have shape ({positive.size}, M) like the labels, got {x.shape}")
    if not x.shape[1] or not ridge > 0:
        raise ValueError(f"mixing needs a column and a ridge above 0, got {x.shape[1]} columns and {ridge}")
    if not np.isfinite(x).all():
        raise DataError(f"logits must be finite, got {x[~np.isfinite(x)][0]}")
    given = row_weight(weight, rows=positive.size)
    v = np.ones(positive.size) if given is None else given
    if not v.sum() > 0:
        raise DataError(f"mixing needs rows with weight, got {positive.size} rows")
    target = np.full(x.shape[1], 1.0 / x.shape[1]) if centre is None else np.asarray(centre, dtype=np.float64)
    # The intercept is one more column, free in sign, whose weight is drawn to 0.
    columns = np.column_stack([x, np.ones(positive.size)])
    solved = _solve(columns, positive.astype(np.float64), v / v.mean(), centre=np.append(target, 0.0), ridge=ridge)
    return Mixture(weights=solved[:-1], intercept=float(solved[-1]))


def _solve(x: Floats, y: Floats, v: Floats, *, centre: Floats, ridge: float) -> Floats:
    def objective(at: Floats) -> float:
        z = x @ at
        return float(v @ (np.logaddexp(0.0, z) - y * z)) + ridge / 2 * float(((at - centre) ** 2).sum())

    low = np.append(np.zeros(x.shape[1] - 1), -np.inf)
    at: Floats = np.maximum(centre, low)
    value = objective(at)
    for _ in range(_STEPS):
        p = special.expit(x @ at)
        gradient = x.T @ (v * (p - y)) + ridge * (at - centre)
        curvature = (x * (v * p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(at))
        # The step's quadratic is a least squares problem with bounds: |L'u - L^-1 (H at - g)|^2 with H = L L'.
        factor = linalg.cholesky(curvature, lower=True)
        right = linalg.solve_triangular(factor, curvature @ at - gradient, lower=True)
        step = optimize.lsq_linear(factor.T, right, bounds=(low, np.inf), method="bvls", tol=1e-14).x - at
        gain = -float(gradient @ step)
        if gain <= _ENOUGH * max(1.0, abs(value)):
            return at
        share = 1.0
        while (new := objective(at + share * step)) > value - 1e-4 * share * gain:
            share /= 2
            if share < 1e-10:  # rounding decides from here on
                return at
        at, value = np.maximum(at + share * step, low), new
    raise CtrselError(f"mixing {x.shape[1] - 1} models of {x.shape[0]} rows did not settle in {_STEPS} steps")
