"""Fields that say the same as an earlier one: a one-to-one renaming on all training rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.table import Ragged

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["renamings"]


def renamings(view: AuditView) -> dict[str, str]:
    """Name of the first field of which each is a renaming; fields are compared where the counts of their values agree.

    A row's code is replaced by the row where it first occurs, which does not depend on names. Constants, and fields with
    another value in every row, are nobody's renaming.
    """
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in view.table.schema.names:
        codes = _training_codes(view, name)
        counts = np.bincount(codes)
        counts = np.sort(counts[counts > 0])
        if len(counts) in (0, 1, len(codes)):
            continue
        alike[len(codes), len(counts), hashlib.sha256(counts.tobytes()).digest()].append(name)
    found: dict[str, str] = {}
    for names in alike.values():
        first: dict[bytes, str] = {}
        for name in names if len(names) > 1 else ():
            key = _unnamed(view, name)
            if key in first:
                found[name] = first[key]
            else:
                first[key] = name
    return found


def _training_codes(view: AuditView, name: str) -> np.ndarray:
    """Codes of the training rows: of a list the items, of a float its distinct numbers."""
    rows = view.table.span("train")
    column = view.table.columns[name]
    if isinstance(column, Ragged):
        return np.asarray(column.codes[column.offsets[rows.start] : column.offsets[rows.stop]])
    if view.table.schema.field(name).is_float:
        return np.unique(column[rows], return_inverse=True)[1]
    return np.asarray(column[rows])


def _unnamed(view: AuditView, name: str) -> bytes:
    codes = _training_codes(view, name)
    first = np.empty(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    digest = hashlib.sha256(first[codes].tobytes())
    column = view.table.columns[name]
    if isinstance(column, Ragged):
        rows = view.table.span("train")
        digest.update(np.diff(column.offsets[rows.start : rows.stop + 1]).tobytes())
    return digest.digest()
