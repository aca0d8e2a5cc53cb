r"""What fields tell about a binary label together that they do not tell one by one, with a null that knows the fields.

**Synergy** is ``I(A,B;Y) - I(A;Y) - I(B;Y)``, each information less its mean under shuffled labels [nats]. It does not
rise because A or B is strong, but it is no test: labels shuffled over all rows presume that the fields tell nothing, so
with a strong field of many values the mean of the joint term is too high (every cell has the rate of its A, not the
overall one), two fields that say the same have a negative synergy, and two strong fields a small positive one, since a
sum of log-odds is none of rates.

**The test** therefore asks what a cross would add to a model that has both fields: its null is the additive model
``logit p_ab = alpha_a + beta_b`` (no interaction of second order in Bartlett's sense), fitted to the occupied cells by
cyclic Newton steps on the margins. Three fields are tested against all three pairs, ``alpha_ab + beta_ac + gamma_bc``.
With residuals ``r = y - p`` of rows, the statistic is

.. math::
    T = \sum_{cells} \frac{1}{n + n_0} \Big( \sum_{i \ne j} r_i r_j + \frac{n - 1}{1 - 1/n_a} v h \Big),
    \quad v = p (1 - p).

Rows that share a cell agree more than the model says if there is an interaction. Only pairs of rows enter: the terms of
single rows (half of the cells of two large fields) carry noise and nothing else. The weights are those of a likelihood
ratio for random effects of the cells that are as large as the noise of ``n_0`` rows. The second term takes out the part
of every residual that the fit has absorbed: ``h`` is the cell's lever, exact by the Schur complement where one field has
few values, by inclusion and exclusion of the margins otherwise, ``1 - 1/n_a`` the loss of the variance in a small group
(so the mean is that of the hypergeometric distribution where one field tells nothing). The variance is ``sum 2 n (n - 1)
v^2 (1 - h) / (n + n_0)^2``: ``1 - h`` once, not twice, since the projection is idempotent and the weights of cells that
share a value are alike. Values with fewer than 20 rows are left out (for three fields: pairs of values), as a rate
fitted to so few bends the null. The p-value is the upper tail of the shifted gamma with the third cumulant as well (exact for
one degree of freedom and many rows), and ``z`` is the normal deviate of that p-value, so that z means the same for
four cells and for a million.

**Effect**: ``beyond_additive``, the same pairs of rows, every cell weighted by ``1 / (2 v (n - 1))``: an estimate of the
nats a row that the cells tell beyond the additive model, to second order, and without the bias of plug-in information,
so it does not grow with the number of cells. Rows alone in their cell count as telling nothing.

References:
    Bartlett (1935), "Contingency table interactions" (the null); Lin (1997), "Variance component testing in
    generalised linear models with random effects" (the statistic); Bishop, Fienberg and Holland (1975), "Discrete
    multivariate analysis", chapter 3 (the fit); Pearson (1895), type III curve (the tail); Jakulin and Bratko (2004),
    "Testing the significance of attribute interactions" (interaction information).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats, Ints, binary
from ctrsel.stats._open_cells import open_cells
from ctrsel.stats._synergy_loops import exact_levers, fit, shared_information, small_groups, sums, two_levers
from ctrsel.stats.information import mutual_information
from ctrsel.stats.joint import JointCounts
from ctrsel.stats.permutation import expected_mutual_information

__all__ = [
    "LEAST_ROWS",
    "NOTHING",
    "PRIOR_ROWS",
    "InteractionTest",
    "additive_test",
    "excess_information",
    "interaction_test",
    "normal_deviate",
    "row_test",
    "summed_up",
]

PRIOR_ROWS = 16.0  # n_0: effects of 0.6 log-odds at a rate of 0.2 are as large as the noise of so many rows
LEAST_ROWS = 20  # rows of a value below which a fitted rate bends the null (the bias falls with 1 / rows)
_SCHUR = 300  # values of the smaller field up to which levers are exact
_TOLERANCE = 1e-4  # what the margins may miss, in chi-square units
_PASSES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionTest:
    """Fields together, against the additive model of them.

    Attributes:
        z: Normal deviate of ``p_value``.
        p_value: Probability of at least this agreement of rows that share a cell, if the log-odds were additive.
        beyond_additive: Nats a row that the cells tell beyond the additive model.
        low: Lower end of its 95 % interval.
        high: Upper end.
        paired_rows: Rows that share their cell with another one and whose fields leave a rate between 0 and 1 open.
        missed: What the fit's margins still miss, in chi-square units; above 0.01 the fit has not converged. NaN where
            the second field's rates were taken as they are.
    """

    z: float
    p_value: float
    beyond_additive: float
    low: float
    high: float
    paired_rows: int
    missed: float


NOTHING = InteractionTest(z=0.0, p_value=1.0, beyond_additive=0.0, low=0.0, high=0.0, paired_rows=0, missed=0.0)


def excess_information(positives: Array, totals: Array) -> float:
    """Information of a field, or of cells, less its exact mean under shuffled labels, in nats.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Examples:
        >>> round(excess_information(np.array([30, 5]), np.array([100, 100])), 4)
        0.0565
    """
    return mutual_information(positives, totals) - expected_mutual_information(int(np.sum(positives)), totals)


def interaction_test(counts: JointCounts) -> InteractionTest:
    """Test the cells of two or three fields against the model that is additive in their parts (see the module's text).

    Args:
        counts: Rows and positive rows per occupied cell.

    Returns:
        The test; z 0 and p-value 1 where no cell has two rows and a rate that its fields leave open.

    Raises:
        ValueError: not two or three fields.

    Examples:
        >>> both = np.repeat([0, 1, 2, 3], 250)
        >>> flips = np.tile([0, 1, 1, 1, 1], 200)  # the label is the exclusive or, wrong in every fifth row
        >>> from ctrsel.stats.joint import joint_counts
        >>> test = interaction_test(joint_counts([both // 2, both % 2], (both // 2 ^ both % 2 ^ flips), sizes=(2, 2)))
        >>> round(test.z, 1), round(test.beyond_additive, 2)
        (19.0, 0.18)
    """
    if len(counts.sizes) not in (2, 3):
        raise ValueError(f"two or three fields are tested, got {len(counts.sizes)}")
    codes = [counts.codes(place) for place in range(len(counts.sizes))]
    return additive_test(codes, counts.positives, counts.totals)


def row_test(columns: Sequence[Array], labels: Array, *, sizes: Sequence[int]) -> InteractionTest:
    """Do as :func:`interaction_test` of the :func:`joint_counts` of two fields, to the same bits, in less memory.

    Rows whose cell is left out are left out before there are cells, and what is kept of a cell is 16 bytes.

    Shape:
        ``columns`` two arrays ``[N]``, ``labels`` ``[N]``.

    Args:
        columns: Codes of each field, from 0 to its size - 1.
        labels: 0 or 1.
        sizes: Number of codes of each field.

    Examples:
        >>> both = np.repeat([0, 1, 2, 3], 250)
        >>> flips = np.tile([0, 1, 1, 1, 1], 200)
        >>> round(row_test([both // 2, both % 2], (both // 2 ^ both % 2 ^ flips), sizes=(2, 2)).z, 1)
        19.0
    """
    cells = open_cells(columns[0], columns[1], binary(labels).view(np.uint8), sizes=sizes, least=LEAST_ROWS)
    return _test(cells.margins, [], cells.positives, cells.totals, rows=len(labels))


def additive_test(codes: Sequence[Ints], positives: Ints, totals: Ints) -> InteractionTest:
    """Do as :func:`interaction_test`, for cells given by the code of each of two or three fields.

    Shape:
        ``codes`` J arrays ``[M]``, ``positives`` and ``totals`` ``[M]``; cells in any order, each at most once.
    """
    rows = int(totals.sum())
    singles = [_compact(c) for c in codes]
    if len(codes) == 2:
        margins = singles
    else:
        widths = [int(s.max(initial=0)) + 1 for s in singles]
        margins = [_compact(singles[a] * widths[b] + singles[b]) for a, b in combinations(range(3), 2)]
    open_cells = _open(margins, positives, totals)
    margins = [_compact(m[open_cells]) for m in margins]
    below = [] if len(codes) == 2 else [_compact(s[open_cells]) for s in singles]
    return _test(np.stack(margins), below, positives[open_cells], totals[open_cells], rows=rows)


def _test(margins: Array, below: Sequence[Ints], yes: Ints, all_rows: Ints, *, rows: int) -> InteractionTest:
    """Fit the model to the cells that are left and test it; margins `[J, M]` have no empty group."""
    if yes.size < 4 or int(all_rows.max(initial=0)) < 2:
        return NOTHING
    sizes = np.array([m.max() + 1 for m in margins], dtype=np.int64)
    rates, _, missed = fit(margins, sizes, yes, all_rows, _TOLERANCE, _PASSES)
    weights = all_rows * rates * (1.0 - rates)
    levers = _levers(margins, below, weights)
    small = small_groups(margins, sizes, all_rows)
    found = sums(yes, all_rows, rates, levers, small, PRIOR_ROWS)
    if found[1] <= 1e-12 * max(float((weights**2).sum()), 1.0) / (float(all_rows.max()) + PRIOR_ROWS) ** 2:
        return NOTHING  # the fields leave nothing open: every residual is rounding
    return summed_up(found, rows=rows, missed=missed)


def summed_up(sums_: Floats, *, rows: int, missed: float) -> InteractionTest:
    """Make a test of the sums over cells.

    Shape:
        ``sums_`` ``[6]``: the statistic less its mean, its variance, its third cumulant; nats times rows less their mean,
        their variance; rows that share a cell.
    """
    statistic, variance, third, nats, nats_variance, paired = (float(x) for x in sums_)
    if variance <= 0.0:
        return NOTHING
    z, p = normal_deviate(statistic / variance**0.5, third / variance**1.5)
    effect = nats / rows
    deviation = (nats_variance + 2.0 * max(nats, 0.0)) ** 0.5 / rows
    return InteractionTest(
        z=z,
        p_value=p,
        beyond_additive=effect,
        low=effect - 1.96 * deviation,
        high=effect + 1.96 * deviation,
        paired_rows=int(paired),
        missed=float(missed),
    )


def _compact(groups: Array) -> Ints:
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def _open(margins: Sequence[Ints], positives: Ints, totals: Ints) -> Array:
    """Return the cells whose rate is left open by groups of both classes and enough rows."""
    chosen = np.ones(totals.size, dtype=bool)
    while True:
        before = int(chosen.sum())
        for margin in margins:
            yes = np.bincount(margin, weights=positives * chosen)[margin]
            rows = np.bincount(margin, weights=totals * chosen)[margin]
            chosen &= (yes > 0) & (yes < rows) & (rows >= LEAST_ROWS)
        if int(chosen.sum()) == before:
            return np.flatnonzero(chosen)


def _levers(margins: Array, below: Sequence[Ints], weights: Floats) -> Floats:
    if len(margins) == 2:
        first, second = margins if margins[0].max() >= margins[1].max() else margins[::-1]
        size = int(second.max()) + 1
        if size <= _SCHUR:
            order = np.argsort(first, kind="stable")
            starts = np.concatenate([[0], np.cumsum(np.bincount(first))])
            sorted_second, sorted_weights = second[order], weights[order]
            totals = np.bincount(first, weights=weights).astype(np.float64)
            shared = shared_information(starts, sorted_second, sorted_weights, totals, size)
            inverse: Floats = np.asarray(np.linalg.pinv(shared, rcond=1e-10, hermitian=True), dtype=np.float64)
            out = np.empty_like(weights)
            out[order] = exact_levers(starts, sorted_second, sorted_weights, totals, inverse)
            return np.clip(out, 0.0, 1.0)
        return two_levers(margins[0], margins[1], weights, float(weights.sum()))
    shares = [weights / np.bincount(m, weights=weights)[m] for m in margins]
    inner = [weights / np.bincount(s, weights=weights)[s] for s in below]
    total = np.add.reduce(shares) - np.add.reduce(inner) + weights / weights.sum()
    return np.asarray(np.clip(total, np.maximum.reduce(shares), 1.0), dtype=np.float64)


def normal_deviate(z: float, skewness: float) -> tuple[float, float]:
    """Normal deviate and p-value of the upper tail of a shifted gamma distribution with this skewness.

    Args:
        z: Standardised value.
        skewness: Of the distribution; at most 1e-6 is taken for the normal one.

    Returns:
        The deviate, also where the p-value is too small for a number, and the p-value.

    Examples:
        >>> deviate, p = normal_deviate((3.84145882 - 1) / 2**0.5, 8**0.5)  # chi-square of one degree of freedom
        >>> round(deviate, 4), round(p, 4)
        (1.6449, 0.05)
    """
    if skewness <= 1e-6:
        return float(z), float(special.ndtr(-z))
    root = 2.0 / skewness
    shape, point = root * root, root * root + z * root
    if point <= 0:
        return float(z), 1.0
    p = float(special.gammaincc(shape, point))
    if p > 0.5:  # the lower end of a skewed distribution is a wall, not a tail: no deviate below z itself
        return max(float(special.ndtri(special.gammainc(shape, point))), float(z)), p
    if p > 1e-290:
        return float(-special.ndtri(p)), p
    log_p = shape * np.log(point) - point - special.gammaln(shape) + np.log(_tail_fraction(shape, point))
    deviate = np.sqrt(-2.0 * log_p)
    for _ in range(4):
        deviate = np.sqrt(-2.0 * (log_p + np.log(deviate * np.sqrt(2.0 * np.pi))))
    return float(deviate), 0.0


def _tail_fraction(shape: float, point: float) -> float:
    """Legendre's continued fraction of the upper incomplete gamma function over ``point^shape e^-point``."""
    value = 0.0
    for k in range(200, 0, -1):
        value = k * (k - shape) / (point + 2 * k + 1 - shape - value)
    return 1.0 / (point + 1 - shape - value)
