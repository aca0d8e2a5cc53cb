"""Rows and positive rows per value of every vocabulary, in training and in validation."""

from __future__ import annotations

import numpy as np

from ctrsel.data.table import Ragged, Table
from ctrsel.stats.counts import LabelCounts, label_counts

__all__ = ["label_counts_of"]


def label_counts_of(table: Table) -> dict[str, tuple[LabelCounts, LabelCounts | None]]:
    """Count training and validation rows by vocabulary; an item of a list counts once each time it occurs."""
    labels = table.label().astype(np.uint8)
    found: dict[str, tuple[LabelCounts, LabelCounts | None]] = {}
    for name, vocabulary in table.encoder.vocabularies.items():
        fields = [f for f in table.encoder.fields if f.vocabulary == name and not f.is_float]
        parts = []
        for split in ("train", "valid"):
            total = LabelCounts(
                positives=np.zeros(vocabulary.size, np.int64), totals=np.zeros(vocabulary.size, np.int64)
            )
            if split in table.splits:
                span = table.span(split)
                for f in fields:
                    codes, of = _codes(table.columns[f.name], labels, span)
                    total = total + label_counts(codes, of, size=vocabulary.size)
            parts.append(total)
        lists = any(f.is_list for f in fields)
        found[name] = (parts[0], None if lists or parts[1].rows == 0 else parts[1])
    return found


def _codes(column: np.ndarray | Ragged, labels: np.ndarray, span: slice) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(column, Ragged):
        return column[span], labels[span]
    edges = np.asarray(column.offsets[span.start : span.stop + 1])
    return column.codes[edges[0] : edges[-1]], np.repeat(labels[span], np.diff(edges))
