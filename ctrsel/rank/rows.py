"""CodedRows: the rows of one split as codes and labels, for statistics that counts of single fields cannot give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ctrsel.stats.joint import JointCounts, joint_counts

__all__ = ["CodedRows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodedRows:
    """Columns that can be counted, as views of the table's arrays (mapped ones stay on disk).

    Attributes:
        columns: Per field unsigned codes `[N]`, in the table's order; a float field's are those of quantile buckets.
        sizes: Per field its number of codes V, reserved ones included.
        labels: uint8 `[N]` of 0 and 1.
        weight: float64 `[N]`; None if every row counts once.
        time: int64 `[N]`, larger is later; None without a time column.
        group: int64 `[N]`, equal numbers are one group; None without groups.
        row: int64 `[N]`, the row's number in the source.
        reads: How often each column was taken: the work is part of the contract.
    """

    columns: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    labels: np.ndarray
    row: np.ndarray
    weight: np.ndarray | None = None
    time: np.ndarray | None = None
    group: np.ndarray | None = None
    reads: Counter[str] = field(default_factory=Counter)

    @property
    def names(self) -> tuple[str, ...]:
        """Fields in the table's order."""
        return tuple(self.columns)

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.labels)

    def column(self, name: str) -> np.ndarray:
        """Codes of a field `[N]`; counted as one read."""
        self.reads[name] += 1
        return self.columns[name]

    def joint(self, names: Sequence[str]) -> JointCounts:
        """Count rows and positive rows per occupied cell of some fields together."""
        return joint_counts([self.column(n) for n in names], self.labels, sizes=[self.sizes[n] for n in names])

    def take(self, rows: np.ndarray | slice) -> CodedRows:
        """Return some of the rows, in this order; a slice gives views."""

        def of(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[rows]

        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            labels=self.labels[rows],
            row=self.row[rows],
            weight=of(self.weight),
            time=of(self.time),
            group=of(self.group),
        )
