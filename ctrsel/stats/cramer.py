"""Cramer's V between fields of many values, with the part that chance explains taken out exactly.

References:
    Cramer (1946), "Mathematical methods of statistics", section 21.9 (V); Bergsma (2013), "A bias-correction for
    Cramer's V and Tschuprow's T" (the correction: chi-square less its mean under shuffled rows, over the range that is
    left).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats
from ctrsel.stats._cramer_loops import chi_square_share

__all__ = ["cramers_v", "cramers_v_matrix"]


def cramers_v(left: Array, right: Array) -> float:
    """Bias-corrected Cramer's V of two columns of codes.

    Shape:
        ``left`` and ``right`` ``[N]``.

    Args:
        left: Codes of one field.
        right: Codes of the other field, in the same rows.

    Returns:
        A number in [0, 1]: about 0 for independent fields of any number of values, 1 for the same partition of the
        rows; 0 where a field is constant or has a value of its own in every row, as no order of the rows differs from
        another.

    Raises:
        DataError: columns of different lengths.

    Examples:
        >>> cramers_v(np.array([0, 0, 1, 1, 2, 2]), np.array([5, 5, 3, 3, 4, 4]))
        1.0
        >>> cramers_v(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
        0.0
    """
    return float(cramers_v_matrix([left, right])[0, 1])


def cramers_v_matrix(columns: Sequence[Array]) -> Floats:
    """Bias-corrected Cramer's V of all pairs of columns.

    Every pair costs two passes over the rows, which are ordered by one of the fields; no table of cells is built, so
    fields of many values cost no more than others.

    Shape:
        ``columns`` F arrays ``[N]``, the result ``[F, F]``.

    Args:
        columns: Codes of each field, whole numbers.

    Returns:
        A symmetric matrix of numbers in [0, 1], with 1 on the diagonal.

    Raises:
        DataError: columns of different lengths.

    Examples:
        >>> cramers_v_matrix([np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0])])
        array([[1., 1.],
               [1., 1.]])
    """
    lengths = {len(c) for c in columns}
    if len(lengths) > 1:
        raise DataError(f"columns must have one length, got {sorted(lengths)}")
    rows = lengths.pop() if lengths else 0
    out = np.eye(len(columns))
    dense = [np.unique(np.asarray(c), return_inverse=True)[1].astype(np.int64) for c in columns]
    counts = [np.bincount(c) for c in dense]
    for i, codes in enumerate(dense):
        order = np.argsort(codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts[i])])
        for j in range(i + 1, len(dense)):
            share = chi_square_share(order, starts, dense[j], counts[j]) - 1.0
            out[i, j] = out[j, i] = _corrected(share, len(counts[i]), len(counts[j]), rows)
    return out


def _corrected(share: float, left: int, right: int, rows: int) -> float:
    """Return V from chi-square over the number of rows."""
    if min(left, right) < 2 or max(left, right) == rows:
        return 0.0
    excess = share - (left - 1) * (right - 1) / (rows - 1)
    # k~ - 1 = (k - 1) - (k - 1)^2 / (n - 1)
    room = min((k - 1) * (rows - k) / (rows - 1) for k in (left, right))
    # Rounding of the sum over rows is no association.
    return float(np.sqrt(min(excess / room, 1.0))) if excess > 1e-12 * (1.0 + share) else 0.0
