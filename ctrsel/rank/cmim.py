"""Cmim: fields that tell something about the label that none of the fields chosen before them tells already.

Reference: Fleuret, "Fast binary feature selection with conditional mutual information", 2004 (min over chosen S of
I(F; Y | S)).
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

__all__ = ["Cmim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmim(CountRanker):
    """Chooses the largest min over chosen S of I(F; Y | S), less its mean under shuffling within S, in nats.

    A second name of a chosen field gets exactly 0. Columns: `criterion` (at the step of choice; the score is its lowest
    value so far), `mi_minus_expected`, `partner` (the chosen field beside which it tells least), `chosen`.

    Attributes:
        k: Fields to choose; the others stand behind them in the order of their criterion. None for all.
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    k: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        check_k("cmim", self.k)
        check_rows("cmim", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields in the order of choice."""
        terms = FieldTerms(counts, ranker="cmim", rows=self.rows)
        # DEVIATION(Fleuret 2004): every term is less its mean when labels are shuffled within the values of S, as plug-in
        # terms grow with the number of values, and 0 where that may be chance.
        found = greedy(
            terms.names,
            terms.relevance,
            z=terms.z,
            terms=terms.conditional,
            criterion=lambda relevance, seen: seen.min(axis=0),
            decisive=lambda seen: int(np.argmin(seen)),
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
