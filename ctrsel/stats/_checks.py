"""Check the arrays that enter a statistic, and bring them to the type it is computed in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ctrsel.core.errors import DataError

__all__ = [
    "Array",
    "Bools",
    "Floats",
    "Ints",
    "binary",
    "contingency",
    "counts",
    "finite",
    "row_weight",
    "weighted_contingency",
]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def binary(labels: Array) -> Bools:
    """Labels as booleans.

    Shape: in ``[N]`` of any number type holding 0 and 1, out ``[N]``.

    Raises:
        DataError: a label is neither 0 nor 1, or the array is not one-dimensional.

    Examples:
        >>> binary(np.array([0.0, 1.0]))
        array([False,  True])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise DataError(f"labels must be one-dimensional, got shape {labels.shape}")
    if labels.dtype == np.bool_:
        return labels
    positive: Bools = labels == 1
    wrong = ~positive & (labels != 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"labels must be 0 or 1, got {labels[row]!r} in row {row}")
    return positive


def finite(name: str, values: Array, *, rows: int) -> Floats:
    """Finite numbers of one per row as float64.

    Shape: ``[N]``, where N is ``rows``.

    Raises:
        DataError: the length differs from ``rows``, or a number is not finite.

    Examples:
        >>> finite("scores", np.array([1, 2]), rows=2)
        array([1., 2.])
    """
    out: Floats = np.asarray(values, dtype=np.float64)
    if out.shape != (rows,):
        raise DataError(f"{name} must have shape ({rows},) like the labels, got {out.shape}")
    bad = ~np.isfinite(out)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{name} must be finite, got {out[row]} in row {row}")
    return out


def row_weight(weight: Array | None, *, rows: int) -> Floats | None:
    """Row weights as float64, or None when there are none.

    Shape: ``[N]``, where N is ``rows``.

    Raises:
        DataError: wrong length, a weight that is not finite, or a negative weight.

    Examples:
        >>> row_weight(None, rows=3) is None
        True
    """
    if weight is None:
        return None
    out = finite("weight", weight, rows=rows)
    if rows and out.min() < 0:
        row = int(np.argmin(out))
        raise DataError(f"weight must not be negative, got {out[row]} in row {row}")
    return out


def counts(name: str, values: Array) -> Ints:
    """Non-negative whole counts as int64.

    Shape: ``[K]``.

    Raises:
        DataError: not one-dimensional, not whole numbers, or a negative count.

    Examples:
        >>> counts("totals", np.array([3, 0]))
        array([3, 0])
    """
    values = np.asarray(values)
    if values.ndim != 1:
        raise DataError(f"{name} must be one-dimensional, got shape {values.shape}")
    if values.size and values.dtype.kind not in "iub":
        raise DataError(f"{name} must be whole numbers, got type {values.dtype}")
    out: Ints = values.astype(np.int64, copy=False)
    if out.size and out.min() < 0:
        value = int(np.argmin(out))
        raise DataError(f"{name} must not be negative, got {out[value]} at value {value}")
    return out


def contingency(positives: Array, totals: Array) -> tuple[Ints, Ints]:
    """A value-by-label table as positives and totals per value, values without rows left out.

    Shape: in ``[K]`` and ``[K]``, out ``[V]`` and ``[V]`` with V at most K.

    Raises:
        DataError: different lengths, or more positives than rows for some value.

    Examples:
        >>> contingency(np.array([1, 0, 2]), np.array([4, 0, 2]))
        (array([1, 2]), array([4, 2]))
    """
    yes, all_rows = counts("positives", positives), counts("totals", totals)
    if yes.shape != all_rows.shape:
        raise DataError(f"positives and totals must have one length, got {yes.size} and {all_rows.size}")
    if (yes > all_rows).any():
        value = int(np.argmax(yes > all_rows))
        raise DataError(f"positives must not exceed totals, got {yes[value]} of {all_rows[value]} at value {value}")
    seen = all_rows > 0
    return (yes, all_rows) if seen.all() else (yes[seen], all_rows[seen])


def weighted_contingency(positives: Array, totals: Array) -> tuple[Floats, Floats]:
    """A value-by-label table of sums of weights, values without weight left out.

    Shape: in ``[K]`` and ``[K]``, out ``[V]`` and ``[V]`` with V at most K.

    Raises:
        DataError: different lengths, a negative sum or one that is not finite, or positives that exceed totals by more
            than rounding.

    Examples:
        >>> weighted_contingency(np.array([0.5, 0.0]), np.array([1.5, 0.0]))
        (array([0.5]), array([1.5]))
    """
    yes, total = np.asarray(positives, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if yes.ndim != 1 or yes.shape != total.shape:
        raise DataError(f"positives and totals must be [K] of one length, got {yes.shape} and {total.shape}")
    for name, sums in (("positives", yes), ("totals", total)):
        wrong = ~(np.isfinite(sums) & (sums >= 0))
        if wrong.any():
            value = int(np.argmax(wrong))
            raise DataError(f"{name} must be finite and not negative, got {sums[value]} at value {value}")
    wrong = yes > total * (1 + 1e-9)
    if wrong.any():
        value = int(np.argmax(wrong))
        raise DataError(f"positives must not exceed totals, got {yes[value]} of {total[value]} at value {value}")
    seen = total > 0
    return np.minimum(yes, total)[seen], total[seen]
