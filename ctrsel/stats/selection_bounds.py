"""How many false selections are to be expected among items that most halves of the rows select.

Reference: Shah and Samworth, "Variable selection with error control: another look at stability selection", 2013, theorem 2.
"""

from __future__ import annotations

import math

__all__ = ["unimodal_factor"]


def unimodal_factor(threshold: float, pairs: int, share: float) -> float:
    """Return C of theorem 2 of Shah and Samworth: expected false selections are at most C q^2 / F; infinite if it is silent.

    Args:
        threshold: Share from which on a field is stable.
        pairs: Of halves.
        share: q / F, of the items that a half selects.

    Examples:
        >>> round(unimodal_factor(0.9, 50, 0.1), 4)
        0.4314
    """
    if threshold > 0.75:
        return 4 * (1 - threshold + 1 / (2 * pairs)) / (1 + 1 / pairs)
    if threshold <= 0.5 + min(share**2, 1 / (2 * pairs) + 0.75 * share**2):
        return math.inf
    slack = 2 * threshold - 1 - 1 / (2 * pairs)
    return 1 / (2 * slack) if slack > 0 else math.inf
