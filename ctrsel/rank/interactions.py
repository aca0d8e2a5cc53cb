"""Interactions: pairs and triples of fields by what they tell together beyond an additive model of their parts.

References: Jakulin and Bratko, "Testing the significance of attribute interactions", 2004 (synergy); Bartlett,
"Contingency table interactions", 1935, and Lin, "Variance component testing in generalised linear models with random
effects", 1997 (the null and the statistic, see `ctrsel.stats.synergy`); Benjamini and Hochberg, 1995 (q).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank._candidates import Item, Work
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import dependence_notes
from ctrsel.rank._screen import evenness
from ctrsel.rank.pair_cost import Cost, estimate, workers
from ctrsel.records.ranking import Ranking
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.stats.synergy import excess_information

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["Interactions"]

_UNITS = {"effect": "nats", "synergy": "nats", "z": "sd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions(CountRanker):
    """Pairs (and triples) of fields on the training rows, each against the model that is additive in its fields.

    Columns of the ranking: `fields`, `joint_mi` (plain information of the fields together), `synergy` (less that of
    each field, each less its mean under shuffled labels; for a triple less that of its best part and the field left
    over), `beyond_additive` (the effect: nats a row that a cross tells beyond both fields in an additive model; `low`
    and `high` are its 95 % interval), `z`, `p`, `q` (Benjamini-Hochberg over all candidates; those that the screen left
    out count with p = 1), `fitted` (whether the additive model was fitted, or the rates of the single fields were
    taken), `cells`, `rows_per_cell`, `single_scores` (excess information of each field).

    All pairs are counted exactly while rows times pairs stay within `affordable`. Beyond, every pair is screened on a
    sample of rows first; the sample's size follows from `detectable`, `power` and the pair's cells (`screen_rows` in
    `_screen.py` has the formula), and pairs with z of at least 2 in it are counted on all rows.

    Triples are extended from the `beam` best pairs, unless all triples of a sample are affordable as well. A beam finds
    a triple only if one of its pairs is among the best: a parity of three fields, none of whose pairs tells anything,
    is found by the exhaustive way only.

    Attributes:
        by: What the score is. "effect": `beyond_additive` where `q` is at most `alpha`, 0 where chance may explain the
            pair; those stand in the order of `z`. "synergy" and "z" are these columns.
        alpha: Share of false discoveries that the effect may contain.
        order: Largest number of fields: 2 or 3.
        pairs: "auto", or "all" to count every pair on all rows, whatever it costs; the estimate is logged first.
        top: Pairs and triples that the ranking lists.
        detectable: Nats a row that the screen is to see.
        power: With which probability.
        affordable: Rows times pairs that are counted without a screen.
        beam: Pairs that are extended to triples.
        triples: "auto", "beam" or "all" triples, screened on a sample that has the stated power.
    """

    needs: ClassVar[Literal["field", "rows"]] = "rows"

    by: Literal["effect", "synergy", "z"] = "effect"
    alpha: float = 0.05
    order: int = 2
    pairs: Literal["auto", "all"] = "auto"
    top: int = 50
    detectable: float = 0.005
    power: float = 0.9
    affordable: int = 2_000_000_000
    beam: int = 10
    triples: Literal["auto", "beam", "all"] = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (("by", tuple(_UNITS)), ("pairs", ("auto", "all")), ("triples", ("auto", "beam", "all"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"interactions.{name}: must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        if self.order not in (2, 3):
            raise ConfigError(f"interactions.order: must be 2 or 3 fields, got {self.order}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"interactions.alpha: must be between 0 and 1, got {self.alpha}")
        if not 0.5 <= self.power < 1:
            raise ConfigError(f"interactions.power: must be at least 0.5 and below 1, got {self.power}")
        if self.detectable <= 0:
            raise ConfigError(f"interactions.detectable: must be above 0 nats, got {self.detectable}")
        for name in ("top", "beam", "affordable"):
            if getattr(self, name) < 1:
                raise ConfigError(f"interactions.{name}: must be at least 1, got {getattr(self, name)}")

    def cost(self, counts: TableCounts) -> Cost:
        """Estimate what counting all pairs on all training rows takes."""
        names, _ = _usable(counts)
        sizes = [counts.fields[n].train.size for n in names]
        rows = next((c.train.rows for c in counts.fields.values()), 0)
        return estimate(rows=rows, sizes=sizes, threads=workers(counts.threads))

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the pairs; ties stand in the order of `z`, then of their names."""
        rows = counts.need_rows("interactions")
        names, refused = _usable(counts)
        notes = [*counts.notes, *dependence_notes(counts)]
        positives = int(np.count_nonzero(rows.labels))
        if not 0 < positives < rows.n_rows:
            raise DataError(
                f"interactions: labels of both classes are needed, got {positives} positive of {rows.n_rows} rows"
            )
        columns = {name: np.asarray(rows.column(name)) for name in names}
        work = Work(
            ranker=self,
            rows=rows,
            columns=columns,
            sizes={n: rows.sizes[n] for n in names},
            shared={n: evenness(counts.fields[n].train.totals) for n in names},
            single={n: excess_information(c.positives, c.totals) for n in names for c in (counts.fields[n].train,)},
            threads=workers(counts.threads),
            seed=counts.seed,
            notes=notes,
        )
        items, candidates = work.pairs()
        if self.order == 3 and len(names) >= 3:
            more, tried = work.triples()
            items, candidates = items + more, candidates + tried
        return self._ranking(items, candidates, single=work.single, counts=counts, refused=refused, notes=notes)

    def _ranking(
        self,
        items: Sequence[Item],
        candidates: int,
        *,
        single: Mapping[str, float],
        counts: TableCounts,
        refused: Mapping[str, str],
        notes: list[str],
    ) -> Ranking:
        import polars as pl

        p = np.array([i.test.p_value for i in items] + [1.0] * (candidates - len(items)))
        q = benjamini_hochberg(p)[: len(items)]
        z = np.array([i.test.z for i in items], dtype=np.float64)
        effect = np.array([i.test.beyond_additive for i in items], dtype=np.float64)
        score = {
            "effect": np.where(q <= self.alpha, np.maximum(effect, 0.0), 0.0),
            "synergy": np.array([i.synergy for i in items], dtype=np.float64),
            "z": z,
        }[self.by]
        crosses = ["*".join(i.fields) for i in items]
        order = np.lexsort((np.array(crosses, dtype=str), -z, -score))[: self.top].tolist()
        if len(order) < candidates:
            notes.append(f"lists {len(order)} of {candidates} candidates; all of them count in q")
        schema: dict[str, Any] = {
            "field": pl.String,
            "fields": pl.List(pl.String),
            "score": pl.Float64,
            "rank": pl.Int64,
            "joint_mi": pl.Float64,
            "synergy": pl.Float64,
            "beyond_additive": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "z": pl.Float64,
            "p": pl.Float64,
            "q": pl.Float64,
            "fitted": pl.Boolean,
            "cells": pl.Int64,
            "rows_per_cell": pl.Float64,
            "single_scores": pl.List(pl.Float64),
        }
        n = next((c.train.rows for c in counts.fields.values()), 0)
        rows: list[dict[str, Any]] = [
            {
                "field": crosses[i],
                "fields": list(items[i].fields),
                "score": float(score[i]),
                "rank": place + 1,
                "joint_mi": items[i].information,
                "synergy": items[i].synergy,
                "beyond_additive": items[i].test.beyond_additive,
                "low": items[i].test.low,
                "high": items[i].test.high,
                "z": items[i].test.z,
                "p": items[i].test.p_value,
                "q": float(q[i]),
                "fitted": items[i].fitted,
                "cells": items[i].cells,
                "rows_per_cell": n / max(items[i].cells, 1),
                "single_scores": [single[f] for f in items[i].fields],
            }
            for place, i in enumerate(order)
        ]
        return Ranking(
            method="interactions",
            params=describe(self),
            unit=_UNITS[self.by],
            null="the model that is additive in the log-odds of the fields (of their pairs, for triples)",
            frame=pl.DataFrame(rows, schema=schema),
            refused=refused,
            notes=tuple(notes),
            table=counts.table,
            item="cross",
        )


def _usable(counts: TableCounts) -> tuple[list[str], dict[str, str]]:
    """Return the fields that can be crossed, and why the others cannot."""
    refused, names = dict(counts.refused), []
    for name, field in counts.fields.items():
        totals = field.train.totals
        if np.count_nonzero(totals) < 2:
            refused[name] = "has one value in the training rows, so that it adds nothing to another field"
        elif int(totals.max()) == 1:
            refused[name] = "has another value in every training row, so that no two rows share a cell"
        else:
            names.append(name)
    return names, refused
