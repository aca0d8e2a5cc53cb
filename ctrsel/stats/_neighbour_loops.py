"""Loop of nearest rows: the number of fields in which two rows differ, for all pairs of rows of a sample."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Array, Bools, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["nearest"]


@kernel
def nearest(codes: Array, classes: Bools, same: bool, most: int) -> tuple[Ints, Ints]:
    """Return the nearest rows of each row and their distances ``[M, most]``; -1 where there are not so many.

    Args:
        codes: ``[M, F]`` int32.
        classes: ``[M]``.
        same: Whether neighbours are of the row's own class, or of the other one.
        most: How many; of equally near ones the first ones count.
    """
    rows, fields = codes.shape
    who = np.full((rows, most), -1, dtype=np.int64)
    far = np.full((rows, most), fields + 1, dtype=np.int64)
    for i in range(rows):
        for j in range(rows):
            if j == i or (classes[i] == classes[j]) != same:
                continue
            apart = 0
            for f in range(fields):
                apart += codes[i, f] != codes[j, f]
            if apart >= far[i, most - 1]:
                continue
            at = most - 1
            while at > 0 and far[i, at - 1] > apart:
                far[i, at] = far[i, at - 1]
                who[i, at] = who[i, at - 1]
                at -= 1
            far[i, at] = apart
            who[i, at] = j
    return who, far
