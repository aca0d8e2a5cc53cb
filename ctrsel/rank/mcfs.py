"""MCFS: fields whose values say where a row stands among the clusters of rows, whatever the label.

Reference: Cai, Zhang and He, "Unsupervised feature selection for multi-cluster data", 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import BLIND, FrequentColumns, at_least, frequent_columns, ranked, sample, varying
from ctrsel.stats.local_structure import graph_coordinates
from ctrsel.stats.neighbours import neighbour_graph

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["MCFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MCFS(CountRanker):
    """Largest coefficient of a field's columns in sparse regressions on coordinates of a graph of rows; label-blind.

    Attributes:
        rows: Rows of the sample; all pairs of them are compared.
        neighbours: Nearest rows per row in the graph.
        clusters: Coordinates of the graph, one regression each.
        columns: Columns that a regression may use (least angle regression stops there).
        values: One-hot columns per field, of its most frequent values in the sample.
        min_rows: Sampled rows that a column must tell from the others.
    """

    needs = "rows"

    rows: int = 2_000
    neighbours: int = 5
    clusters: int = 5
    columns: int = 50
    values: int = 10
    min_rows: int = 20

    def __post_init__(self) -> None:
        at_least("mcfs", "clusters", self.clusters, 1)
        at_least("mcfs", "rows", self.rows, self.clusters + 2)
        for name in ("neighbours", "columns", "values", "min_rows"):
            at_least("mcfs", name, getattr(self, name), 1)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Cai, Zhang and He, 2010): columns are one-hot columns of one length, and a field has the largest
        # score of its columns.
        names, refused = varying(counts)
        drawn = sample("mcfs", counts, names, self.rows)
        scores = {}
        if len(drawn.codes) > self.clusters + 1:
            hot = frequent_columns(drawn, values=self.values, least=self.min_rows)
            refused.update(hot.refused)
            if hot.columns.size:
                weights = self._weights(drawn.codes, hot)
                scores = {n: w for n, w in zip(drawn.names, weights.tolist(), strict=True) if n not in refused}
        else:
            few = f"{len(drawn.codes)} training rows have no {self.clusters} coordinates"
            refused.update(dict.fromkeys(drawn.names, few))
        return ranked(
            self,
            counts,
            scores,
            unit="coefficient",
            null=None,
            refused={**refused, **drawn.refused},
            notes=[BLIND, drawn.note],
        )

    def _weights(self, codes: np.ndarray, hot: FrequentColumns) -> np.ndarray:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lars_path_gram

        x = hot.columns / np.sqrt(len(codes))  # of length 1, as the coordinates are
        gram = x.T @ x
        out = np.zeros(codes.shape[1])
        for y in graph_coordinates(neighbour_graph(codes, neighbours=self.neighbours), dimensions=self.clusters).T:
            with warnings.catch_warnings():
                # Columns that say the same as one before are left out by it, which it warns of and which is meant.
                warnings.simplefilter("ignore", ConvergenceWarning)
                _, _, weights = lars_path_gram(
                    x.T @ (y - y.mean()), gram, n_samples=len(x), max_iter=self.columns, method="lar", return_path=False
                )
            np.maximum.at(out, hot.field, np.abs(weights)[hot.column])
        return out
