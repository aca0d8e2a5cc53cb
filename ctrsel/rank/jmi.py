"""Jmi: fields that tell much about the label together with each of the fields chosen before them.

Reference: Yang and Moody, "Data visualization and feature selection: new algorithms for nongaussian data", 1999 (joint
mutual information, sum over chosen S of I(F, S; Y)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import FieldTerms, check_rows
from ctrsel.rank._greedy import check_k, greedy, greedy_ranking

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["Jmi"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jmi(CountRanker):
    """Chooses the largest mean over chosen S of I(F; Y | S), less its mean under shuffling within S, in nats.

    Columns: `criterion` (at the step of choice; the score is its lowest value so far), `mi_minus_expected`, `partner`
    (the chosen field beside which it tells most), `chosen`.

    Attributes:
        k: Fields to choose; the others stand behind them in the order of their criterion. None for all.
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    k: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        check_k("jmi", self.k)
        check_rows("jmi", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields in the order of choice."""
        terms = FieldTerms(counts, ranker="jmi", rows=self.rows)
        # DEVIATION(Yang and Moody 1999): I(F, S; Y) = I(S; Y) + I(F; Y | S) loses its first part, which is the same for
        # all F, and the mean over S replaces the sum: the order is the same, and the score is in nats of one field.
        # DEVIATION(Yang and Moody 1999): every term is less its mean when labels are shuffled within the values of S, and 0
        # where that may be chance.
        found = greedy(
            terms.names,
            terms.relevance,
            z=terms.z,
            terms=terms.conditional,
            criterion=lambda relevance, seen: seen.mean(axis=0),
            decisive=lambda seen: int(np.argmax(seen)),
            k=self.k,
        )
        return greedy_ranking(
            found,
            terms,
            counts,
            params=describe(self),
            unit="nats",
            null="exact means under labels shuffled within each value of the chosen field",
        )
