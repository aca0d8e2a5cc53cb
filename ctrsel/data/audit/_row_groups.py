"""Rows that are equal in all fields, as they are coded: one 64-bit hash a row, one sort, and the groups of two or more.

The finaliser of each cell follows Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators"
(SplitMix64). Four bits of a hash are lent to the split, the label and to whether a value is rare, so that any two of n different rows
are taken for equal with a probability of about n^2 / 2^61: 2e-4 for 20M rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit.row_id import RowId
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import OTHER
from ctrsel.stats._kernel import kernel

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["RowGroups", "row_groups", "row_hashes"]

CHUNK = 1 << 18  # rows
SPLITS = ("train", "valid", "test")
_BITS = np.uint64(4)  # of a key below the hash: whether a value is `OTHER`, two for the split, one for the label


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowGroups:
    """Groups of at least two rows that are equal in all fields but the row numbers, over all splits.

    Attributes:
        rows: Rows of a group in train, valid and test, int32 `[G, 3]`.
        positives: Positive rows of a group in train and valid, int32 `[G, 2]`; test labels are not read.
        pooled: Whether the rows of a group hold a rare or unseen value, which has no code of its own, bool `[G]`.
        single: Rows of each split that are like no other row.
        pooled_rows: Rows of each split that hold such a value, in a group or not.
        fields: How many fields were compared.
        left_out: Fields that were not, since they number the rows.
    """

    rows: np.ndarray
    positives: np.ndarray
    pooled: np.ndarray
    single: tuple[int, int, int]
    pooled_rows: tuple[int, int, int]
    fields: int
    left_out: tuple[str, ...]


def row_groups(view: AuditView) -> RowGroups | None:
    """Group equal rows; None if all fields number the rows.

    Memory: 8 bytes a row while the hashes are sorted, and at most 10 bytes a row for the groups.
    """
    left_out = tuple(f.field for f in RowId().check(view) if f.field is not None)
    names = [name for name in view.table.schema.names if name not in left_out]
    if not names:
        return None
    keys, pooled = row_hashes(view, names)
    used = np.zeros(len(keys), dtype=np.bool_)
    pooled_rows = [0, 0, 0]
    for place, split in enumerate(SPLITS):
        of = view.table.span(split) if split in view.splits else slice(0, 0)
        used[of] = True
        pooled_rows[place] = int(np.count_nonzero(pooled[of]))
        for start in range(of.start, of.stop, CHUNK):
            part = slice(start, min(start + CHUNK, of.stop))
            low = (pooled[part].astype(np.uint64) << np.uint64(3)) | np.uint64(place << 1)
            if split != "test":
                low |= view.labels[part].astype(np.uint64)
            keys[part] = (keys[part] << _BITS) | low
    if not used.all():
        keys = keys[used]
    keys.sort()
    rows, positives, in_pool, single = _groups(keys, _count_groups(keys))
    return RowGroups(
        rows=rows,
        positives=positives,
        pooled=in_pool,
        single=(int(single[0]), int(single[1]), int(single[2])),
        pooled_rows=(pooled_rows[0], pooled_rows[1], pooled_rows[2]),
        fields=len(names),
        left_out=left_out,
    )


def row_hashes(view: AuditView, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """One hash a row over these fields, and whether the row holds `OTHER`: uint64 and bool `[N]`, a chunk of rows at a time.

    A float is compared by its value, a sequence by its items in order, a list without order by its items in any order.
    """
    n = view.table.n_rows
    pooled = np.zeros(n, dtype=np.bool_)
    out = np.full(n, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for place, name in enumerate(names):
        column = view.table.columns[name]
        salt = np.uint64((place + 1) * 0xD1B54A32D192ED03 % 2**64)
        ordered = view.table.schema.field(name).kind == "sequence"
        for start in range(0, n, CHUNK):
            part = slice(start, min(start + CHUNK, n))
            if isinstance(column, Ragged):
                offsets = np.asarray(column.offsets[part.start : part.stop + 1])
                codes = np.asarray(column.codes[offsets[0] : offsets[-1]]).astype(np.uint32)
                _absorb(out[part], _lists(pooled[part], offsets - offsets[0], codes, ordered), salt)
            else:
                values = np.asarray(column[part])
                _mix(out[part], pooled[part], _words(values), salt, values.dtype.kind == "f")
    return out, pooled


def _words(values: np.ndarray) -> np.ndarray:
    """Cells as uint32 that are equal where the values are: all missing numbers are one, and 0.0 is -0.0."""
    if values.dtype.kind == "f":
        plain = values.astype(np.float32) + np.float32(0)
        return np.where(np.isnan(plain), np.float32(np.nan), plain).view(np.uint32)
    return values.astype(np.uint32)


@kernel
def _cell(value: np.uint32, salt: np.uint64) -> np.uint64:
    x = np.uint64(value) + salt
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(x ^ (x >> np.uint64(31)))


@kernel
def _mix(out: np.ndarray, pooled: np.ndarray, values: np.ndarray, salt: np.uint64, floats: bool) -> None:
    for i in range(out.size):
        pooled[i] |= values[i] == OTHER and not floats
        h = (out[i] ^ _cell(values[i], salt)) * np.uint64(0x9E3779B97F4A7C15)
        out[i] = h ^ (h >> np.uint64(32))


@kernel
def _lists(pooled: np.ndarray, offsets: np.ndarray, codes: np.ndarray, ordered: bool) -> np.ndarray:
    out = np.empty(offsets.size - 1, dtype=np.uint64)
    for i in range(out.size):
        whole = np.uint64(offsets[i + 1] - offsets[i]) * np.uint64(0x9E3779B97F4A7C15)
        for k in range(offsets[i], offsets[i + 1]):
            pooled[i] |= codes[k] == OTHER
            item = _cell(codes[k], np.uint64(0x9E3779B97F4A7C15))
            if ordered:
                whole = (whole ^ item) * np.uint64(0x9E3779B97F4A7C15)
                whole ^= whole >> np.uint64(32)
            else:
                whole += item
        out[i] = whole
    return out


@kernel
def _absorb(out: np.ndarray, words: np.ndarray, salt: np.uint64) -> None:
    for i in range(out.size):
        h = (out[i] ^ (words[i] + salt)) * np.uint64(0x9E3779B97F4A7C15)
        out[i] = h ^ (h >> np.uint64(32))


@kernel
def _count_groups(keys: np.ndarray) -> int:
    groups = 0
    start = 0
    for i in range(1, keys.size + 1):
        if i == keys.size or keys[i] >> np.uint64(3) != keys[start] >> np.uint64(3):
            groups += i - start > 1
            start = i
    return groups


@kernel
def _groups(keys: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = np.zeros((groups, 3), dtype=np.int32)
    positives = np.zeros((groups, 2), dtype=np.int32)
    pooled = np.zeros(groups, dtype=np.bool_)
    single = np.zeros(3, dtype=np.int64)
    g = 0
    start = 0
    for i in range(1, keys.size + 1):
        if i == keys.size or keys[i] >> np.uint64(3) != keys[start] >> np.uint64(3):
            if i - start == 1:
                single[np.int64((keys[start] >> np.uint64(1)) & np.uint64(3))] += 1
            else:
                pooled[g] = (keys[start] >> np.uint64(3)) & np.uint64(1) == 1
                for k in range(start, i):
                    split = np.int64((keys[k] >> np.uint64(1)) & np.uint64(3))
                    rows[g, split] += 1
                    if split < 2:
                        positives[g, split] += np.int32(keys[k] & np.uint64(1))
                g += 1
            start = i
    return rows, positives, pooled, single
