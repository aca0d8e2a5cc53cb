"""How much the choices of one selector agree over seeds, beyond chance: a choice that the seed makes is no finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.stats.agreement import selection_stability

__all__ = ["stability_over_seeds"]


def stability_over_seeds(
    sets: Sequence[FeatureSet], *, unit: Literal["values", "fields"], fields: Sequence[str]
) -> float | None:
    """Return the stability of Nogueira et al. (2018) of some choices on one Encoder.

    Args:
        sets: What was kept with each seed.
        unit: What was chosen.
        fields: The names of all fields.

    Returns:
        1 where all are the same, 0 on average for choices at random; None where it is not defined: for fewer than two choices,
        for all or nothing, and where values were merged, so that keeping one says little.
    """
    if len(sets) < 2:
        return None
    if unit == "fields":
        chosen = np.array([[name in s.fields for name in fields] for s in sets])
    else:
        codes = [np.concatenate([s.remaps[v][RESERVED:] for v in sorted(s.remaps)]) for s in sets]
        chosen = np.stack([c != OTHER for c in codes])
        if any(s.n_values < n for s, n in zip(sets, chosen.sum(axis=1).tolist(), strict=True)):
            return None
    try:
        return selection_stability(chosen).value
    except DataError:  # 0/0
        return None
