"""Interactions: pairs and triples of fields by what they tell together beyond an additive model of their parts.

References: Jakulin and Bratko, "Testing the significance of attribute interactions", 2004 (synergy); Bartlett,
"Contingency table interactions", 1935, and Lin, "Variance component testing in generalised linear models with random
effects", 1997 (the null and the statistic, see `ctrsel.stats.synergy`); Benjamini and Hochberg, 1995 (q).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.core.seeds import generator
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._pairs import PairScan, Scanned
from ctrsel.rank._screen import evenness, screen_rows
from ctrsel.rank._triples import Triple, beam_triples, every_triple, scan_triples
from ctrsel.rank.pair_cost import Cost, estimate, workers
from ctrsel.records.ranking import Ranking
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.stats.synergy import InteractionTest, excess_information, interaction_test

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.rank.rows import CodedRows
    from ctrsel.stats.joint import JointCounts

__all__ = ["Interactions"]

_UNITS = {"effect": "nats", "synergy": "nats", "z": "sd"}
_KEEP_Z = 2.0  # of the screen: one noise pair in 44 passes
_REACH = 0.9  # share of the pairs for whose triples a sample has the stated power
_LEAST_SAMPLE = 5_000  # rows
_FIT_Z = 2.0  # pairs whose deviate is below keep the one that was made without a fit
_SCREEN_LEAST = 5  # rows of a value in the sample
_MAX_CELLS = 2**63

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One candidate as it is ranked."""

    fields: tuple[str, ...]
    information: float
    synergy: float
    cells: int
    test: InteractionTest
    fitted: bool


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
        threads: Pairs counted at once; None for all processors. It changes no number.
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
    threads: int | None = None

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
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"interactions.threads: must be at least 1, got {self.threads}")

    def cost(self, counts: TableCounts) -> Cost:
        """Estimate what counting all pairs on all training rows takes."""
        names, _ = _usable(counts)
        sizes = [len(counts.fields[n].train.totals) for n in names]
        rows = next((c.train.rows for c in counts.fields.values()), 0)
        return estimate(rows=rows, sizes=sizes, threads=workers(self.threads))

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the pairs; ties stand in the order of `z`, then of their names."""
        rows = counts.need_rows("interactions")
        names, refused = _usable(counts)
        notes = list(counts.notes)
        positives = int(np.count_nonzero(rows.labels))
        if not 0 < positives < rows.n_rows:
            raise DataError(
                f"interactions: labels of both classes are needed, got {positives} positive of {rows.n_rows} rows"
            )
        columns = {name: np.asarray(rows.column(name)) for name in names}
        work = _Work(
            ranker=self,
            rows=rows,
            columns=columns,
            sizes={n: rows.sizes[n] for n in names},
            shared={n: evenness(counts.fields[n].train.totals) for n in names},
            single={n: excess_information(c.positives, c.totals) for n in names for c in (counts.fields[n].train,)},
            threads=workers(self.threads),
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
        items: Sequence[_Item],
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The steps of one ranking."""

    ranker: Interactions
    rows: CodedRows
    columns: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    shared: Mapping[str, float]
    single: Mapping[str, float]
    threads: int
    seed: int
    notes: list[str]

    def tiers(self, needed: Sequence[int], what: str) -> dict[int, list[int]]:
        """Return sample sizes with the places of the candidates that each is enough for, smallest first.

        The sizes are all rows, a quarter, a quarter of that, and so on; samples are nested.
        """
        n = self.rows.n_rows
        out: dict[int, list[int]] = {}
        for place, wanted in enumerate(needed):
            size = n
            while size // 4 >= max(wanted, _LEAST_SAMPLE):
                size //= 4
            out.setdefault(size, []).append(place)
        short = sum(wanted > n for wanted in needed)
        told = ", ".join(f"{len(places)} on {size}" for size, places in sorted(out.items()))
        self.notes.append(
            f"screened {len(needed)} {what} on as many rows as see {self.ranker.detectable} nats beyond z = {_KEEP_Z} "
            f"with a probability of {self.ranker.power}: {told} rows"
            + (f"; the {short} of most cells would need more rows than there are" if short else "")
        )
        return dict(sorted(out.items()))

    def scan(self, size: int, names: Sequence[str]) -> PairScan:
        """Return what counts pairs of these fields on a sample of rows, or on all of them."""
        n = self.rows.n_rows
        if size == n:
            return self.exact()
        order = generator(self.seed, "rank", "interactions", "rows").permutation(n)
        chosen = np.sort(order[:size])
        dense, sizes = {}, {}
        for name in names:
            values, codes = np.unique(self.columns[name][chosen], return_inverse=True)
            dense[name], sizes[name] = codes.astype(np.min_scalar_type(len(values))), len(values)
        return PairScan(dense, sizes, self.rows.labels[chosen], threads=self.threads, least_rows=_SCREEN_LEAST)

    def exact(self) -> PairScan:
        """Return what counts pairs of all rows."""
        return PairScan(self.columns, self.sizes, self.rows.labels, threads=self.threads)

    def tell(self, what: str, candidates: int, rows: int) -> None:
        """Log what is going to be done and what it takes."""
        cost = estimate(rows=rows, sizes=list(self.sizes.values()), pairs=candidates, threads=self.threads)
        event(what, candidates=candidates, rows=rows, seconds=cost.seconds, mebibytes=cost.bytes / 2**20)

    def pairs(self) -> tuple[list[_Item], int]:
        """Count the pairs, all or those that pass the screen; return them and how many candidates there were."""
        wanted: list[_Pair] = list(combinations(self.columns, 2))
        n, candidates = self.rows.n_rows, len(wanted)
        found: dict[_Pair, Scanned] = {}
        if self.ranker.pairs == "auto" and candidates * n > self.ranker.affordable:
            needed = self.needed([self.shared[a] * self.shared[b] for a, b in wanted])
            passed: list[_Pair] = []
            for size, places in self.tiers(needed, "pairs").items():
                pairs = [wanted[place] for place in places]
                self.tell("screen pairs", len(pairs), size)
                seen = self.scan(size, sorted({name for pair in pairs for name in pair})).pairs(pairs)
                if size == n:
                    found |= seen
                else:
                    passed += [pair for pair in pairs if seen[pair].test.z >= _KEEP_Z]
            self.notes.append(f"{len(passed)} pairs of samples passed and were counted on all rows")
            wanted = passed
        self.tell("count pairs", len(wanted), n)
        found |= self.exact().pairs(wanted)
        return [self.item(pair, scanned) for pair, scanned in sorted(found.items())], candidates

    def needed(self, shared: Sequence[float]) -> list[int]:
        """Return the rows at which the screen sees what it must, for each chance that two rows share a cell."""
        return screen_rows(shared, detectable=self.ranker.detectable, power=self.ranker.power, keep_z=_KEEP_Z)

    def item(self, pair: _Pair, scanned: Scanned) -> _Item:
        """Return a counted pair as it is ranked; the additive model is fitted where there may be something."""
        test, fitted = scanned.test, scanned.fitted
        if not fitted and test.z >= _FIT_Z:
            test, fitted = interaction_test(self.rows.joint(pair)), True
        return _Item(
            fields=pair,
            information=scanned.information,
            synergy=scanned.information - scanned.expected - sum(self.single[f] for f in pair),
            cells=scanned.cells,
            test=test,
            fitted=fitted,
        )

    def triples(self) -> tuple[list[_Item], int]:
        """Screen triples and test those that pass on all rows; return them and how many candidates there were."""
        names = list(self.columns)
        every = len(names) * (len(names) - 1) * (len(names) - 2) // 6
        pairs_shared = [self.shared[a] * self.shared[b] for a, b in combinations(names, 2)]
        # The third field of most triples is at least as even as the median one.
        third = float(np.median(list(self.shared.values())))
        needed = self.needed([float(np.quantile(pairs_shared, 1 - _REACH)) * third])
        ((size, _),) = self.tiers(needed, "triples").items()
        scan = self.scan(size, names)
        pairs = {pair: found.test.z for pair, found in scan.pairs(list(combinations(names, 2))).items()}
        way = self.ranker.triples
        if way == "auto":
            way = "all" if every * scan.rows <= self.ranker.affordable else "beam"
        tried = every_triple(names, pairs) if way == "all" else beam_triples(names, pairs, beam=self.ranker.beam)
        candidates = sum(len(thirds) for thirds in tried.values())
        self.notes.append(
            f"all {candidates} triples were tried"
            if way == "all"
            else f"{candidates} of {every} triples were tried, those of the {len(tried)} best pairs; a triple without a "
            "telling pair in it is not found so"
        )
        self.tell("screen triples", candidates, scan.rows)
        seen = scan_triples(scan, tried)
        passed = [t for t in seen if t.z >= _KEEP_Z and self._nameable(t.fields)]
        passed.sort(key=lambda t: (-t.z, t.fields))
        kept = passed[: 4 * self.ranker.top]
        if len(kept) < len(passed):
            self.notes.append(f"the first {len(kept)} of {len(passed)} triples that passed the screen were tested")
        self.tell("test triples", len(kept), self.rows.n_rows)
        return [self.triple(t) for t in kept], candidates

    def _nameable(self, fields: Sequence[str]) -> bool:
        return float(np.prod([float(self.sizes[f]) for f in fields])) < _MAX_CELLS / 2

    def triple(self, triple: Triple) -> _Item:
        """Count a triple on all rows and test it against the model of its pairs."""
        counts = self.rows.joint(triple.fields)
        parts = []
        for place in range(3):
            rest = [i for i in range(3) if i != place]
            parts.append(_excess(counts, rest) + self.single[triple.fields[place]])
        return _Item(
            fields=triple.fields,
            information=excess_information(counts.positives, counts.totals) + _expected(counts),
            synergy=excess_information(counts.positives, counts.totals) - max(parts),
            cells=len(counts.cells),
            test=interaction_test(counts),
            fitted=True,
        )


def _expected(counts: JointCounts) -> float:
    from ctrsel.stats.permutation import expected_mutual_information

    return expected_mutual_information(int(counts.positives.sum()), counts.totals)


def _excess(counts: JointCounts, places: Sequence[int]) -> float:
    """Return the excess information of some of the fields of a joint table."""
    keys = counts.codes(places[0]) * counts.sizes[places[1]] + counts.codes(places[1])
    groups = np.unique(keys, return_inverse=True)[1]
    positives = np.bincount(groups, weights=counts.positives).astype(np.int64)
    return excess_information(positives, np.bincount(groups, weights=counts.totals).astype(np.int64))
