"""Laplacian: fields that near rows agree in, whatever the label.

Reference: He, Cai and Niyogi, "Laplacian score for feature selection", 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import BLIND, at_least, ranked, sample, varying
from ctrsel.stats.neighbours import laplacian_score, neighbour_graph

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["Laplacian"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplacian(CountRanker):
    """1 - the Laplacian score of a field, so that more is better, on a sample of the training rows; blind to the label.

    Attributes:
        rows: Rows of the sample; all pairs of them are compared.
        neighbours: Nearest rows per row in the graph.
    """

    needs = "rows"

    rows: int = 3_000
    neighbours: int = 5

    def __post_init__(self) -> None:
        at_least("laplacian", "rows", self.rows, 4)
        at_least("laplacian", "neighbours", self.neighbours, 1)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(He, Cai and Niyogi, 2005): a field is scored as a whole, with the numerators and the denominators of
        # its one-hot columns added up; the paper scores single numeric columns.
        names, refused = varying(counts)
        drawn = sample("laplacian", counts, names, self.rows)
        scores = {}
        if drawn.names:
            found = 1.0 - laplacian_score(drawn.codes, neighbour_graph(drawn.codes, neighbours=self.neighbours))
            scores = dict(zip(drawn.names, found.tolist(), strict=True))
        return ranked(
            self,
            counts,
            scores,
            unit="share",
            null=None,
            refused={**refused, **drawn.refused},
            notes=[BLIND, drawn.note],
        )
