"""What chance alone makes two fields tell about each other: the null of ``association``, from the rows per value.

Null: the values of one field are shuffled over the rows. Every count ``n_ij`` is then hypergeometric, so the mean of the
plug-in information is ``sum_ij E[x ln(x n / (a_i b_j))] / n`` (Vinh, Epps and Bailey 2010).
The variance is that of the terms' expansion in orthonormal polynomials, as in ``permutation``, for both margins.

Cost. The mean depends on the rows per value only. Fields of few distinct counts are summed exactly. Others go
through a table of the terms at about 40 counts for each power of ten, between which six-point Lagrange interpolation
in ``ln(a / (n - a))`` is used; counts up to 32 are table points. `ChanceTable` makes that table once for any number of
fields of the same rows, and a pair then costs one product of two vectors. Relative error: at most 1e-6, usually 1e-9
(tests compare both ways).

References:
    Vinh, Epps and Bailey (2010), "Information theoretic measures for clusterings comparison" (mean).
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._association_loops import null_terms
from ctrsel.stats._checks import Array, Floats, Ints, counts

__all__ = ["ChanceTable", "expected_association"]

_EXACT_COUNTS = 32  # counts up to here, and as far from n, are points of the table
_POINTS = 6  # of the interpolation
_STEP = 0.06  # between points, in ln(a / (n - a))
_EXACT_TERMS = 4096  # up to so many pairs of distinct counts are summed one by one


def _distinct(totals: Array) -> tuple[Ints, Ints]:
    rows = counts("totals", totals)
    values, repeats = np.unique(rows[rows > 0], return_counts=True)
    return values, repeats.astype(np.int64)


def expected_association(totals_a: Array, totals_b: Array) -> float:
    """Mean of the plug-in information of two fields when the values of one are shuffled over the rows, in nats.

    Shape:
        ``[K]`` and ``[L]``.

    Args:
        totals_a: Rows per value of one field.
        totals_b: Rows per value of the other; the same rows in all.

    Returns:
        Nats; 0 for a constant field, the other's entropy for a field with a value of its own in every row. Exact up to
        4,096 pairs of distinct counts; beyond, interpolated (see the module's text).

    Raises:
        DataError: negative or fractional counts, or different numbers of rows.

    Examples:
        >>> round(expected_association(np.array([4, 3, 3]), np.array([5, 5])), 12)
        0.135750605902
    """
    (a, repeats_a), (b, repeats_b) = _distinct(totals_a), _distinct(totals_b)
    rows = int((a * repeats_a).sum())
    if rows != int((b * repeats_b).sum()):
        raise DataError(f"both fields must have the same rows, got {rows} and {int((b * repeats_b).sum())}")
    if repeats_a.sum() < 2 or repeats_b.sum() < 2:
        return 0.0
    if a.size * b.size > _EXACT_TERMS:
        table = ChanceTable(rows)
        return table.expected(table.weights(totals_a), table.weights(totals_b))
    return max(float(repeats_a @ null_terms(a, b, rows, False)[0] @ repeats_b) / rows, 0.0)


class ChanceTable:
    """Means of plug-in information under shuffling, for any two fields of the same rows.

    Attributes:
        rows: Number of rows n.
        points: Counts at which the terms are known, rising from 1 to n.

    Shape:
        A field's weights are ``[P]``, P the number of points.

    Examples:
        >>> table = ChanceTable(10)
        >>> one, other = table.weights(np.array([4, 3, 3])), table.weights(np.array([5, 5]))
        >>> round(table.expected(one, other), 12)
        0.135750605902
    """

    __slots__ = ("_known", "_terms", "points", "rows")

    def __init__(self, rows: int) -> None:
        """Choose the points; terms are worked out when the first field is weighed and kept.

        Args:
            rows: Number of rows that every field has.
        """
        self.rows = rows
        self.points = _points(rows)
        self._known = 0
        self._terms: Floats = np.zeros((2, 0, 0))

    def weights(self, totals: Array) -> Floats:
        """Return how much each point of the table counts for a field.

        Raises:
            DataError: negative or fractional counts, or another number of rows.
        """
        values, repeats = _distinct(totals)
        if int((values * repeats).sum()) != self.rows:
            raise DataError(f"a field of this table has {self.rows} rows, got {int((values * repeats).sum())}")
        out = np.zeros(self.points.size)
        if values.size == 0:
            return out
        place = np.searchsorted(self.points, values)
        hit = self.points[place] == values
        np.add.at(out, place[hit], repeats[hit])
        far, counted = values[~hit], repeats[~hit].astype(np.float64)
        if far.size:
            start = np.clip(place[~hit] - _POINTS // 2, 0, self.points.size - 1 - _POINTS)  # never the point n
            at = start[:, None] + np.arange(_POINTS)
            x, u = _scale(self.points[at], self.rows), _scale(far, self.rows)[:, None]
            for j in range(_POINTS):
                others = np.delete(x, j, axis=1)
                share = ((u - others) / (x[:, [j]] - others)).prod(axis=1)
                np.add.at(out, at[:, j], counted * share)
        return out

    def expected(self, one: Floats, other: Floats) -> float:
        """Return the mean information of two weighed fields, in nats."""
        return self.null(one, other)[0]

    def null(self, one: Floats, other: Floats) -> tuple[float, float]:
        """Return mean and standard deviation of the information of two weighed fields, in nats.

        The mean is exact up to interpolation. The variance has the covariances of all cells in the first two degrees
        of their orthonormal polynomials, as the margins give them, and of higher degrees what each cell has alone.
        """
        used = np.flatnonzero((one != 0) | (other != 0))
        need = int(used[-1]) + 1 if used.size else 0
        if need > self._known:
            points = self.points[:need]
            self._terms = null_terms(points, points, self.rows, True)
            self._known = need
        a, b, terms = one[:need], other[:need], self._terms[:, :need, :need]
        mean, variance = float(a @ terms[0] @ b), float(a @ terms[3] @ b)
        left = self.rows - self.points[:need]
        odds = np.divide(
            self.points[:need], left, out=np.zeros(need), where=left > 0
        )  # a constant field's are not used
        # Two values of one field correlate by -sqrt(odds odds'), and cells by the product over both fields: in degree d,
        # the power d of it, a diagonal and a product of two vectors.
        for degree, coefficient in ((1, terms[1]), (2, terms[2])):
            sign, u = (-1.0) ** degree, odds ** (degree / 2)
            own = 1.0 - sign * u * u
            variance += float((a * own) @ coefficient**2 @ (b * own))
            variance += sign * float((a * own) @ (coefficient @ (b * u)) ** 2)
            variance += sign * float((b * own) @ (coefficient.T @ (a * u)) ** 2)
            variance += float((a * u) @ coefficient @ (b * u)) ** 2
        return max(mean, 0.0) / max(self.rows, 1), float(np.sqrt(max(variance, 0.0))) / max(self.rows, 1)


def _scale(values: Ints, rows: int) -> Floats:
    return np.asarray(np.log(values / (rows - values)))


def _points(rows: int) -> Ints:
    if rows <= 2 * _EXACT_COUNTS + _POINTS:
        return np.arange(1, rows + 1)
    edge = float(np.log(_EXACT_COUNTS / (rows - _EXACT_COUNTS)))
    between = np.linspace(edge, -edge, int(np.ceil(-2 * edge / _STEP)) + 1)
    share = 1.0 / (1.0 + np.exp(-between))
    ends = np.arange(1, _EXACT_COUNTS + 1)
    return np.unique(np.concatenate([ends, np.rint(share * rows).astype(np.int64), rows - ends, [rows]]))
