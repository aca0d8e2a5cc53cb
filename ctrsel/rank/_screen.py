"""How many rows a screen of pairs needs to see an effect of a stated size."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array

__all__ = ["evenness", "screen_rows"]


def evenness(totals: Array) -> float:
    """Return the chance that two rows share their value, ``sum (n_v / N)^2``; 1 / V for V even values."""
    rows = np.asarray(totals, dtype=np.float64)
    return float((rows**2).sum() / max(rows.sum(), 1.0) ** 2)


def screen_rows(shared: Sequence[float], *, detectable: float, power: float, keep_z: float) -> list[int]:
    """Return the rows at which an effect of `detectable` nats passes a screen, for each pair or triple.

    Of m rows, m^2 s / 2 pairs of rows share a cell, where s is the chance that two rows do. An effect of d nats (KL of
    the cells from the additive model) makes two rows of a cell agree with a correlation of 2 d, against a standard
    deviation of 1 per pair of rows. So z is normal with mean 2 d m sqrt(s / 2) and deviation 1, and it exceeds
    `keep_z` with probability `power` from

        m = (keep_z + Phi^-1(power)) / (2 d) * sqrt(2 / s)

    rows on. For two fields that do not depend on each other s is the product of their chances; if they do, s is larger
    and fewer rows would do. For four cells this is one degree of freedom, whose deviate is a little smaller.

    Args:
        shared: s of each.
        detectable: d, nats a row.
        power: Probability.
        keep_z: What passes.
    """
    wanted = (keep_z + float(special.ndtri(power))) / (2.0 * detectable)
    return [ceil(wanted * sqrt(2.0 / max(s, 1e-300))) for s in shared]
