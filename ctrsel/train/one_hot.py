"""A table's rows as one sparse matrix, with the columns of the nets' embedding table: one-hot codes, lists as means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.batches import Batch, batches
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import HIDDEN

if TYPE_CHECKING:
    import scipy.sparse

    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout

__all__ = ["one_hot", "one_hot_bytes"]

_ROWS = 1 << 16  # rows made at once
_ENTRY = 12  # bytes: a float64 and an int32
_VECTORS = 30  # of a number per column: two times ten of L-BFGS, weights, gradients


def one_hot(table: Table, layout: Layout) -> scipy.sparse.csr_array:
    """Return what logistic regression reads, so that a product with weights is what the backbone `lr` gives.

    Shape:
        float64 `[N, V + M]`: V rows of the embedding table, M standardised floats. A list counts as the mean of its
        values, an empty one as `MISSING`; hidden codes count nothing.
    """
    import scipy.sparse

    width = layout.total_codes + len(layout.floats)
    blocks = [_block(batch, layout, width) for batch in batches(table, None, size=_ROWS)]
    out = scipy.sparse.vstack(blocks, format="csr") if blocks else scipy.sparse.csr_array((0, width))
    hidden = np.zeros(width, dtype=bool)
    hidden[layout.rows(HIDDEN)] = True
    out.data[hidden[out.indices]] = 0.0
    out.eliminate_zeros()
    return out


def one_hot_bytes(table: Table) -> int:
    """Estimate the bytes of the training rows' matrix, twice while it is put together, and of L-BFGS."""
    span = table.span("train")
    share = (span.stop - span.start) / max(table.n_rows, 1)
    entries = sum(
        len(c.codes) * share if isinstance(c, Ragged) else span.stop - span.start for c in table.columns.values()
    )
    return int(2 * entries * _ENTRY + (table.encoder.total_codes + len(table.float_fields)) * 8 * _VECTORS)


def _block(batch: Batch, layout: Layout, width: int) -> scipy.sparse.csr_array:
    import scipy.sparse

    rows, single = batch.codes.shape
    floats = np.arange(layout.total_codes, width, dtype=np.int32)
    columns = np.concatenate([batch.codes, np.broadcast_to(floats, (rows, len(floats)))], axis=1)
    values = np.concatenate([np.ones((rows, single)), batch.floats.astype(np.float64)], axis=1)
    starts = np.arange(rows + 1) * columns.shape[1]
    out = scipy.sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(rows, width))
    for name, missing in layout.pooled:
        offsets, codes = batch.lists[name]
        lengths = np.diff(offsets)
        owner = np.concatenate([np.repeat(np.arange(rows), lengths), np.flatnonzero(lengths == 0)])
        taken = np.concatenate([codes, np.full(rows - np.count_nonzero(lengths), missing, dtype=codes.dtype)])
        means = 1.0 / np.maximum(lengths, 1)[owner]
        out = out + scipy.sparse.coo_array((means, (owner, taken)), shape=(rows, width)).tocsr()
    return out
