"""Loop of Cramer's V: squares of cell counts over those expected, without a table of cells."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Ints
from ctrsel.stats._kernel import kernel

__all__ = ["chi_square_share"]


@kernel
def chi_square_share(order: Ints, starts: Ints, codes: Ints, counts: Ints) -> float:
    """Sum over cells of ``n_ij^2 / (a_i b_j)``, which is chi-square / N + 1.

    Args:
        order: Rows in the order of the first field's values ``[N]``.
        starts: Where each of its values begins in ``order``, and N ``[A + 1]``.
        codes: The second field's codes ``[N]``.
        counts: Its rows per code ``[B]``, all above 0.
    """
    seen = np.zeros(counts.size, dtype=np.int64)
    total = 0.0
    for value in range(starts.size - 1):
        first, last = starts[value], starts[value + 1]
        part = 0.0
        for at in range(first, last):
            code = codes[order[at]]
            # (c + 1)^2 - c^2: the square grows with every row, so the cell need not be visited again.
            part += (2 * seen[code] + 1) / counts[code]
            seen[code] += 1
        for at in range(first, last):
            seen[codes[order[at]]] = 0
        total += part / (last - first)
    return total
