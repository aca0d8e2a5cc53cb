r"""What two fields tell about each other, and what one still tells about a label when the other is known.

All from the counts of occupied cells. Plug-in information grows with the number of values of both fields, so every value
stands beside its mean under a null:

* Two fields, ``I(A; B) = ln n + (sum n_ij ln n_ij - sum a_i ln a_i - sum b_j ln b_j) / n``. Null: the values of one field
  are shuffled over the rows; its mean and deviation are those of ``chance_table``.
* One field and a label given another, ``I(F; Y | S) = H(Y | S) - H(Y | S, F) = I(F, S; Y) - I(S; Y)``. Null: labels are
  shuffled among the rows of each value of S. The positives of a cell are then hypergeometric within the value of S, and
  the mean is exact, whatever the number of values: a value of S with one row tells nothing and is expected to.

References:
    Vinh, Epps and Bailey (2010), "Information theoretic measures for clusterings comparison" (adjusted value); Cover
    and Thomas (2006), "Elements of information theory", section 2.5 (chain rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._association_loops import conditional_sums, n_log_n, sum_n_log_n
from ctrsel.stats._checks import Array, counts
from ctrsel.stats.chance_table import ChanceTable
from ctrsel.stats.information import entropy
from ctrsel.stats.joint import JointCounts

__all__ = [
    "Association",
    "ConditionalInformation",
    "Norm",
    "association",
    "conditional_information",
    "joint_information",
    "normalised",
]

Norm = Literal["mean", "max", "min", "sqrt"]

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
