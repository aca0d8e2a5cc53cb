"""Redundancy: what each field tells about the label that no other field of the same meaning tells already.

References: Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", 2010 (adjusted normalised
information); Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958 (average linkage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import CHANCE, FieldTerms, check_rows
from ctrsel.rank.field_association import associate, same_fields
from ctrsel.records.ranking import Ranking

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.stats.association import ConditionalInformation

__all__ = ["Redundancy"]

_SAME = 12  # decimals to which information is compared: two names of one field differ by rounding only


@dataclass(frozen=True, slots=True, kw_only=True)
class Redundancy(CountRanker):
    """Groups fields that say the same and scores each by what it tells beside the best one of its group, in nats.

    The representative of a group, its field with the most information, scores that information; every other one scores
    what is left of its own when the representative is known (never more than its own; 0 within three standard deviations
    of what chance leaves). A field that chance may explain scores 0, as does a second name of a field; equal scores stand
    in the order of `z`, then of names.

    Columns: `mi_minus_expected`, `z`, `q` (of the field alone), `cluster` (numbered by its best rank), `cluster_size`,
    `representative`, `left_beside_representative`, `nearest` (the other field that shares most), `nearest_nmi` (that
    share, 0 to 1), `nearest_z` (that in standard deviations under shuffled rows), `nearest_tells` (the share of this
    field that the nearest one tells), `left` (of the information when the nearest is known, less its mean under labels
    shuffled within the nearest one's values), `left_z` (that in standard deviations). A single field has no nearest one.

    Attributes:
        threshold: Fields are in one group if they share this much on average (normalised information, 0 to 1).
        alpha: Share of false discoveries among the fields that do not score 0.
        rows: Training rows to count pairs of fields on, drawn with the seed; None for all.
    """

    needs = "rows"

    threshold: float = 0.5
    alpha: float = 0.05
    rows: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"redundancy.threshold: must be above 0 and at most 1, got {self.threshold}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"redundancy.alpha: must be between 0 and 1, got {self.alpha}")
        check_rows("redundancy", self.rows)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields: counts each pair once, then each field with its nearest and its representative again."""
        import polars as pl

        terms = FieldTerms(counts, ranker="redundancy", rows=self.rows)
        names, fields = terms.names, len(terms)
        own, z, q = terms.relevance, terms.z, terms.q
        found = associate(terms)
        group = same_fields(found, threshold=self.threshold)
        best = _representatives(group, own, names)
        nearest = np.argmax(found.share - 2.0 * np.eye(fields), axis=1) if fields > 1 else np.full(fields, -1)
        left = {
            (i, known): terms.left(known, i)
            for i in range(fields)
            for known in {int(best[i]), int(nearest[i])} - {i, -1}
        }
        beside = np.array([own[i] if best[i] == i else left[i, int(best[i])].excess for i in range(fields)])
        chance = np.array([0.0 if best[i] == i else CHANCE * left[i, int(best[i])].deviation for i in range(fields)])
        score = np.where((q <= self.alpha) & (beside > chance), np.maximum(np.minimum(own, beside), 0.0), 0.0)
        score = np.where(np.round(score, _SAME) == 0.0, 0.0, score)
        order = np.lexsort((np.array(names, dtype=str), -np.round(z, 9), -np.round(score, _SAME))).tolist()
        number = {g: i + 1 for i, g in enumerate(dict.fromkeys(group[order].tolist()))}
        alone = fields < 2
        rows = [
            {
                "field": names[i],
                "score": score[i],
                "rank": place + 1,
                "mi_minus_expected": own[i],
                "z": z[i],
                "q": q[i],
                "cluster": number[int(group[i])],
                "cluster_size": int((group == group[i]).sum()),
                "representative": names[best[i]],
                "left_beside_representative": beside[i],
                "nearest": None if alone else names[nearest[i]],
                "nearest_nmi": None if alone else found.share[i, nearest[i]],
                "nearest_z": None if alone else found.z[i, nearest[i]],
                "nearest_tells": None if alone else found.told[i, nearest[i]],
                "left": None if alone else left[i, int(nearest[i])].excess,
                "left_z": None if alone else _z(left[i, int(nearest[i])]),
            }
            for place, i in enumerate(order)
        ]
        texts, whole = {"field", "representative", "nearest"}, {"rank", "cluster", "cluster_size"}
        schema = {c: pl.String if c in texts else pl.Int64 if c in whole else pl.Float64 for c in _COLUMNS}
        return Ranking(
            method="redundancy",
            params=describe(self),
            unit="nats",
            null="exact means under shuffled labels, and under labels shuffled within each value of the representative",
            frame=pl.DataFrame(rows, schema=schema),
            refused=terms.refused,
            notes=terms.notes,
            table=counts.table,
        )


_COLUMNS = (
    "field",
    "score",
    "rank",
    "mi_minus_expected",
    "z",
    "q",
    "cluster",
    "cluster_size",
    "representative",
    "left_beside_representative",
    "nearest",
    "nearest_nmi",
    "nearest_z",
    "nearest_tells",
    "left",
    "left_z",
)


def _z(left: ConditionalInformation) -> float:
    return left.excess / left.deviation if left.deviation else 0.0


def _representatives(group: np.ndarray, own: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return for each field the place of its group's field with the most information, by name where equal."""
    best = np.zeros(len(names), dtype=np.int64)
    for g in np.unique(group):
        members = np.flatnonzero(group == g).tolist()
        best[members] = min(members, key=lambda i: (-round(float(own[i]), _SAME), names[i]))
    return best
