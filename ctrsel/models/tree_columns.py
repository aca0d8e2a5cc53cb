"""TreeColumns: a Table as one float matrix for trees, and which of its columns are categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import MISSING, OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table

__all__ = ["TreeColumns"]

_LARGEST = 1 << 24  # whole numbers up to here are exact as float32


class TreeColumns:
    """How an Encoder's fields become columns.

    A categorical field is one column of categories, its codes. A bucketed number is one ordered column, the place of
    its bucket, NaN where missing; `OTHER` (dropped buckets) stands below all. A float stays one. A list becomes two
    columns: how many values it holds, and its last value as a category (`MISSING` if empty); what stands before the
    last value is not seen by trees.

    Attributes:
        owners: Field name per column.
        names: Name per column, unique.
        categorical: Indices of the category columns.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        owners, names, categorical = [], [], []
        self._places: dict[str, np.ndarray] = {}
        for field in encoder.fields:
            if field.is_list:
                owners.append(field.name)
                names.append(f"{field.name} (count)")
            if field.is_list or (not field.is_float and encoder.vocabulary(field.name).order is None):
                if encoder.size(field.name) > _LARGEST:
                    raise DataError(
                        f"field {field.name!r}: trees take at most {_LARGEST} codes, got {encoder.size(field.name)}; "
                        "raise min_count"
                    )
                categorical.append(len(owners))
            elif not field.is_float:
                self._places[field.name] = _places(encoder.vocabulary(field.name).order)
            owners.append(field.name)
            names.append(field.name)
        self.owners = tuple(owners)
        self.names = tuple(names)
        self.categorical = tuple(categorical)

    def matrix(self, table: Table) -> np.ndarray:
        """Return the columns side by side, float32 `[N, len(owners)]`."""
        out = np.empty((table.n_rows, len(self.owners)), dtype=np.float32)
        j = 0
        for field in self.encoder.fields:
            column = table.columns[field.name]
            if isinstance(column, Ragged):
                out[:, j], out[:, j + 1] = np.diff(column.offsets), _last(column)
                j += 2
                continue
            places = self._places.get(field.name)
            out[:, j] = column if places is None else places[column]
            j += 1
        return out


def _places(order: np.ndarray | None) -> np.ndarray:
    assert order is not None
    places = order.astype(np.float32)
    known = places[np.isfinite(places)]
    places[OTHER] = (known.min() if len(known) else np.float32(0)) - 1
    return places


def _last(column: Ragged) -> np.ndarray:
    filled = column.offsets[1:] > column.offsets[:-1]
    out = np.full(len(column), MISSING, dtype=np.int64)
    out[filled] = column.codes[column.offsets[1:][filled] - 1]
    return out
