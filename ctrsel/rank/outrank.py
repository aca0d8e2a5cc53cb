"""Outrank: the default score of OutRank as published, for comparison.

Reference: Skrlj and Mramor, "OutRank: speeding up AutoML-based model search for large sparse data sets with
cardinality-aware feature ranking", 2023; package outrank 0.97.5, heuristic "MI-numba-randomized".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import CONSTANT
from ctrsel.rank._outrank_loops import shifted_information
from ctrsel.records.ranking import Ranking

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["Outrank"]

_LAST_BATCH = 1024  # a last batch of so few rows is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Outrank(CountRanker):
    """Median over minibatches of H(X' | Y) - H(X | Y), X' the field in rows shifted by the size of the label's class.

    It tells what the classes say about the field: plug-in information less that of one shift, which is no shuffle. The
    mean over noise is near 0, the spread far above that of information less its exact mean: `mutual_information` is the
    ranker to use. Columns: `batch_sd` (standard deviation over minibatches, null for one), `batches`.

    Attributes:
        subsampling: Every so many-th training row is used, in the order of the source.
        minibatch_size: Rows of a minibatch; a last one of at most 1,024 rows is left out.
    """

    needs = "rows"

    subsampling: int = 10
    minibatch_size: int = 16384

    def __post_init__(self) -> None:
        for name, value in (("subsampling", self.subsampling), ("minibatch_size", self.minibatch_size)):
            if value < 1:
                raise ConfigError(f"outrank.{name}: must be at least 1 row, got {value}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        import polars as pl

        rows = counts.need_rows("outrank")
        taken = np.arange(self.subsampling - 1, rows.n_rows, self.subsampling)
        if taken.size == 0:
            raise DataError(f"outrank.subsampling: every {self.subsampling}th of {rows.n_rows} training rows is none")
        # DEVIATION(Skrlj and Mramor 2023): training rows only, in the order of the source.
        if (np.diff(rows.row) < 0).any():
            taken = np.argsort(rows.row, kind="stable")[taken]
        edges = [*range(0, taken.size, self.minibatch_size), taken.size]
        notes = list(counts.notes)
        if len(edges) > 2 and edges[-1] - edges[-2] <= _LAST_BATCH:
            edges.pop()
        elif len(edges) == 2 and taken.size <= _LAST_BATCH:
            # DEVIATION(Skrlj and Mramor 2023): a table whose only minibatch is that small is scored by it and the ranking
            # says so; the package ends without a result.
            notes.append(f"scored on {taken.size} rows, where OutRank itself gives no result")
        batches = [taken[a:b] for a, b in pairwise(edges)]
        notes.append(f"{sum(map(len, batches))} of {rows.n_rows} training rows in {len(batches)} minibatches")

        refused, scores = dict(counts.refused), {}
        for name, field in counts.fields.items():
            if np.count_nonzero(field.train.totals) < 2:
                refused[name] = CONSTANT
                continue
            scratch, column = np.zeros(rows.sizes[name], dtype=np.int64), rows.column(name)
            # DEVIATION(Skrlj and Mramor 2023): no field loses its correction because the sum of its codes happens to be that
            # of the labels, and codes are those of the table: values that the Encoder takes together are one.
            scores[name] = [shifted_information(column[b], rows.labels[b], scratch) for b in batches]
        score = {name: float(np.median(found)) for name, found in scores.items()}
        order = sorted(score, key=lambda name: (-score[name], name))
        spread = [float(np.std(scores[name], ddof=1)) if len(batches) > 1 else None for name in order]
        frame = pl.DataFrame(
            {
                "field": order,
                "score": [score[name] for name in order],
                "rank": range(1, len(order) + 1),
                "batch_sd": spread,
                "batches": [len(batches)] * len(order),
            },
            schema={
                "field": pl.String,
                "score": pl.Float64,
                "rank": pl.Int64,
                "batch_sd": pl.Float64,
                "batches": pl.Int64,
            },
        )
        # DEVIATION(Skrlj and Mramor 2023): scores keep their unit; the package stretches them to run from 0 to 1.
        return Ranking(
            method="outrank",
            params=describe(self),
            unit="nats",
            null="one shift of the rows by the size of the label's class",
            frame=frame,
            refused=refused,
            notes=tuple(notes),
            table=counts.table,
        )
