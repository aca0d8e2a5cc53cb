"""CFS: fields that tell about the label and little about each other, and the others in the order they would join.

Reference: Hall, "Correlation-based feature selection for machine learning", 1999: merit, symmetric uncertainty and
best-first search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import FieldTerms, check_rows
from ctrsel.rank._filters import at_least, ranked, untold
from ctrsel.stats.association import normalised
from ctrsel.stats.information import adjusted_mutual_information
from ctrsel.stats.merit import best_first, merit_order

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["CFS"]

_NULL = "exact means under shuffled labels, and under shuffled rows of one field of each pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class CFS(CountRanker):
    """Best-first search for the set of highest merit; then each field that lowers it least.

    merit = sum r_cf / sqrt(k + 2 sum r_ff), with symmetric uncertainties less what chance explains (which is the
    adjusted mutual information) of field and label and of two fields. Columns: `merit` of the set up to this field,
    `gain` over the set before (the score is the lowest gain so far), `relevance` (r_cf), `chosen` (whether the search
    chose it).

    Attributes:
        patience: Sets in a row without a higher merit after which the search ends.
        k: Fields to put in order by merit; those behind stand in the order of their gain beside the k. None for all.
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    patience: int = 5
    k: int | None = 30
    rows: int | None = 200_000

    def __post_init__(self) -> None:
        at_least("cfs", "patience", self.patience, 1)
        if self.k is not None:
            at_least("cfs", "k", self.k, 1)
        check_rows("cfs", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        # DEVIATION(Hall, 1999): symmetric uncertainties are less what chance explains, which grows with the number of
        # values.
        terms = FieldTerms(counts, ranker="cfs", rows=self.rows)
        alike = untold(counts, terms.names)
        places = [i for i, n in enumerate(terms.names) if n not in alike]
        names = [terms.names[i] for i in places]
        pairs = _Pairs(terms, places)
        train = [counts.fields[n].train for n in names]
        relevance = np.array([adjusted_mutual_information(c.positives, c.totals) for c in train], dtype=np.float64)
        chosen = best_first(relevance, pairs.row, patience=self.patience)
        order, gains, merits = merit_order(relevance, pairs.row, first=chosen, k=self.k)
        lowest = np.minimum.accumulate(np.array(gains, dtype=np.float64))
        by_name = [names[i] for i in order]
        after = len(names) - max(self.k or len(names), len(chosen))
        return ranked(
            self,
            counts,
            dict(zip(by_name, lowest.tolist(), strict=True)),
            unit="merit",
            null=_NULL,
            refused={**terms.refused, **alike},
            columns={
                "merit": dict(zip(by_name, merits, strict=True)),
                "gain": dict(zip(by_name, gains, strict=True)),
                "relevance": dict(zip(names, relevance.tolist(), strict=True)),
                "chosen": {n: i in chosen for i, n in zip(order, by_name, strict=True)},
            },
            notes=[
                *terms.notes[len(counts.notes) :],
                f"the last {after} fields stand in the order of their gain beside those before" if after > 0 else None,
            ],
            order=by_name,
        )


class _Pairs:
    """Symmetric uncertainties of a field with all fields, worked out when first asked for."""

    def __init__(self, terms: FieldTerms, places: list[int]) -> None:
        self._terms, self._places = terms, places
        self._known = np.full((len(places), len(places)), np.nan)
        np.fill_diagonal(self._known, 1.0)

    def row(self, one: int) -> np.ndarray:
        terms, known = self._terms, self._known
        for other in np.flatnonzero(np.isnan(known[one])).tolist():
            first, second = self._places[one], self._places[other]
            plain = terms.plain(terms.joint(first, second), first, second)
            expected, _ = terms.null(first, second)
            share = normalised(plain, expected, float(terms.entropy[first]), float(terms.entropy[second]))
            known[one, other] = known[other, one] = share
        return np.asarray(known[one])
