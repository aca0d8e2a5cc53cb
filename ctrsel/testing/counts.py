"""Counts of arrays, for tests, examples and benchmarks of count rankers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ctrsel.rank.counts import FieldCounts, TableCounts
from ctrsel.rank.rows import CodedRows
from ctrsel.stats.counts import label_counts

__all__ = ["counts_of"]


def counts_of(columns: Mapping[str, np.ndarray], labels: np.ndarray, *, seed: int = 0) -> TableCounts:
    """Count columns of whole numbers from 0 and labels of 0 and 1, all of them training rows.

    Examples:
        >>> counts_of({"site": np.array([0, 2, 2])}, np.array([0, 1, 1])).fields["site"].train.totals
        array([1, 0, 2])
    """
    y = np.asarray(labels).astype(np.uint8)
    codes = {name: np.asarray(column).astype(np.uint32) for name, column in columns.items()}
    sizes = {name: int(column.max(initial=0)) + 1 for name, column in codes.items()}
    return TableCounts(
        fields={n: FieldCounts(train=label_counts(c, y, size=sizes[n])) for n, c in codes.items()},
        rows=CodedRows(columns=codes, sizes=sizes, labels=y, row=np.arange(len(y))),
        seed=seed,
    )
