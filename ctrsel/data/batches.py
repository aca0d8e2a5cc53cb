"""Batches: a pure function of the table, the split, the seed, the epoch, the shard and the part.

Where the rows come from does not change what a batch holds: a matrix in memory or blocks on disk (`rows`), or, in table
order, the columns themselves. The order of the rows is that of the seed and of the kind of `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.rows import Batch, RowMatrix, Rows, in_order
from ctrsel.data.table import Table
from ctrsel.records.feature_set import OTHER

__all__ = ["Batch", "batches", "part_of"]


def part_of(n: int, which: int, of: int) -> tuple[int, int]:
    """Return where the part `[start, stop)` of `n` rows starts and stops; parts differ by one row at most.

    Examples:
        >>> [part_of(7, i, 3) for i in range(3)]
        [(0, 2), (2, 4), (4, 7)]
    """
    return n * which // of, n * (which + 1) // of


def batches(
    table: Table,
    split: str | None,
    *,
    size: int,
    seed: int | None = None,
    epoch: int = 0,
    shard: tuple[int, int] = (0, 1),
    part: tuple[int, int] = (0, 1),
    other_share: float = 0.0,
    rows: Rows | None = None,
    start: int = 0,
) -> Iterator[Batch]:
    """Yield batches of a split.

    Args:
        table: The rows.
        split: Which split; None for all rows.
        size: Rows a batch; the last may be smaller and is never dropped.
        seed: Of the shuffle; None for table order, which reads slices of the columns as it goes.
        epoch: Each epoch has its own order.
        shard: (which, of how many): batch i belongs to shard i mod of-how-many.
        part: (which, of how many): of each batch these rows only; the parts behind each other are the batch. A part of
            a small batch may have no rows.
        other_share: Share of the occurrences that is sent to `OTHER`, in fields where no training row has that code:
            a value that is new when serving then meets a trained row. 0 for evaluation.
        rows: Where a shuffle takes the split's rows from, kept over the epochs by the caller; None to build a
            `RowMatrix` for this epoch.
        start: The first batch, counted over all shards: what would have come before it is not read.

    Raises:
        ConfigError: If the size, the shard, the part, the share or the start is out of range, or `rows` are those of others.
    """
    which, of = shard
    in_range = 0 <= which < of and 0 <= part[0] < part[1]
    if size < 1 or not in_range or not 0 <= other_share < 1 or start < 0:
        raise ConfigError(
            "batches: need size >= 1, shard and part in range, 0 <= other_share < 1 and start >= 0, got "
            f"{size}, {shard}, {part}, {other_share}, {start}"
        )
    if rows is not None and (rows.table is not table or rows.split != split):
        raise ConfigError(f"batches: the rows given are those of the split {rows.split!r} of a table, not of {split!r}")
    span = table.span(split) if split is not None else slice(0, table.n_rows)
    n = span.stop - span.start
    numbers = [i for i in range(start, -(-n // size)) if i % of == which]
    whole = [(i * size, min((i + 1) * size, n)) for i in numbers]
    cuts = [part_of(stop - first, *part) for first, stop in whole]
    places = [(first + a, first + b) for (first, _), (a, b) in zip(whole, cuts, strict=True)]
    if seed is None:
        stream = in_order(table, span, places)
    else:
        stream = (RowMatrix(table, split) if rows is None else rows).draw(places, seed=seed, epoch=epoch)
    lacking: list[int] = []
    if other_share:
        lacking = [j for j, name in enumerate(table.code_fields) if table.encoder.vocabulary(name).counts[OTHER] == 0]
    if not lacking:
        yield from stream
        return
    other = np.array([table.encoder.offset(table.code_fields[j]) + OTHER for j in lacking], dtype=np.int32)
    for i, batch, (first, stop), (a, b) in zip(numbers, stream, whole, cuts, strict=True):
        draws = generator(seed or 0, "other", epoch, i).random((stop - first, len(lacking)), dtype=np.float32)
        hidden = draws[a:b] < other_share
        codes = batch.codes.copy()
        codes[:, lacking] = np.where(hidden, other, codes[:, lacking])
        yield replace(batch, codes=codes)
