"""Outrank3mr: relevance less redundancy plus relation, OutRank's 3MR order, with terms that are free of cardinality.

Reference: Skrlj and Mramor, "OutRank: speeding up AutoML-based model search for large sparse data sets with
cardinality-aware feature ranking", 2023; package outrank 0.97.5, `rank_features_3MR`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import FieldTerms, check_rows
from ctrsel.rank._greedy import greedy, greedy_ranking
from ctrsel.stats.information import mutual_information
from ctrsel.stats.permutation import expected_mutual_information

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["Outrank3mr"]

_AGGREGATES: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean, "sum": np.sum}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outrank3mr(CountRanker):
    """Chooses the largest I(F; Y) - alpha agg I(F; S) + beta agg I((F, S); Y) over the chosen S.

    The three sets of terms are each stretched to run from 0 to 1. Every term is less its exact mean under its null, and
    pairs of values are counted without collisions. Columns: `criterion` (at the step of choice, without unit; the score
    is its lowest value so far, the first field's counts 1 + beta), `mi_minus_expected`, `partner` (the chosen field that
    relates most), `chosen`.

    Attributes:
        alpha: Weight of the redundancy.
        beta: Weight of the relation.
        aggregate: Over the chosen fields: "median", "mean" or "sum".
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    alpha: float = 1.0
    beta: float = 1.0
    aggregate: Literal["median", "mean", "sum"] = "median"
    rows: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 0 <= value < np.inf:
                raise ConfigError(f"outrank_3mr.{name}: must be a finite number of at least 0, got {value}")
        if self.aggregate not in _AGGREGATES:
            raise ConfigError(f"outrank_3mr.aggregate: must be one of {', '.join(_AGGREGATES)}, got {self.aggregate!r}")
        check_rows("outrank_3mr", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields in the order of choice; every pair is counted once."""
        terms = FieldTerms(counts, ranker="outrank_3mr", rows=self.rows)
        fields, together = len(terms), _AGGREGATES[self.aggregate]
        redundancy, relation = np.zeros((fields, fields)), np.zeros((fields, fields))
        # DEVIATION(Skrlj and Mramor 2023): every term is less its exact mean when labels, or the rows of one field, are
        # shuffled; the package gives all terms 0, as its releases know no such heuristic.
        for i in range(fields):
            for j in range(i + 1, fields):
                joint = terms.joint(i, j)
                redundancy[i, j] = redundancy[j, i] = terms.plain(joint, i, j) - terms.null(i, j)[0]
                told = mutual_information(joint.positives, joint.totals)
                by_chance = expected_mutual_information(int(joint.positives.sum()), joint.totals)
                relation[i, j] = relation[j, i] = told - by_chance
        # DEVIATION(Skrlj and Mramor 2023): redundancy is stretched over pairs of different fields; the package takes in each
        # field with itself, so that the entropy of an id would set the scale.
        pair = ~np.eye(fields, dtype=bool)
        both = np.stack([_stretched(redundancy, pair), _stretched(relation, pair)], axis=-1)
        relevance = _stretched(terms.relevance, np.ones(fields, dtype=bool))

        def criterion(own: np.ndarray, seen: np.ndarray) -> np.ndarray:
            found = together(seen, axis=0)
            return np.asarray(own - self.alpha * found[:, 0] + self.beta * found[:, 1])

        found = greedy(
            terms.names,
            relevance,
            z=terms.z,
            terms=lambda chosen, left: both[chosen, left],
            criterion=criterion,
            decisive=lambda seen: int(np.argmax(seen[:, 1])),
            first=relevance * (1.0 + self.beta),
        )
        return greedy_ranking(
            found,
            terms,
            counts,
            params=describe(self),
            unit="relevance - redundancy + relation, each from 0 to 1",
            null="exact means under shuffled labels, and under shuffled rows of one field of each pair",
        )


def _stretched(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    if not where.any():
        return np.zeros_like(values)
    low, high = values[where].min(), values[where].max()
    return np.where(where, (values - low) / (high - low), 0.0) if high > low else np.zeros_like(values)
