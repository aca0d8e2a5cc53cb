"""Penalised logistic regression from the penalty at which nothing is in the model downwards, groups of columns at a time.

References: Yuan and Lin, "Model selection and estimation in regression with grouped variables", 2006; Meier, van de Geer and
Buehlmann, "The group lasso for logistic regression", 2008; Beck and Teboulle, "A fast iterative shrinkage-thresholding
algorithm for linear inverse problems", 2009; O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes", 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse

__all__ = ["Point", "path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The solution at one penalty.

    Attributes:
        penalty: lambda, nats a row per unit of norm.
        weights: float64 `[C]`.
        intercept: Log-odds.
        pull: float64 `[G]`: norm of each group's gradient over its factor, which is lambda for groups in the model and at
            most lambda for the others.
        iterations: That it took.
    """

    penalty: float
    weights: np.ndarray
    intercept: float
    pull: np.ndarray
    iterations: int


def path(
    x: scipy.sparse.csr_array,
    y: np.ndarray,
    group: np.ndarray,
    *,
    factor: np.ndarray,
    mean: np.ndarray | None = None,
    row_weight: np.ndarray | None = None,
    steps: int,
    smallest: float,
    tolerance: float = 1e-4,
    iterations: int = 300,
) -> Iterator[Point]:
    """Yield minimisers of ``mean loss + lambda sum_g factor_g ||w_g||_2``, each from the one before.

    Shape:
        x `[N, C]`, y `[N]`, group `[C]`, factor `[G]`.

    Args:
        x: Columns.
        y: 0 or 1.
        group: Of each column, whole numbers from 0; a group of one column has the lasso's penalty.
        factor: Of each group's penalty.
        mean: What is taken off each column `[C]`, which leaves `x` sparse; None = nothing.
        row_weight: Of the loss; None = alike.
        steps: Penalties, evenly on a log scale.
        smallest: Last penalty over the first, at which all weights are 0.
        tolerance: A point is found when no pull is further from where it must be than so much of lambda.
        iterations: At most so many for a point.
    """
    n = x.shape[0]
    share = np.full(n, 1.0 / n) if row_weight is None else np.asarray(row_weight, np.float64) / np.sum(row_weight)
    data = _Centred(x, np.zeros(x.shape[1]) if mean is None else mean)
    base = float(share @ y)
    intercept, w = float(np.log(base / (1 - base))), np.zeros(x.shape[1])

    def gradient(weights: np.ndarray, b: float) -> tuple[np.ndarray, float]:
        p = 1.0 / (1.0 + np.exp(-np.clip(data.times(weights) + b, -50, 50)))
        r = share * (p - y)
        return data.back(r), float(r.sum())

    def norms(v: np.ndarray) -> np.ndarray:
        return np.sqrt(np.bincount(group, weights=v * v, minlength=len(factor)))

    curvature = 0.25 * _largest(data, share)
    pull = norms(gradient(w, intercept)[0]) / factor
    top = float(pull.max()) * (1 + 1e-9)  # rounding moves nothing there
    for penalty in top * np.geomspace(1.0, smallest, steps):
        at, at_b, momentum = w.copy(), intercept, 1.0
        used = 0
        for used in range(1, iterations + 1):
            g, g_b = gradient(at, at_b)
            moved = at - g / curvature
            size = norms(moved)
            shrink = np.divide(penalty * factor / curvature, size, out=np.full(len(size), np.inf), where=size > 0)
            new = moved * np.maximum(0.0, 1.0 - shrink)[group]
            new_b = at_b - g_b / curvature
            step, step_b = new - w, new_b - intercept
            if (at - new) @ step + (at_b - new_b) * step_b > 0:  # the momentum points uphill: start it again
                momentum = 1.0
            before, momentum = momentum, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = (before - 1) / momentum
            at, at_b = new + ahead * step, new_b + ahead * step_b
            w, intercept = new, new_b
            if used % 5 == 0 and _off(gradient(w, intercept), w, group, factor, penalty) <= tolerance * penalty:
                break
        pull = norms(gradient(w, intercept)[0]) / factor
        yield Point(penalty=float(penalty), weights=w, intercept=intercept, pull=pull, iterations=used)


def _off(
    found: tuple[np.ndarray, float], w: np.ndarray, group: np.ndarray, factor: np.ndarray, penalty: float
) -> float:
    """Return by how much the conditions of a minimum are missed, in units of lambda, over all groups."""
    g, g_b = found
    size = np.sqrt(np.bincount(group, weights=w * w, minlength=len(factor)))
    direction = np.divide(w, size[group], out=np.zeros_like(w), where=size[group] > 0)
    rest = g + penalty * factor[group] * direction
    missed = np.sqrt(np.bincount(group, weights=rest * rest, minlength=len(factor))) / factor
    missed = np.where(size > 0, missed, np.maximum(missed - penalty, 0.0))
    return max(float(missed.max(initial=0.0)), abs(g_b))


class _Centred:
    """Products with sparse columns from which their means are taken off."""

    def __init__(self, x: scipy.sparse.csr_array, mean: np.ndarray) -> None:
        self.x, self.transposed, self.mean = x, x.T.tocsr(), mean

    def times(self, w: np.ndarray) -> np.ndarray:
        return np.asarray(self.x @ w - self.mean @ w)

    def back(self, r: np.ndarray) -> np.ndarray:
        return np.asarray(self.transposed @ r - self.mean * r.sum())


def _largest(data: _Centred, share: np.ndarray) -> float:
    """Return a bound on the largest eigenvalue of the columns' weighted moments, the intercept's column with them."""
    v = np.ones(data.x.shape[1] + 1) + np.arange(data.x.shape[1] + 1) % 7  # not orthogonal to what is sought
    value = 1.0
    for _ in range(40):
        v /= np.linalg.norm(v)
        r = share * (data.times(v[:-1]) + v[-1])
        v = np.append(data.back(r), r.sum())
        value = float(np.linalg.norm(v))
    return 1.1 * value  # power iteration comes from below
