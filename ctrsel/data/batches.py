"""Batches: a pure function of the table, the split, the seed, the epoch and the shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged, Table
from ctrsel.records.feature_set import OTHER

__all__ = ["Batch", "batches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows, ready for a net.

    Attributes:
        rows: int64 `[B]`, row numbers in the table.
        codes: int32 `[B, C]`, rows of the one embedding table, in the order of `Table.code_fields`.
        floats: float32 `[B, M]`, standardised by training moments, 0 where missing, in the order of `Table.float_fields`.
        lists: Per list field (offsets int64 `[B + 1]`, rows of the embedding table int32 `[m]`).
        labels: float32 `[B, T]` or None.
        weight: float32 `[B]` or None.
    """

    rows: np.ndarray
    codes: np.ndarray
    floats: np.ndarray
    lists: Mapping[str, tuple[np.ndarray, np.ndarray]]
    labels: np.ndarray | None
    weight: np.ndarray | None


def batches(
    table: Table,
    split: str | None,
    *,
    size: int,
    seed: int | None = None,
    epoch: int = 0,
    shard: tuple[int, int] = (0, 1),
    other_share: float = 0.0,
    matrix: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Yield batches of a split.

    Args:
        table: The rows.
        split: Which split; None for all rows.
        size: Rows a batch; the last may be smaller and is never dropped.
        seed: Of the shuffle; None for table order.
        epoch: Each epoch has its own order.
        shard: (which, of how many): batch i belongs to shard i mod of-how-many.
        other_share: Share of the occurrences that is sent to `OTHER`, in fields where no training row has that code:
            a value that is new when serving then meets a trained row. 0 for evaluation.
        matrix: `table.matrix(split)`, if the caller keeps it over the epochs.

    Raises:
        ConfigError: If the size, the shard or the share is out of range.
    """
    which, of = shard
    if size < 1 or not 0 <= which < of or not 0 <= other_share < 1:
        raise ConfigError(
            f"batches: need size >= 1, shard in range and 0 <= other_share < 1, got {size}, {shard}, {other_share}"
        )
    rows = table.span(split) if split is not None else slice(0, table.n_rows)
    n = rows.stop - rows.start
    codes = table.matrix(split) if matrix is None else matrix
    floats = _floats(table, rows)
    lists = {name: _rows(table, name, rows) for name in table.list_fields}
    offsets = {name: table.encoder.offset(name) for name in table.list_fields}
    order = np.arange(n) if seed is None else generator(seed, "batches", epoch).permutation(n)
    lacking = [j for j, name in enumerate(table.code_fields) if table.encoder.vocabulary(name).counts[OTHER] == 0]
    other = np.array([table.encoder.offset(table.code_fields[j]) + OTHER for j in lacking], dtype=np.int32)
    for i, start in enumerate(range(0, n, size)):
        if i % of != which:
            continue
        picked = order[start : start + size]
        some = codes[picked]
        if other_share and lacking:
            hidden = (
                generator(seed or 0, "other", epoch, i).random((len(picked), len(lacking)), dtype=np.float32)
                < other_share
            )
            some[:, lacking] = np.where(hidden, other, some[:, lacking])
        taken = {name: column.take(picked) for name, column in lists.items()}
        yield Batch(
            rows=picked + rows.start,
            codes=some,
            floats=floats[picked],
            lists={name: (t.offsets, t.codes.astype(np.int32) + np.int32(offsets[name])) for name, t in taken.items()},
            labels=None if table.labels is None else np.asarray(table.labels[rows][picked]),
            weight=None if table.weight is None else table.weight[rows][picked].astype(np.float32),
        )


def _floats(table: Table, rows: slice) -> np.ndarray:
    names = table.float_fields
    out = np.empty((rows.stop - rows.start, len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        column = table.columns[name]
        assert isinstance(column, np.ndarray)
        mean, spread = table.encoder.moments[name]
        out[:, j] = np.nan_to_num((column[rows] - np.float32(mean)) / np.float32(spread), nan=0.0)
    return out


def _rows(table: Table, name: str, rows: slice) -> Ragged:
    column = table.columns[name]
    assert isinstance(column, Ragged)
    return column if rows == slice(0, table.n_rows) else column.take(np.arange(rows.start, rows.stop))
