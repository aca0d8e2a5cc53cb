"""Mrmr: fields that tell much about the label and little about the fields chosen before them.

Reference: Peng, Long and Ding, "Feature selection based on mutual information: criteria of max-dependency, max-relevance,
and min-redundancy", 2005 (difference, MID); Ding and Peng, "Minimum redundancy feature selection from microarray gene
expression data", 2003 (quotient, MIQ).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import FieldTerms, check_rows
from ctrsel.rank._greedy import check_k, greedy, greedy_ranking

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["Mrmr"]

_LEAST = 1e-3  # nats, the smallest divisor of the quotient


@dataclass(frozen=True, slots=True, kw_only=True)
class Mrmr(CountRanker):
    """Chooses the largest I(F; Y) - mean over chosen S of I(F; S), every term less its mean under shuffling, in nats.

    A second name of a chosen field gets I(F; Y) - H(F), far below 0. Two fields that count only together are not found.
    Columns: `criterion` (at the step of choice; the score is its lowest value so far), `mi_minus_expected`, `partner`
    (the chosen field that says most of the same), `chosen`.

    Attributes:
        form: "mid" (difference) or "miq" (quotient, without unit).
        alpha: Share of false discoveries among the fields whose relevance counts; 1 counts all.
        k: Fields to choose; the others stand behind them in the order of their criterion. None for all.
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    form: Literal["mid", "miq"] = "mid"
    alpha: float = 0.05
    k: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        if self.form not in ("mid", "miq"):
            raise ConfigError(f"mrmr.form: must be 'mid' or 'miq', got {self.form!r}")
        if not 0 < self.alpha <= 1:
            raise ConfigError(f"mrmr.alpha: must be above 0 and at most 1, got {self.alpha}")
        check_k("mrmr", self.k)
        check_rows("mrmr", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields in the order of choice."""
        terms = FieldTerms(counts, ranker="mrmr", rows=self.rows)
        # DEVIATION(Peng, Long and Ding 2005): the relevance of a field that chance may explain counts as 0, and so does the
        # redundancy of two fields that chance may explain: the sum over many pairs of noise would outweigh weak fields.
        relevance = np.where(terms.q <= self.alpha, terms.relevance, 0.0)
        # DEVIATION(Peng, Long and Ding 2005): every term is less its mean under shuffling, as plug-in terms grow with
        # the number of values.
        found = greedy(
            terms.names,
            relevance,
            z=terms.z,
            terms=terms.association,
            criterion=_difference if self.form == "mid" else _quotient,
            decisive=lambda seen: int(np.argmax(seen)) if seen.max() > 0 else -1,
            first=relevance if self.form == "mid" else relevance / _LEAST,
            k=self.k,
        )
        return greedy_ranking(
            found,
            terms,
            counts,
            params=describe(self),
            unit="nats" if self.form == "mid" else "ratio",
            null="exact means under shuffled labels, and under shuffled rows of one field of each pair",
        )


def _difference(relevance: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.asarray(relevance - seen.mean(axis=0))


def _quotient(relevance: np.ndarray, seen: np.ndarray) -> np.ndarray:
    # DEVIATION(Ding and Peng 2003): redundancy below 0.001 nats divides as 0.001, and so does any redundancy of a field
    # without relevance: without its bias it may be 0 or less, and the quotient of two noises would come first.
    divisor = np.where(relevance > 0, np.maximum(seen.mean(axis=0), _LEAST), _LEAST)
    return np.asarray(relevance / divisor)
