"""InfFSSupervised: relevance, class separation and spread of fields in one graph, by all paths through it.

Reference: Roffo, Melzi, Castellani, Vinciarelli and Cristani, "Infinite feature selection: a graph-based feature
filtering approach", 2020 (the supervised graph); Roffo, Melzi and Cristani, "Infinite feature selection", 2015 (the
damping).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import between, ranked, untold, varying
from ctrsel.rank._paths import evenness, paths, scaled
from ctrsel.stats.information import mutual_information
from ctrsel.stats.permutation import expected_mutual_information
from ctrsel.stats.target_codes import fisher_score, left_out_codes

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking
    from ctrsel.stats.counts import LabelCounts

__all__ = ["InfFSSupervised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InfFSSupervised(CountRanker):
    """Sum over all paths from a field, whose edges are heavy between fields that tell about the label, from counts.

    The edge from i to j is ``a1 (mi_i + fi_j) / 2 + a2 (mi_i + sd_ij) / 2 + a3 (sd_ij + fi_j) / 2`` with information
    `mi`, Fisher's score `fi` and spread `sd`, each scaled to [0, 1]; it differs from the edge from j to i. Columns:
    `mi_minus_expected` (nats), `fisher`, `evenness` and `edges` (the paths of length 1 alone).

    Attributes:
        relevance_fisher: a1, weight of information and Fisher's score.
        relevance_spread: a2, weight of information and spread.
        fisher_spread: a3, weight of Fisher's score and spread.
        share: Damping of longer paths, as a share of the largest for which the sum is finite.
        prior: Rows at the base rate that smooth a value's rate for Fisher's score.
    """

    relevance_fisher: float = 0.8
    relevance_spread: float = 0.1
    fisher_spread: float = 0.1
    share: float = 0.9
    prior: float = 20.0

    def __post_init__(self) -> None:
        weights = ("relevance_fisher", "relevance_spread", "fisher_spread")
        for name in weights:
            between("inf_fs_supervised", name, getattr(self, name), 0.0, 1.0)
        if not abs(sum(getattr(self, name) for name in weights) - 1.0) < 1e-9:
            raise ConfigError(
                f"inf_fs_supervised: {', '.join(weights)} must add up to 1, got {[getattr(self, n) for n in weights]}"
            )
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"inf_fs_supervised.share: must be above 0 and below 1, got {self.share}")
        if not self.prior > 0:
            raise ConfigError(f"inf_fs_supervised.prior: must be above 0 rows, got {self.prior}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Roffo et al., 2020): for categories the information is less its mean under shuffled labels, Fisher's
        # score is that of left-out rates, both at least 0, and the standard deviation is the evenness of the values.
        # DEVIATION(Roffo et al., 2020): the damping is that of 2015, a share of the largest; the published code scales
        # the graph twice, after which only sums of edges count.
        names, refused = varying(counts)
        alike = untold(counts, names)
        refused.update(alike)
        names = [n for n in names if n not in alike]
        train = [counts.fields[n].train for n in names]
        excess = np.array([_excess(c) for c in train], dtype=np.float64)
        # A field whose codes are all equal separates nothing.
        fisher = np.array(
            [fisher_score(left_out_codes(c.positives, c.totals, prior=self.prior)) or 0.0 for c in train],
            dtype=np.float64,
        )
        even = evenness(counts, names)
        mi, fi = scaled(np.maximum(excess, 0.0))[:, None], scaled(np.maximum(fisher, 0.0))[None, :]
        sd = scaled(np.maximum(even[:, None], even))
        graph = (
            self.relevance_fisher * (mi + fi) + self.relevance_spread * (mi + sd) + self.fisher_spread * (sd + fi)
        ) / 2.0
        scores, note = paths(graph, share=self.share)
        return ranked(
            self,
            counts,
            dict(zip(names, scores.tolist(), strict=True)),
            unit="weight of paths",
            null=None,
            refused=refused,
            columns={
                key: dict(zip(names, values.tolist(), strict=True))
                for key, values in (
                    ("mi_minus_expected", excess),
                    ("fisher", fisher),
                    ("evenness", even),
                    ("edges", graph.sum(axis=1)),
                )
            },
            notes=[note],
        )


def _excess(counts: LabelCounts) -> float:
    value = mutual_information(counts.positives, counts.totals)
    return value - expected_mutual_information(int(counts.positives.sum()), counts.totals)
