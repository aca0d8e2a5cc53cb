"""Windows of time: training and validation rows in up to ten stretches of about as many rows each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._sampling import spread
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.stats.counts import label_counts

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Windows", "windows"]

WINDOWS = 10
LEAST = 500  # rows of a window; fewer rows make fewer windows
EDGE_ROWS = 1_000_000  # at most this many rows place the windows' edges
FIELD_ROWS = 500_000  # at most this many rows are counted per field
POOLED_SHARE = 1e-3  # values of a smaller share of the rows are one cell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Which window of time each training and validation row falls in; a moment is never in two.

    Attributes:
        count: W, at least 2.
        rows: Rows per window, int64 `[W]`, oldest first.
        positives: Positive rows per window, int64 `[W]`.
        sample: Rows of the table whose values are counted, int64 `[S]`.
        of: Window of each of these, uint8 `[S]`.
    """

    count: int
    rows: np.ndarray
    positives: np.ndarray
    sample: np.ndarray
    of: np.ndarray

    def third(self) -> int:
        """How many windows at either end are about a third of all."""
        return max(self.count // 3, 1)

    def cells(self, view: AuditView, field: str) -> np.ndarray:
        """Sampled rows per window and cell of a field, int64 `[W, K]`; of a list its items, and empty lists.

        Missing, and each value of at least a thousandth of the sampled rows, is a cell; all others are one.
        """
        column = view.table.columns[field]
        if isinstance(column, Ragged):
            taken = column.take(self.sample)
            lengths = np.diff(taken.offsets)
            codes = np.concatenate([taken.codes, np.full(int((lengths == 0).sum()), MISSING, dtype=taken.codes.dtype)])
            window = np.concatenate([np.repeat(self.of, lengths), self.of[lengths == 0]])
        else:
            codes, window = view.codes(field, self.sample), self.of
        totals = np.bincount(codes, minlength=view.size(field))
        own = totals >= max(POOLED_SHARE * len(codes), 1.0)
        own[OTHER], own[MISSING] = False, True
        cell = np.where(own, np.cumsum(own) - 1, own.sum())
        k = int(own.sum()) + 1
        return np.bincount(window.astype(np.int64) * k + cell[codes], minlength=self.count * k).reshape(self.count, k)


def windows(view: AuditView) -> Windows | None:
    """Cut training and validation rows into windows; None without a time column, or where time hardly moves."""
    if view.table.time is None:
        return None
    spans = [view.table.span(split) for split in ("train", "valid")]
    total = sum(s.stop - s.start for s in spans)
    samples = [spread(s, most=max(EDGE_ROWS * (s.stop - s.start) // total, 1), purpose="window edges") for s in spans]
    known = np.sort(np.concatenate([view.table.time[rows] for rows in samples]))
    wanted = min(WINDOWS, total // LEAST)
    if wanted < 2:
        return None
    # A window starts at an edge; equal edges (a moment with many rows) make fewer windows.
    edges = np.unique(known[np.linspace(0, len(known), wanted, endpoint=False).astype(np.int64)[1:]])
    edges = edges[edges > known[0]]
    count = len(edges) + 1
    rows, positives = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for s in spans:
        for start in range(s.start, s.stop, EDGE_ROWS):
            part = slice(start, min(start + EDGE_ROWS, s.stop))
            of = np.searchsorted(edges, view.table.time[part], side="right").astype(np.uint8)
            counted = label_counts(of, view.labels[part], size=count)
            rows, positives = rows + counted.totals, positives + counted.positives
    if count < 2 or np.count_nonzero(rows) < 2:
        return None
    sample = np.concatenate(
        [spread(s, most=max(FIELD_ROWS * (s.stop - s.start) // total, 1), purpose="window cells") for s in spans]
    )
    of = np.searchsorted(edges, view.table.time[sample], side="right").astype(np.uint8)
    return Windows(count=count, rows=rows, positives=positives, sample=sample, of=of)
