r"""Distance correlation: in general for few rows, and for categories exactly from counts of all rows.

With the distance 0 between equal and 1 between different values, double centring a field's distances gives minus the
centred indicator of "same value". With shares of rows ``p_ij`` of a cell, ``a_i`` and ``b_j`` of the values, the
squared distance covariance is therefore ``sum_ij (p_ij - a_i b_j)^2``, and the U-centred one (unbiased) is with counts in
place of shares, over ``n (n - 3)``::

    sum n_ij (n_ij - 1) - 2 / (n - 2) sum n_ij (A_i - 1) (B_j - 1)
        + sum A_i (A_i - 1) sum B_j (B_j - 1) / ((n - 1) (n - 2))

A U-centred matrix has a diagonal and sums of rows of 0. Hence its product with a shuffled one of the same kind has mean
0 and variance ``2 S_a S_b / (n (n - 3))`` with the sums of squares ``S`` (the moments of Mantel 1967, where all but one
term cancel): the bias-corrected correlation times ``sqrt(n (n - 3) / 2)`` has mean 0 and variance 1 under shuffled
labels, exactly, for every field.

References:
    Szekely, Rizzo and Bakirov (2007), "Measuring and testing dependence by correlation of distances"; Szekely and Rizzo
    (2014), "Partial distance correlation with methods for dissimilarities" (U-centring); Mantel (1967), "The detection
    of disease clustering" (moments under permutation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, contingency

__all__ = ["DistanceTest", "distance_correlation", "distance_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceTest:
    """Distance correlation of a field and a binary label, with distances of 0 and 1, from counts.

    Attributes:
        value: Plug-in distance correlation, in [0, 1]; it rises with the number of values even for noise.
        corrected: Bias-corrected squared distance correlation, at most 1; 0 on average under shuffled labels.
        z: ``corrected * sqrt(n (n - 3) / 2)``: mean 0 and variance 1 under shuffled labels, exactly.
        p_value: Upper tail of the gamma distribution with this mean and variance and the skewness under shuffled
            labels.
    """

    value: float
    corrected: float
    z: float
    p_value: float


def distance_correlation(left: Array, right: Array, *, corrected: bool = False) -> float:
    """Distance correlation of two distance matrices; for few rows, as both are whole.

    Shape:
        ``left`` and ``right`` ``[N, N]``.

    Args:
        left: Distances between rows in one variable: symmetric, with a diagonal of 0.
        right: Distances in the other variable.
        corrected: Give the bias-corrected squared correlation (U-centred), which is negative for about half of all
            independent variables.

    Returns:
        The correlation in [0, 1], or its corrected square of at most 1; 0 where a variable is constant.

    Raises:
        DataError: matrices that are not square, symmetric and of one size, or fewer than 4 rows with ``corrected``.

    Examples:
        >>> x = np.array([1.0, 2, 3, 4, 5])
        >>> y = x**2 - 6 * x
        >>> apart = [np.abs(v[:, None] - v) for v in (x, y)]
        >>> round(distance_correlation(*apart), 10), round(distance_correlation(*apart, corrected=True), 10)
        (0.5159234569, -0.4082482905)
    """
    a, b = (_distances(m) for m in (left, right))
    if a.shape != b.shape:
        raise DataError(f"distances must be of the same rows, got {len(a)} and {len(b)}")
    if corrected and len(a) < 4:
        raise DataError(f"the bias-corrected distance correlation needs 4 rows, got {len(a)}")
    centre = _u_centred if corrected else _centred
    a, b = centre(a), centre(b)
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if scale <= 1e-14 * len(a) ** 2:
        return 0.0
    share = float((a * b).sum()) / scale
    return share if corrected else float(np.sqrt(max(share, 0.0)))


def _distances(matrix: Array) -> Floats:
    out: Floats = np.asarray(matrix, dtype=np.float64)
    if out.ndim != 2 or out.shape[0] != out.shape[1] or not np.array_equal(out, out.T) or np.diag(out).any():
        raise DataError(f"distances must be a symmetric matrix with a diagonal of 0, got shape {out.shape}")
    return out


def _centred(d: Floats) -> Floats:
    out: Floats = d - d.mean(axis=0) - d.mean(axis=1)[:, None] + d.mean()
    return out


def _u_centred(d: Floats) -> Floats:
    n = len(d)
    row = d.sum(axis=0) / (n - 2)
    out: Floats = d - row - row[:, None] + d.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(out, 0.0)
    return out


def distance_test(positives: Array, totals: Array) -> DistanceTest | None:
    """Distance correlation of a field and a binary label, values being equal or not, over all rows from counts alone.

    The p-value presumes that rows may be shuffled.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        The test; None where no order of the rows differs from another as all, or all but one, are equally far from each
        other in the field or the label (one value, one class, a value of its own in every row), or there are fewer than
        4 rows.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> test = distance_test(np.array([30, 5]), np.array([100, 100]))
        >>> round(test.value, 6), round(test.z, 1), test.p_value < 1e-5
        (0.328976, 14.7, True)
    """
    yes, rows = contingency(positives, totals)
    n, positive = int(rows.sum()), int(yes.sum())
    if n < 4 or positive in (0, n) or rows.size < 2 or rows.max() == 1:
        return None
    label_rows = np.array([positive, n - positive], dtype=np.int64)
    field, label = _own(rows), _own(label_rows)
    if field.squares <= 0 or label.squares <= 0:
        return None
    a, b = rows / n, label_rows / n
    between = 2.0 * float(((yes / n - a * (positive / n)) ** 2).sum())
    value = np.sqrt(between / np.sqrt(_plug_in_variance(a) * _plug_in_variance(b)))
    # Whole numbers to the end: what is left of terms of n^4 may be the one pair of rows that share a value.
    no = rows - yes
    same = int((yes * (yes - 1) + no * (no - 1)).sum())
    near = int(((rows - 1) * yes).sum()) * (positive - 1) + int(((rows - 1) * no).sum()) * (n - positive - 1)
    both = same * (n - 1) * (n - 2) - 2 * (n - 1) * near + field.pairs * label.pairs
    corrected = both / ((n - 1) * (n - 2)) / math.sqrt(field.squares) / math.sqrt(label.squares)
    z = corrected * math.sqrt(n * (n - 3) / 2)
    return DistanceTest(value=float(value), corrected=corrected, z=z, p_value=_tail(z, field, label, n))


def _plug_in_variance(share: Floats) -> float:
    """Return the squared distance variance of a field, ``sum_ij (a_i [i = j] - a_i a_j)^2``."""
    square = float((share**2).sum())
    return float((share**2 * (1.0 - share) ** 2).sum()) + square**2 - float((share**4).sum())


def _tail(z: float, field: _Own, label: _Own, n: int) -> float:
    """Return P(Z >= z) of a gamma distribution with mean 0, variance 1 and the skewness under shuffled labels.

    The third moment has two terms that do not vanish: triangles of rows, which make it the limit's sum of squares, and
    one pair of rows three times, which rules where values have few rows. The others are smaller by 1 / n.
    """
    variance = 2.0 * field.squares * label.squares / (n * (n - 3))
    third = 8.0 * field.triangles * label.triangles / (n * (n - 1.0) * (n - 2.0))
    third += 4.0 * field.cubes * label.cubes / (n * (n - 1.0))
    skewness = third / variance**1.5
    if skewness <= 1e-6:
        return float(special.ndtr(-z))
    root = 2.0 / skewness
    point = root * root + z * root
    return 1.0 if point <= 0 else float(special.gammaincc(root * root, point))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """Sums over the entries of the U-centred matrix of "same value".

    Attributes:
        pairs: Ordered pairs of different rows that share a value.
        squares: Sum of the squares of the entries; 0 only where they are all 0.
        cubes: Sum of the cubes.
        triangles: Trace of the cube of the matrix.
    """

    pairs: int
    squares: float
    cubes: float
    triangles: float


def _own(totals: Array) -> _Own:
    """Work the sums out in whole numbers, with all entries times ``(n - 1) (n - 2)``.

    An entry then is ``[same value] scale - u_k - u_l + c``, and 0 on the diagonal: the matrix of "same value", plus one
    of rank 2, minus a diagonal ``d``.
    """
    values, repeats = np.unique(totals, return_counts=True)
    a, times = values.astype(object), repeats.astype(object)
    n = int((a * times).sum())
    scale = (n - 1) * (n - 2)
    pairs = int((times * a * (a - 1)).sum())
    near = int((times * a * (a - 1) ** 2).sum())
    squares = (pairs * scale - 2 * (n - 1) * near + pairs**2) / scale
    u, c = (a - 1) * (n - 1), pairs
    m1, m2, m3 = (int((times * a * u**k).sum()) for k in (1, 2, 3))
    anywhere = c**3 * n**2 - 6 * c**2 * m1 * n + 6 * c * (m2 * n + m1**2) - 2 * m3 * n - 6 * m1 * m2
    inside = times * (a * (a - 1) * (scale + c - 2 * u) ** 3 - a**2 * (c - 2 * u) ** 3)
    basis, middle = np.stack([u**0, u], axis=1), np.array([[c, -1], [-1, 0]], dtype=object)
    one, two, three = (middle @ (basis.T @ (basis * (times * a**k)[:, None])) for k in (1, 2, 3))
    low_rank = 3 * scale**2 * np.trace(three) + 3 * scale * np.trace(two @ one) + np.trace(one @ one @ one)
    d = scale - 2 * u + c
    row = n * (u - c) ** 2 + 2 * (u - c) * m1 + m2 - 2 * scale * a * (2 * u - c) + scale**2 * a
    filled = scale**3 * int((times * a**3).sum()) + low_rank
    triangles = filled - 3 * int((times * a * d * row).sum()) + 2 * int((times * a * d**3).sum())
    return _Own(
        pairs=pairs,
        squares=squares,
        cubes=(anywhere + int(inside.sum())) / scale**3,
        triangles=int(triangles) / scale**3,
    )
