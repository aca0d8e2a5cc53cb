"""Which rows are explained: a sample in which each class keeps its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats.sampling import stratified_sample

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["sample_rows"]


def sample_rows(table: Table, size: int, *, split: str, seed: int) -> np.ndarray:
    """Draw rows of a split, each class of the first label in proportion.

    Args:
        table: A table; one without any split (raw rows to score) is drawn from as a whole.
        size: How many rows; all come back where there are not more.
        split: Which split.
        seed: Of the draw.

    Returns:
        Row numbers in the table, int64, rising.

    Raises:
        DataError: If the table has splits but not this one, or there are no rows.
    """
    span = table.span(split) if table.splits else slice(0, table.n_rows)
    strata = np.zeros(span.stop - span.start) if table.labels is None else table.label()[span]
    if not len(strata):
        raise DataError(f"explain: there are no rows to draw from in {split!r}")
    return stratified_sample(strata, size, seed=seed) + span.start
