"""InfFS: fields that vary and say little of the same, by all paths through a graph of fields; whatever the label.

Reference: Roffo, Melzi and Cristani, "Infinite feature selection", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import BLIND, at_least, between, ranked, sample, varying
from ctrsel.rank._paths import evenness, paths, scaled
from ctrsel.stats.cramer import cramers_v_matrix

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["InfFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InfFS(CountRanker):
    """Sum over all paths from a field, whose edges are heavy between even and unlike fields; blind to the label.

    Columns: `evenness` (entropy over the logarithm of the number of values) and `edges` (the paths of length 1 alone).

    Attributes:
        alpha: Weight of the evenness of a pair; the rest is that of saying little of the same.
        share: Damping of longer paths, as a share of the largest for which the sum is finite.
        rows: Training rows that fields are compared on.
    """

    needs = "rows"

    alpha: float = 0.5
    share: float = 0.9
    rows: int = 100_000

    def __post_init__(self) -> None:
        between("inf_fs", "alpha", self.alpha, 0.0, 1.0)
        at_least("inf_fs", "rows", self.rows, 2)
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"inf_fs.share: must be above 0 and below 1, got {self.share}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Roffo, Melzi and Cristani, 2015): for categories the standard deviation is the evenness of the
        # values and the rank correlation is Cramer's V less what chance explains.
        names, refused = varying(counts)
        drawn = sample("inf_fs", counts, names, self.rows)
        even = evenness(counts, drawn.names)
        unlike = 1.0 - cramers_v_matrix(list(drawn.codes.T))
        graph = self.alpha * scaled(np.maximum(even[:, None], even)) + (1.0 - self.alpha) * unlike
        scores, note = paths(graph, share=self.share)
        return ranked(
            self,
            counts,
            dict(zip(drawn.names, scores.tolist(), strict=True)),
            unit="weight of paths",
            null=None,
            refused={**refused, **drawn.refused},
            columns={
                "evenness": dict(zip(drawn.names, even.tolist(), strict=True)),
                "edges": dict(zip(drawn.names, graph.sum(axis=1).tolist(), strict=True)),
            },
            notes=[BLIND, note, drawn.note],
        )
