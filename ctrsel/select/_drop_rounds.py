"""Rounds of dropping: the cheapest values go first, and what the others would cost is told anew by what has gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ctrsel.records.feature_set import RESERVED

__all__ = ["drop_in_rounds"]


def drop_in_rounds(
    cost: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    sizes: Mapping[str, int],
    *,
    share: float,
    least: int,
) -> dict[str, np.ndarray]:
    """Return a score per value: what it costs to drop it, told at the round in which it goes; later rounds score higher.

    Args:
        cost: From which codes are gone, by vocabulary bool `[V]`, to what each code costs `[V]`; those of codes that are gone
            are not read.
        sizes: Codes of each vocabulary, reserved ones included.
        share: Of the values left, how many go in a round; 1 for one round.
        least: As soon as no more values are left, the rest is scored by the last costs.
    """
    names = list(sizes)
    gone = {n: np.zeros(sizes[n], dtype=bool) for n in names}
    scores = {n: np.zeros(sizes[n]) for n in names}
    floor = -np.inf
    while True:
        told = cost(gone)
        left = {n: np.flatnonzero(~gone[n][RESERVED:]) + RESERVED for n in names}
        asked = np.concatenate([np.nan_to_num(told[n][left[n]], nan=-np.inf) for n in names] or [np.zeros(0)])
        number = len(asked)
        done = share >= 1.0 or number <= max(least, 1)
        going = number if done else min(max(int(number * share), 1), number - least)
        limit = np.inf if done else float(np.partition(asked, going - 1)[going - 1])
        for n in names:
            here = told[n][left[n]]
            goes = here <= limit
            # A value that has become cheaper than what went before still goes later.
            scores[n][left[n][goes]] = np.maximum(np.nan_to_num(here[goes], nan=-np.inf), floor)
            gone[n][left[n][goes]] = True
        if done or all(g[RESERVED:].all() for g in gone.values()):
            return scores
        floor = max(floor, limit)
        floor = float(np.nextafter(floor, np.inf))
