"""UDFS: fields that tell clusters of near rows from each other, as found by a sparse projection; whatever the label.

Reference: Yang, Shen, Ma, Huang and Zhou, "l2,1-norm regularized discriminative feature selection for unsupervised
learning", 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import BLIND, at_least, frequent_columns, ranked, sample, varying
from ctrsel.stats.local_structure import discriminative_weights
from ctrsel.stats.neighbours import nearest_rows

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["UDFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UDFS(CountRanker):
    """Length of a field's rows in the projection, over all its columns, on a sample of rows; blind to the label.

    Attributes:
        rows: Rows of the sample; all pairs of them are compared.
        neighbours: Nearest rows per row.
        clusters: Columns of the projection.
        ridge: Added to the scatter of each neighbourhood (lambda of the paper).
        sparsity: Weight of the l2,1 norm (gamma of the paper), for a loss that is averaged over rows.
        values: One-hot columns per field, of its most frequent values in the sample.
        min_rows: Sampled rows that a column must tell from the others.
    """

    needs = "rows"

    rows: int = 2_000
    neighbours: int = 5
    clusters: int = 5
    ridge: float = 1.0
    sparsity: float = 0.001
    values: int = 10
    min_rows: int = 20

    def __post_init__(self) -> None:
        at_least("udfs", "rows", self.rows, 4)
        for name in ("neighbours", "clusters", "values", "min_rows"):
            at_least("udfs", name, getattr(self, name), 1)
        for name in ("ridge", "sparsity"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"udfs.{name}: must be above 0, got {getattr(self, name)}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Yang et al., 2011): columns are one-hot columns of unit variance, a field's score is the length over
        # all of its columns, and the loss is averaged over rows.
        names, refused = varying(counts)
        drawn = sample("udfs", counts, names, self.rows)
        scores = {}
        hot = frequent_columns(drawn, values=self.values, least=self.min_rows)
        refused.update(hot.refused)
        if hot.columns.size:
            length = discriminative_weights(
                hot.columns,
                nearest_rows(drawn.codes, neighbours=self.neighbours)[0],
                dimensions=min(self.clusters, hot.columns.shape[1]),
                ridge=self.ridge,
                sparsity=self.sparsity,
            )
            whole = np.sqrt(np.bincount(hot.field, weights=length[hot.column] ** 2, minlength=len(drawn.names)))
            scores = {n: w for n, w in zip(drawn.names, whole.tolist(), strict=True) if n not in refused}
        return ranked(
            self,
            counts,
            scores,
            unit="length",
            null=None,
            refused={**refused, **drawn.refused},
            notes=[BLIND, drawn.note],
        )
