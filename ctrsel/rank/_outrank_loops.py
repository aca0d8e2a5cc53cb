"""The loop behind OutRank's score: what label classes tell about a field, less the same of rows shifted by class size."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._checks import Array, Ints
from ctrsel.stats._kernel import kernel

__all__ = ["shifted_information"]


@kernel
def shifted_information(codes: Array, labels: Array, scratch: Ints) -> float:
    # Nats. `scratch` has a place for every code and is 0 before and after.
    rows = codes.size
    out = 0.0
    for label in range(2):
        size = 0
        for i in range(rows):
            size += labels[i] == label
        if size < 2:
            continue
        for shift in (0, size):
            # sum of k ln k over the values of the class's rows, or of the rows that stand `size` further
            for i in range(rows):
                if labels[i] == label:
                    scratch[codes[(i + shift) % rows]] += 1
            total = 0.0
            for i in range(rows):
                if labels[i] == label:
                    code = codes[(i + shift) % rows]
                    if scratch[code] > 0:
                        total += scratch[code] * np.log(float(scratch[code]))
                        scratch[code] = 0
            # H = ln size - total / size, and the class counts with size / rows
            out += total / rows if shift == 0 else -total / rows
    return out
