"""Draw rows of a range for a measurement that does not need all of them."""

from __future__ import annotations

import numpy as np

from ctrsel.core.seeds import generator

__all__ = ["spread"]


def spread(rows: slice, *, most: int, purpose: str) -> np.ndarray:
    """Draw at most so many rows, one at a random place of each of as many equal stretches, ascending.

    Rows that lie far apart keep the whole range in view, and reading them in order suits memory-mapped columns.

    Shape:
        int64 `[min(n, most)]`.

    Examples:
        >>> spread(slice(10, 14), most=9, purpose="example").tolist()
        [10, 11, 12, 13]
        >>> len(spread(slice(0, 1000), most=10, purpose="example"))
        10
    """
    n = rows.stop - rows.start
    if n <= most:
        return np.arange(rows.start, rows.stop, dtype=np.int64)
    edges = np.linspace(0, n, most + 1)
    place = edges[:-1] + generator(0, "audit", purpose).random(most) * np.diff(edges)
    return np.asarray(rows.start + np.minimum(place.astype(np.int64), n - 1))
