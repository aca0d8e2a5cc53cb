"""Correct p-values for asking many questions at once.

References:
    Benjamini and Hochberg (1995), "Controlling the false discovery rate", procedure (1), as adjusted p-values;
    Benjamini and Yekutieli (2001), "The control of the false discovery rate under dependency", theorem 1.3.
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats

__all__ = ["benjamini_hochberg", "benjamini_yekutieli"]


def benjamini_hochberg(p_values: Array) -> Floats:
    """False discovery rate at which each question would just be called significant.

    ``q_(i) = min over j >= i of m p_(j) / j``, valid for independent or positively dependent p-values.

    Shape:
        ``[M]`` to ``[M]``, in the order given.

    Args:
        p_values: Numbers in [0, 1]. A question without a p-value is to be left out, not passed as NaN.

    Returns:
        q-values in [0, 1], none below its p-value.

    Raises:
        DataError: a value outside [0, 1] or NaN.

    Examples:
        >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3)
        array([0.03, 0.04, 0.04])
    """
    return _step_up(p_values, factor=1.0)


def benjamini_yekutieli(p_values: Array) -> Floats:
    """False discovery rate that holds under any dependence: the plain one times ``1 + 1/2 + ... + 1/M``.

    Shape:
        ``[M]`` to ``[M]``, in the order given.

    Args:
        p_values: Numbers in [0, 1].

    Returns:
        q-values in [0, 1].

    Raises:
        DataError: a value outside [0, 1] or NaN.

    Examples:
        >>> benjamini_yekutieli(np.array([0.01, 0.04])).round(3)
        array([0.03, 0.06])
    """
    return _step_up(p_values, factor=float((1.0 / np.arange(1, np.size(p_values) + 1)).sum()))


def _step_up(p_values: Array, *, factor: float) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise DataError(f"p-values must be one-dimensional, got shape {p.shape}")
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(f"p-values must lie in [0, 1], got {p[place]} at place {place}")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (factor * p.size) / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
