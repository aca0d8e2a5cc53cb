"""Fisher: how far the smoothed rates of a field's values set the classes apart, each row coded by the other rows.

Reference: Fisher, "The use of multiple measurements in taxonomic problems", 1936; as a score of features in Duda, Hart
and Stork, "Pattern classification", 2001: sum_c n_c (mu_c - mu)^2 / sum_c n_c s_c^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import ranked, untold, varying
from ctrsel.stats.target_codes import fisher_score, left_out_codes

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["Fisher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fisher(CountRanker):
    """Fisher's score of the values' smoothed rates among the other training rows, from counts.

    Attributes:
        prior: Rows at the base rate that smooth a value's rate.
    """

    prior: float = 20.0

    def __post_init__(self) -> None:
        if not self.prior > 0:
            raise ConfigError(f"fisher.prior: must be above 0 rows, got {self.prior}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Fisher, 1936): the score has the sign of the difference of means, which are those of left-out rates
        # and are compared with their mean under shuffled labels; rates of noise would score above 0 by squaring.
        names, refused = varying(counts)
        refused.update(untold(counts, names))
        scores = {}
        for name in names:
            train = counts.fields[name].train
            found = fisher_score(left_out_codes(train.positives, train.totals, prior=self.prior))
            if found is None:
                refused.setdefault(name, "every training row of a class has the same rate without itself")
            else:
                scores[name] = found
        return ranked(
            self,
            counts,
            scores,
            unit="ratio of variances",
            null="exact mean of the difference of means under shuffled labels",
            refused=refused,
        )
