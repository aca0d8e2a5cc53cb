"""Coded fields as standardised columns, one per frequent value, for methods that know numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ctrsel.rank.rows import CodedRows

__all__ = ["OneHot", "one_hot"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneHot:
    """Rows of fields as columns of mean 0 and variance 1.

    A value without a column of its own is 0 in all columns of its field before they are standardised.

    Attributes:
        names: Fields, F of them.
        codes: int64 `[F, N]`, each row's place among all columns; C where its value has none.
        field: int64 `[C]`, each column's field.
        share: float64 `[C]`, each column's share of the rows.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    field: np.ndarray
    share: np.ndarray

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.codes.shape[1])

    @property
    def columns(self) -> np.ndarray:
        """Number of columns per field, int64 `[F]`."""
        return np.bincount(self.field, minlength=len(self.names))

    @property
    def covered(self) -> np.ndarray:
        """Share of the rows whose value has a column, per field, float64 `[F]`."""
        return np.bincount(self.field, weights=self.share, minlength=len(self.names))

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows as float32 `[B, C]`; a column that is the same in all rows is 0."""
        width = len(self.field)
        raw = np.zeros((len(rows), width + 1), dtype=np.float32)
        raw[np.arange(len(rows))[:, None], self.codes[:, rows].T] = 1.0
        spread = np.sqrt(self.share * (1.0 - self.share))
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        out: np.ndarray = (raw[:, :width] - self.share.astype(np.float32)) * scale.astype(np.float32)
        return out


def one_hot(held: CodedRows, rows: np.ndarray, *, values: int, constant: bool = True) -> OneHot:
    """Give the most frequent values of each field a column.

    Args:
        held: The rows.
        rows: Which of them are used.
        values: At most so many columns a field.
        constant: Whether a field with one value in these rows is among them.
    """
    names: list[str] = []
    places, fields, shares = [], [], []
    at = 0
    for name in held.names:
        present, codes, counts = np.unique(np.asarray(held.column(name)[rows]), return_inverse=True, return_counts=True)
        if len(present) < 2 and not constant:
            continue
        chosen = np.argsort(-counts, kind="stable")[:values]
        lookup = np.full(len(present), -1, dtype=np.int64)
        lookup[chosen] = at + np.arange(len(chosen))
        places.append(lookup[codes])
        fields.append(np.full(len(chosen), len(names), dtype=np.int64))
        names.append(name)
        shares.append(counts[chosen] / len(rows))
        at += len(chosen)
    codes_all = np.stack(places) if places else np.zeros((0, len(rows)), dtype=np.int64)
    return OneHot(
        names=tuple(names),
        codes=np.where(codes_all < 0, at, codes_all),
        field=np.concatenate(fields) if fields else np.zeros(0, dtype=np.int64),
        share=np.concatenate(shares) if shares else np.zeros(0),
    )
