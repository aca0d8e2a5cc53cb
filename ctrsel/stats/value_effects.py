"""What each value of a field says about a binary label: shrunken log-odds with an interval, a test, its information.

A value with few rows has a rate that says little, so its log-odds are drawn to those of all rows by as much as the
values of the field differ beyond chance.

References:
    Morris (1983), "Parametric empirical Bayes inference: theory and applications" (a prior whose spread is estimated
    from the same values); Kleinman (1973), "Proportions with extraneous variance" (its weighted moments); Monroe,
    Colaresi and Quinn (2008), "Fightin' words", section 3.4 (log-odds with a prior, in units of their deviation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats, Ints, contingency
from ctrsel.stats._permutation_loops import means
from ctrsel.stats._value_loops import posterior_modes, two_sided_tails

__all__ = ["ValueEffects", "prior_deviation", "value_effects"]

_NORMAL_95 = 1.959963984540054
_NODES, _MASS = np.polynomial.hermite_e.hermegauss(40)
_LEAST, _MOST = 1e-4, 16.0  # deviations in log-odds between which a prior's is looked for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueEffects:
    """The values of one field; values of equal counts are one case, so that a field of millions of values has few.

    Shape:
        C: cases. V: values, those without rows included.

    Attributes:
        totals: Rows of a value `[C]`.
        positives: Its positive rows `[C]`.
        repeats: How many values have these counts `[C]`.
        case: Which case a value is `[V]`; -1 without rows.
        log_odds: Log-odds of the value less those of all rows, shrunken `[C]`.
        low: Lower end of its 95 % interval `[C]`.
        high: Upper end `[C]`.
        z: Positive rows less their mean under shuffled labels, in standard deviations `[C]`.
        p_value: Two-sided and exact under shuffled labels: twice the smaller tail `[C]`.
        information: The value's term of the field's mutual information, nats per row of the field `[C]`.
        expected: The mean of that term under shuffled labels, nats `[C]`; the differences add up to the field's.
        deviation: Standard deviation of the prior of the log-odds.
        base: Rate of all rows.
        rows: Rows of the field.
    """

    totals: Ints
    positives: Ints
    repeats: Ints
    case: Ints
    log_odds: Floats
    low: Floats
    high: Floats
    z: Floats
    p_value: Floats
    information: Floats
    expected: Floats
    deviation: float
    base: float
    rows: int

    @property
    def excess(self) -> float:
        """Mutual information of the field less its mean under shuffled labels, nats: the sum over all values."""
        return float((self.repeats * (self.information - self.expected)).sum())


def value_effects(positives: Array, totals: Array) -> ValueEffects | None:
    """Work out the effect of every value of a field against all rows of the field.

    Shape:
        ``positives`` and ``totals`` ``[V]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        The effects; None where nothing can be said: no rows, or one class.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> found = value_effects(np.array([30, 5, 1]), np.array([100, 100, 2]))
        >>> found.log_odds[found.case].round(1).tolist()  # of two rows, one was positive: drawn to 0
        [0.7, -1.2, 0.5]
    """
    contingency(positives, totals)
    yes, rows = (np.asarray(c, dtype=np.int64) for c in (positives, totals))
    n, p = int(rows.sum()), int(yes.sum())
    if p in (0, n):
        return None
    seen = rows > 0
    keys, first, inverse, repeats = np.unique(
        rows[seen] * (int(yes.max()) + 1) + yes[seen], return_index=True, return_inverse=True, return_counts=True
    )
    case = np.full(rows.size, -1, dtype=np.int64)
    case[seen] = inverse
    a, y, m = rows[seen][first], yes[seen][first], repeats.astype(np.int64)
    base = p / n
    sizes, of = np.unique(a, return_inverse=True)
    expected = means(sizes, n, p)[of] / n
    terms = special.xlogy(y, y / (a * base)) + special.xlogy(a - y, (a - y) / (a * (1.0 - base)))
    spread = np.sqrt(a * base * (1.0 - base) * (n - a) / max(n - 1, 1))
    z = np.divide(y - a * base, spread, out=np.zeros(keys.size), where=spread > 0)
    deviation = prior_deviation(y, a, repeats=m)
    base_odds = float(special.logit(base))
    mode, width = posterior_modes(y, a, base_odds, deviation)
    return ValueEffects(
        totals=a,
        positives=y,
        repeats=m,
        case=case,
        log_odds=mode,
        low=mode - _NORMAL_95 * width,
        high=mode + _NORMAL_95 * width,
        z=z,
        p_value=two_sided_tails(y, a, n, p),
        information=np.maximum(terms, 0.0) / n,
        expected=expected,
        deviation=deviation,
        base=base,
        rows=n,
    )


def prior_deviation(positives: Array, totals: Array, *, repeats: Array | None = None) -> float:
    """Estimate how far the log-odds of a field's values lie apart beyond chance: a standard deviation.

    The squared distance of a value's positives from their mean grows with the variance of the rates; the estimate solves
    the sum of these equations, each weighted by what it tells. It is never below its own standard error for values that
    do not differ, so that no interval is of width 0.

    Shape:
        ``positives``, ``totals`` and ``repeats`` ``[C]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value, above 0.
        repeats: How many values have these counts; None for one each.

    Returns:
        Log-odds, between 1e-4 and 16; 1 where no value has two rows, so that nothing tells.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> rates = special.expit(rng.normal(-3.0, 0.5, 4000))
        >>> 0.4 < prior_deviation(rng.binomial(200, rates), np.full(4000, 200)) < 0.6
        True
    """
    yes, rows = np.asarray(positives, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    many = np.ones(rows.size) if repeats is None else np.asarray(repeats, dtype=np.float64)
    n, p = float((many * rows).sum()), float((many * yes).sum())
    base = p / n if n else 0.0
    unit = base * (1.0 - base)
    useful = (rows > 1) & (rows < n)
    if unit == 0.0 or not useful.any():
        return 1.0
    share = rows / n
    within = float((many * share * (rows - 1.0)).sum())
    rows, yes, many, share = rows[useful], yes[useful], many[useful], share[useful]
    # With `moment` the variance of the rates over base (1 - base): mean of z squared = 1 + growth * moment, the base
    # rate being that of the same rows.
    growth = ((1.0 - 2.0 * share) * (rows - 1.0) + share * within) / (1.0 - share)
    excess = (yes - rows * base) ** 2 * (n - 1.0) / (rows * unit * (n - rows)) - 1.0
    peaked = np.maximum((1.0 - 6.0 * unit) / (rows * unit), 0.0)
    moment = 0.0
    for _ in range(30):
        weight = many * growth / (2.0 * (1.0 + growth * moment) ** 2 + peaked)
        before, moment = moment, max(float((weight * excess).sum() / (weight * growth).sum()), 0.0)
        if abs(moment - before) <= 1e-9 * moment:
            break
    least = 1.0 / np.sqrt(float((many * growth**2 / (2.0 + peaked)).sum()))
    return _deviation(max(moment, least) * unit, base)


def _deviation(variance: float, base: float) -> float:
    """Return the deviation of log-odds around those of `base` that gives rates this mean squared distance from it."""
    centre, mass = float(special.logit(base)), _MASS / _MASS.sum()
    low, high = np.log(_LEAST), np.log(_MOST)
    for _ in range(60):
        middle = 0.5 * (low + high)
        distance = float((mass * (special.expit(centre + np.exp(middle) * _NODES) - base) ** 2).sum())
        low, high = (middle, high) if distance < variance else (low, middle)
    return float(np.exp(0.5 * (low + high)))
