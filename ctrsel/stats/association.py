r"""What two fields tell about each other, and what one still tells about a label when the other is known.

All from the counts of occupied cells. Plug-in information grows with the number of values of both fields, so every value
stands beside its mean under a null:

* Two fields, ``I(A; B) = ln n + (sum n_ij ln n_ij - sum a_i ln a_i - sum b_j ln b_j) / n``. Null: the values of one field
  are shuffled over the rows. Every ``n_ij`` is then hypergeometric, so the mean is ``sum_ij E[x ln(x n / (a_i b_j))] / n``
  (Vinh, Epps and Bailey 2010).
  The variance is that of the terms' expansion in orthonormal polynomials, as in ``permutation``, for both margins.
* One field and a label given another, ``I(F; Y | S) = H(Y | S) - H(Y | S, F) = I(F, S; Y) - I(S; Y)``. Null: labels are
  shuffled among the rows of each value of S. The positives of a cell are then hypergeometric within the value of S, and
  the mean is exact, whatever the number of values: a value of S with one row tells nothing and is expected to.

Cost. The first mean depends on the rows per value only. Fields of few distinct counts are summed exactly. Others go
through a table of the terms at about 40 counts for each power of ten, between which six-point Lagrange interpolation
in ``ln(a / (n - a))`` is used; counts up to 32 are table points. `ChanceTable` makes that table once for any number of
fields of the same rows, and a pair then costs one product of two vectors. Relative error: at most 1e-6, usually 1e-9
(tests compare both ways).

References:
    Vinh, Epps and Bailey (2010), "Information theoretic measures for clusterings comparison" (mean, adjusted value); Cover
    and Thomas (2006), "Elements of information theory", section 2.5 (chain rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._association_loops import conditional_sums, n_log_n, null_terms, sum_n_log_n
from ctrsel.stats._checks import Array, Floats, Ints, counts
from ctrsel.stats.information import entropy
from ctrsel.stats.joint import JointCounts

__all__ = [
    "Association",
    "ChanceTable",
    "ConditionalInformation",
    "Norm",
    "association",
    "conditional_information",
    "expected_association",
    "joint_information",
    "normalised",
]

Norm = Literal["mean", "max", "min", "sqrt"]

_EXACT_COUNTS = 32  # counts up to here, and as far from n, are points of the table
_POINTS = 6  # of the interpolation
_STEP = 0.06  # between points, in ln(a / (n - a))
_EXACT_TERMS = 4096  # up to so many pairs of distinct counts are summed one by one
_ROUNDING = 1e-8  # of the entropy: less than this is interpolation
_SMALL = 4096  # counts whose n ln n is looked up; the table stays in the first cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """Information of two fields about each other, against the same fields with shuffled rows.

    Attributes:
        value: Plug-in mutual information, nats.
        expected: Its mean when the values of one field are shuffled over the rows, nats.
        excess: ``value - expected``, nats: 0 on average for fields that have nothing to do with each other.
        deviation: Standard deviation under shuffling, nats (approximate, see :meth:`ChanceTable.null`).
        normalised: Share of what there is to tell, see :func:`normalised`; 1 for two names of one field.
        rows: Number of rows.
    """

    value: float
    expected: float
    excess: float
    deviation: float
    normalised: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalInformation:
    """What a field tells about the label when another one is known.

    Attributes:
        value: Plug-in ``I(F; Y | S)``, nats.
        expected: Its mean when labels are shuffled among the rows of each value of S, nats.
        excess: ``value - expected``, nats: 0 on average for a field that adds nothing to S, and 0 where no shuffle
            changes anything.
        deviation: Standard deviation under that shuffling, nats; its variance is the sum over the values of S of that
            of ``permutation``, in two degrees.
    """

    value: float
    expected: float
    excess: float
    deviation: float


def joint_information(joint_totals: Array, totals_a: Array, totals_b: Array) -> float:
    """Plug-in mutual information of two fields from the rows of their occupied cells and of their values, in nats.

    Shape:
        ``[M]``, ``[K]`` and ``[L]``, in any order of cells and values.

    Examples:
        >>> round(joint_information(np.array([2, 2]), np.array([2, 2]), np.array([2, 2])), 6)
        0.693147
    """
    cells, a, b = counts("joint_totals", joint_totals), counts("totals_a", totals_a), counts("totals_b", totals_b)
    rows = int(cells.sum())
    if rows != a.sum() or rows != b.sum():
        raise DataError(f"cells and values must have the same rows, got {rows}, {a.sum()} and {b.sum()}")
    if rows == 0:
        return 0.0
    small = n_log_n(_SMALL)
    sums = sum_n_log_n(cells, small) - sum_n_log_n(a, small) - sum_n_log_n(b, small)
    return max(float(np.log(rows)) + sums / rows, 0.0)


def normalised(value: float, expected: float, entropy_a: float, entropy_b: float, *, norm: Norm = "mean") -> float:
    """Share ``(I - E[I]) / (norm(H_a, H_b) - E[I])``, at least 0 and at most 1.

    Args:
        value: Plug-in information of the two fields, nats.
        expected: Its mean under shuffling, nats.
        entropy_a: Entropy of one field, nats.
        entropy_b: Entropy of the other, nats.
        norm: What the most there is to tell is: "mean", "max", "min" or "sqrt" (geometric mean) of both entropies.

    Returns:
        0 where there is nothing that chance would not tell (a constant field, a value of its own in every row).

    Examples:
        >>> normalised(0.5, 0.1, 0.9, 0.9)
        0.5
    """
    if entropy_a == 0.0 or entropy_b == 0.0:
        return 0.0
    most = {
        "mean": (entropy_a + entropy_b) / 2,
        "max": max(entropy_a, entropy_b),
        "min": min(entropy_a, entropy_b),
        "sqrt": float(np.sqrt(entropy_a * entropy_b)),
    }[norm]
    told, room = value - expected, most - expected
    # Where chance tells all but rounding, a share of what is left has no meaning.
    return min(told / room, 1.0) if room > _ROUNDING * most and told > _ROUNDING * most else 0.0


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


def association(joint: JointCounts, *, norm: Norm = "mean") -> Association:
    """Information of two fields about each other with what chance explains taken out; labels play no part.

    Args:
        joint: Counts of two fields.
        norm: See :func:`normalised`.

    Raises:
        DataError: the counts are not those of two fields.

    Examples:
        >>> from ctrsel.stats.joint import joint_counts
        >>> column = np.arange(60) % 3
        >>> found = association(joint_counts([column, 2 - column], column > 1, sizes=(3, 3)))
        >>> found.normalised, round(found.value, 4)
        (1.0, 1.0986)
    """
    if len(joint.sizes) != 2:
        raise DataError(f"the association is that of two fields, got counts of {len(joint.sizes)}")
    a, b = joint.marginal(0).totals, joint.marginal(1).totals
    table = ChanceTable(joint.rows)
    value, (expected, deviation) = joint_information(joint.totals, a, b), table.null(table.weights(a), table.weights(b))
    return Association(
        value=value,
        expected=expected,
        excess=value - expected,
        deviation=deviation,
        normalised=normalised(value, expected, entropy(a), entropy(b), norm=norm),
        rows=joint.rows,
    )


def conditional_information(joint: JointCounts, *, given: int = 0) -> ConditionalInformation:
    """What the other fields of a joint count tell about the label when one of them is known.

    Args:
        joint: Counts of two or more fields with labels.
        given: Place of the known field S; the others, taken together, are F. The first place is the fastest.

    Raises:
        DataError: the counts are those of one field, or have no such place.

    Examples:
        >>> from ctrsel.stats.joint import joint_counts
        >>> a, b = np.arange(400) % 2, np.arange(400) // 2 % 2
        >>> found = conditional_information(joint_counts([a, b], a ^ b, sizes=(2, 2)))
        >>> round(found.value, 4), found.excess > 0.68
        (0.6931, True)
    """
    if len(joint.sizes) < 2 or not 0 <= given < len(joint.sizes):
        raise DataError(f"one of at least two fields must be known, got place {given} of {len(joint.sizes)}")
    rows = joint.rows
    if rows == 0:
        return ConditionalInformation(value=0.0, expected=0.0, excess=0.0, deviation=0.0)
    totals, positives = joint.totals, joint.positives
    if given == 0:
        group = (joint.cells // np.uint64(prod(joint.sizes[1:]))).astype(np.int64)  # rising, as cells are
    else:
        group = joint.codes(given)
        order = np.argsort(group, kind="stable")
        group, totals, positives = group[order], totals[order], positives[order]
    observed, expected, variance = conditional_sums(group, totals, positives, n_log_n(_SMALL))
    # Below this the variance is rounding: no shuffle changes the table.
    deviation = float(np.sqrt(variance)) / rows if variance > _ROUNDING else 0.0
    value, mean = max(observed / rows, 0.0), max(expected / rows, 0.0)
    excess = value - mean if deviation else 0.0
    return ConditionalInformation(value=value, expected=mean, excess=excess, deviation=deviation)
