"""What growing trees takes in memory, before it is taken: trees need all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.memory import available_memory

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.tree_columns import TreeColumns

__all__ = ["boosted_bytes", "check_boosted_memory"]

_SAMPLE = 200_000  # rows that LightGBM makes its bins from
_RARE = 3  # of those rows: rarer categories get no bin
_NUMBERS = 256  # bins of an ordered column at most
_ENTRY = 16  # bytes of a histogram's bin: two float64


def boosted_bytes(table: Table, columns: TreeColumns, *, leaves: int) -> int:
    """Return the bytes that training takes, about (measured within a fifth on 1M rows x 40 columns).

    A float32 cell of the matrix and up to two bytes of LightGBM's own per training row and column; the validation
    matrix twice; and a histogram over all bins for every leaf, which is what counts where fields have many values.
    """
    train, valid = (s.stop - s.start for s in (table.span("train"), table.span("valid")))
    bins = 0
    for j, name in enumerate(columns.owners):
        if j not in columns.categorical:
            bins += _NUMBERS
            continue
        counts = np.sort(table.encoder.vocabulary(name).counts)[::-1]
        total = max(int(counts.sum()), 1)
        covered = int(np.searchsorted(np.cumsum(counts), 0.99 * total)) + 1
        often = int((counts * min(1.0, _SAMPLE / total) >= _RARE).sum())
        bins += min(covered, often)
    cells = len(columns.owners)
    return int(cells * (6 * train + 8 * valid) + 40 * train + leaves * bins * _ENTRY)


def check_boosted_memory(table: Table, columns: TreeColumns, *, leaves: int) -> None:
    """Refuse what does not fit.

    Raises:
        ConfigError: With the bytes that are needed and those that are free.
    """
    need, have = boosted_bytes(table, columns, leaves=leaves), available_memory()
    if need > have:
        raise ConfigError(
            f"boosted: {table.n_rows} rows of {len(columns.owners)} columns need about {need / 2**30:.1f} GiB to grow "
            f"trees, {have / 2**30:.1f} GiB are free; the learner 'net' reads larger tables from disk, or raise "
            "min_count or lower leaves"
        )
