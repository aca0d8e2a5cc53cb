"""ReliefF: fields that differ more between near rows of different classes than between near rows of one class.

Reference: Kononenko, "Estimating attributes: analysis and extensions of RELIEF", 1994 (ReliefF).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import at_least, ranked, sample, untold, varying
from ctrsel.stats.neighbours import relief_weights

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["ReliefF"]

_UNIQUE = "a value of its own in every sampled row, so that no two rows agree in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliefF(CountRanker):
    """ReliefF weights on a sample of the training rows; two rows differ in a field or not.

    Attributes:
        rows: Rows of the sample, each class in proportion; all pairs of them are compared.
        neighbours: Nearest rows of its own class and of the other one per row.
    """

    needs = "rows"

    rows: int = 5_000
    neighbours: int = 10

    def __post_init__(self) -> None:
        at_least("relieff", "rows", self.rows, 4)
        at_least("relieff", "neighbours", self.neighbours, 1)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Kononenko, 1994): both classes count the same; asked in proportion, noise of few values scores above
        # 0 where one class is rare, as the nearest of few rows are farther than the nearest of many.
        # DEVIATION(Kononenko, 1994): a missing value is a value like others, not a guess from the class's frequencies.
        names, refused = varying(counts)
        refused.update(untold(counts, names))
        drawn = sample("relieff", counts, [n for n in names if n not in refused], self.rows, by_label=True)
        unique = drawn.codes.max(axis=0, initial=0) == len(drawn.codes) - 1
        refused.update({n: _UNIQUE for n, alone in zip(drawn.names, unique.tolist(), strict=True) if alone})
        few = min(int(drawn.labels.sum()), len(drawn.labels) - int(drawn.labels.sum()))
        scores = {}
        if few < 2:
            rows = len(drawn.labels)
            reason = f"a class has {few} of the {rows} sampled rows, and a row needs a near one of its own class"
            refused.update({n: reason for n in drawn.names if n not in refused})
        elif drawn.names:
            weights = relief_weights(drawn.codes, drawn.labels, neighbours=self.neighbours)
            scores = {n: w for n, w in zip(drawn.names, weights.tolist(), strict=True) if n not in refused}
        return ranked(
            self,
            counts,
            scores,
            unit="difference of shares",
            null=None,
            refused={**refused, **drawn.refused},
            notes=[drawn.note],
        )
