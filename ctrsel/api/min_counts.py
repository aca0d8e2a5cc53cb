"""Minimum count: from how many training rows on a value deserves a code of its own, as validation has it.

Sizes of a comparison are shares of what is left then: a selector that drops what no model can learn from has done nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.encoder import Encoder
from ctrsel.data.table import Table
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet

__all__ = ["COUNTS", "MinCount", "counted", "covered"]

COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinCount:
    """Which minimum count was best.

    Attributes:
        chosen: It.
        features: What it keeps.
        losses: By minimum count, the validation log-loss, nats per row.
    """

    chosen: int
    features: FeatureSet
    losses: dict[int, float]


def counted(table: Table, count: int, *, always_keep: Sequence[str] = ()) -> FeatureSet:
    """Keep the values of at least so many training rows, and every field.

    Raises:
        ConfigError: If the count is below 1.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> table = tiny_table()
        >>> counted(table, 1).n_values == table.encoder.n_values, counted(table, 1000).n_values
        (True, 0)
    """
    if count < 1:
        raise ConfigError(f"min_counts: must be at least 1, got {count}")
    encoder = table.encoder
    whole = {f.vocabulary for f in encoder.fields if f.name in always_keep and not f.is_float}
    keep = {
        name: np.ones(v.size, dtype=bool) if name in whole else np.asarray(v.counts >= count)
        for name, v in encoder.vocabularies.items()
    }
    return FeatureSet.from_keep(
        keep, fields=table.schema.names, method="min_count", params={"count": count}, encoder=encoder.digest
    )


def covered(encoder: Encoder, features: FeatureSet) -> float:
    """Return the share of the training rows' entries, missing ones aside, whose value has a code of its own.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> table = tiny_table()
        >>> covered(table.encoder, counted(table, 1)), covered(table.encoder, counted(table, 1000))
        (1.0, 0.0)
    """
    kept = total = 0
    for name, vocabulary in encoder.vocabularies.items():
        counts = np.asarray(vocabulary.counts, dtype=np.int64)
        total += int(counts.sum() - counts[MISSING])
        if name in features.remaps:
            own = features.remaps[name] != OTHER
            kept += int(counts[RESERVED:][own[RESERVED:]].sum())
    return kept / total if total else 0.0
