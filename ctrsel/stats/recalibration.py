"""Fits of maps from log-odds to log-odds, so that predicted probabilities become observed rates.

References: Platt (1999), "Probabilistic outputs for support vector machines"; Kull, Silva Filho and Flach (2017), "Beta
calibration: a well-founded and easily implemented improvement on logistic calibration for binary classifiers"; Zadrozny
and Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates" (isotonic regression);
de Leeuw, Hornik and Mair (2009), "Isotone optimization in R: pool-adjacent-violators algorithm".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import optimize, special

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Bools, Floats, Ints, binary, finite, row_weight
from ctrsel.stats.folds import cross_fitted
from ctrsel.stats.log_odds_maps import Beta, Isotonic, LogOddsMap, Platt, Unchanged
from ctrsel.stats.losses import log_loss
from ctrsel.stats.mixing import mix

__all__ = ["METHODS", "cross_fitted_losses", "recalibrate"]

_RIDGE = 1.0  # nats per squared unit of a slope: about one row's worth, which keeps separable rows finite
_HALF = 0.5  # of a row of the other class at either end, which keeps rates away from 0 and 1
_ROUNDING = 1e-10  # rates that differ by less are equal


def recalibrate(method: str, labels: Array, logits: Array, *, weight: Array | None = None) -> LogOddsMap:
    """Fit one map.

    Platt and beta calibration are the maps of least log-loss, not falling, exactly.

    DEVIATION(Platt 1999): a ridge of one row's worth towards the map that changes nothing stands in for his targets of
    1 / (n + 2), since it leaves row weights alone.

    DEVIATION(Zadrozny 2002): half a row of the other class at either end keeps rates away from 0 and 1, and straight
    lines between the middles of the steps replace the steps, so that no two rows tie and AUC stays.

    Shape:
        ``labels``, ``logits`` and ``weight`` ``[N]``.

    Args:
        method: "none", "platt", "beta" or "isotonic".
        labels: 0 or 1.
        logits: Log-odds of the positive class.
        weight: Row weights; only their ratios count.

    Raises:
        DataError: labels other than 0 and 1, logits that are not finite, no row with weight.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=4000)
        >>> labels = rng.random(4000) < special.expit(z)
        >>> found = recalibrate("platt", labels, 3 * z)  # a model that is three times too sure
        >>> bool(0.3 < found.scale < 0.37)
        True
    """
    positive = binary(labels)
    z = finite("logits", logits, rows=positive.size)
    given = row_weight(weight, rows=positive.size)
    v = np.ones(positive.size) if given is None else given
    return METHODS[method](positive, z, v)


def cross_fitted_losses(
    labels: Array, logits: Array, folds: Ints, *, weight: Array | None = None
) -> Mapping[str, float]:
    """Log-loss of every method, nats per row, each row by the map that the other folds gave.

    Shape:
        ``labels``, ``logits``, ``folds`` and ``weight`` ``[N]``.

    Args:
        labels: 0 or 1.
        logits: Log-odds of the positive class.
        folds: Fold of each row (see `folds_of`).
        weight: Row weights.

    Raises:
        DataError: As `recalibrate`; no row has weight.
    """
    v = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
    found = {}
    for method in METHODS:

        def fit(rows: Bools, method: str = method) -> LogOddsMap:
            return recalibrate(method, labels[rows], logits[rows], weight=v[rows])

        loss = log_loss(labels, cross_fitted(fit, np.asarray(logits), folds), weight=weight)
        if loss is None:
            raise DataError(f"calibration needs rows with weight, got {len(labels)} rows")
        found[method] = loss
    return found


def _none(positive: Bools, z: Floats, v: Floats) -> Unchanged:
    return Unchanged()


def _platt(positive: Bools, z: Floats, v: Floats) -> Platt:
    found = mix(positive, z[:, None], centre=np.ones(1), ridge=_RIDGE, weight=v)
    return Platt(scale=float(found.weights[0]), shift=found.intercept)


def _beta(positive: Bools, z: Floats, v: Floats) -> Beta:
    # In log-odds beta calibration is a sum of two rising features, which add up to z itself.
    features = np.column_stack([-np.logaddexp(0.0, -z), np.logaddexp(0.0, z)])
    found = mix(positive, features, centre=np.ones(2), ridge=_RIDGE, weight=v)
    return Beta(low=float(found.weights[0]), high=float(found.weights[1]), shift=found.intercept)


def _isotonic(positive: Bools, z: Floats, v: Floats) -> Isotonic:
    some = v > 0
    places, owner = np.unique(z[some], return_inverse=True)
    scale = float(some.sum() / v.sum())  # weights of mean 1, so that half a row is half a row
    mass = np.bincount(owner, weights=v[some]) * scale
    yes = np.bincount(owner, weights=v[some] * positive[some]) * scale
    yes[0] += _HALF
    mass[0] += _HALF
    mass[-1] += _HALF
    steps = optimize.isotonic_regression(yes / mass, weights=mass)
    # Neighbours of one rate are one step, also where rounding tells them apart: a line between them would tie rows.
    step = np.concatenate([[0], np.cumsum(np.diff(steps.x) > _ROUNDING)])
    rates = steps.x[np.unique(step, return_index=True)[1]]
    middle = np.bincount(step, weights=mass * places) / np.bincount(step, weights=mass)
    return Isotonic(logits=tuple(middle.tolist()), log_odds=tuple(special.logit(rates).tolist()))


METHODS: Mapping[str, Callable[[Bools, Floats, Floats], LogOddsMap]] = {
    "none": _none,
    "platt": _platt,
    "beta": _beta,
    "isotonic": _isotonic,
}
