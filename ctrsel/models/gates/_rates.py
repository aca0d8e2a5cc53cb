"""How fast a gate has to move for a search to decide anything."""

from __future__ import annotations

from ctrsel.models.gates._contract import SearchPlan

__all__ = ["rate_for"]

_FASTEST = 0.1  # of Adam's rates: beyond it a few steps decide


def rate_for(plan: SearchPlan, way: float, *, moves: float, rate: float | None) -> float:
    """Return a rate of Adam with which a parameter can go `way` in so many moves, since no move is longer than the rate.

    Args:
        plan: Of the search.
        way: How far.
        moves: How often the parameter is moved.
        rate: Returned if it is given.

    Examples:
        >>> import numpy as np
        >>> plan = SearchPlan(total_codes=9, reserved=np.arange(3), train_rows=100, steps=500, learning_rate=1e-3)
        >>> rate_for(plan, 5.0, moves=200, rate=None), rate_for(plan, 5.0, moves=10**6, rate=None)
        (0.025, 0.001)
        >>> rate_for(plan, 5.0, moves=2, rate=None), rate_for(plan, 5.0, moves=200, rate=0.5)
        (0.1, 0.5)
    """
    if rate is not None:
        return rate
    return min(max(plan.learning_rate, way / max(moves, 1.0)), max(_FASTEST, plan.learning_rate))
