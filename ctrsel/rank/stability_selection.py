"""StabilitySelection: how often a field is among a ranker's first ones when it sees half of the rows.

References: Meinshausen and Buehlmann, "Stability selection", 2010, theorem 1 (the bound on false selections); Shah and
Samworth, "Variable selection with error control: another look at stability selection", 2013, section 2 (complementary
pairs) and theorem 2 (the unimodal bound).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import progress
from ctrsel.core.seeds import derive, generator
from ctrsel.rank import CATALOG
from ctrsel.rank._contract import CountRanker, ModelRanker, Ranker
from ctrsel.rank._importance import ranked
from ctrsel.rank._resampled import random_rows, subset
from ctrsel.rank.counts import FieldCounts, TableCounts
from ctrsel.rank.driver import count
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.stats.counts import LabelCounts, label_counts, weighted_label_counts
from ctrsel.stats.selection_bounds import unimodal_factor

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["StabilitySelection"]

Halves = Callable[[np.ndarray, np.ndarray, int], Iterator["Ranking"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilitySelection(ModelRanker):
    """Share of the half samples of the training rows in which a field is among the first ones of a ranker.

    Halves come in pairs that share no row; where the table has groups, no group either. Equal shares stand in the order of
    the mean rank. A model that is given is not used: it has seen all rows.

    Columns of the ranking: `stable` (whether the share reaches the threshold), `both` (share of the pairs with the field
    among the first in both halves), `mean_rank`. The notes say how many false selections are to be expected at most.

    Attributes:
        ranker: What ranks the fields of each half.
        pairs: How many pairs of halves; the ranker runs twice as often.
        top: How many first fields count; None for as many as keep the bound at `errors`, at least one.
        threshold: Share from which on a field is stable, above one half.
        errors: Bound on the expected number of noise fields that are stable, where `top` is None.
    """

    weighted: ClassVar[bool] = True  # if the ranker is; `score` refuses otherwise

    ranker: Ranker = field(default_factory=MutualInformation, metadata={"catalog": CATALOG})
    pairs: int = 25
    top: int | None = None
    threshold: float = 0.9
    errors: float = 1.0

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ConfigError(f"stability_selection.pairs: must be at least 1, got {self.pairs}")
        if self.top is not None and self.top < 1:
            raise ConfigError(f"stability_selection.top: must be at least 1, or None, got {self.top}")
        if not 0.5 < self.threshold <= 1:
            raise ConfigError(f"stability_selection.threshold: must be above 0.5 and at most 1, got {self.threshold}")
        if not self.errors > 0:
            raise ConfigError(f"stability_selection.errors: must be above 0, got {self.errors}")
        if isinstance(self.ranker, StabilitySelection):
            raise ConfigError("stability_selection.ranker: must not be stability_selection again")

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Rank the fields of all halves, and count.

        Raises:
            ConfigError: If the ranker ranks crosses or values.
            DataError: If rows have weights that the ranker has no use for, or there are fewer than 4 training rows.
        """
        name = describe(self.ranker)["use"]
        if table.weight is not None and not self.ranker.weighted:
            raise DataError(
                f"stability_selection: its ranker {name} has no null for weighted rows, and these have weights"
            )
        train = table.part("train")
        half = train.n_rows // 2
        if half < 2:
            raise DataError(f"stability_selection: needs at least 4 training rows, got {train.n_rows}")
        rank_halves = self._of_counts(table) if isinstance(self.ranker, CountRanker) else self._of_table(table)
        names = table.schema.names
        places = np.full((2 * self.pairs, len(names)), len(names) + 1, dtype=np.int64)  # absent: behind all
        reasons: dict[str, str] = {}
        seen: set[str] = set()
        with progress("halves", 2 * self.pairs, unit="rankings") as bar:
            for b in range(self.pairs):
                order = random_rows(train, rng=generator(seed, "rank", "stability_selection", b))
                ends = (order[:half], order[train.n_rows - half :])
                rankings = rank_halves(*ends, derive(seed, "rank", "stability_selection", "ranker", b))
                for i, ranking in enumerate(rankings):
                    if ranking.item != "field":
                        raise ConfigError(
                            f"stability_selection.ranker: must rank fields, {name} ranks items of kind {ranking.item!r}"
                        )
                    for place, item in enumerate(ranking.order, start=1):
                        places[2 * b + i, names.index(item)] = place
                    seen.update(ranking.order)
                    reasons |= {f: reason for f, reason in ranking.refused.items() if f not in reasons}
                    bar.advance(1)
        refused = {f: reasons.get(f, f"{name} did not rank it") for f in names if f not in seen}
        return self._ranking(table, places, refused=refused, half=half)

    def _ranking(self, table: Table, places: np.ndarray, *, refused: dict[str, str], half: int) -> Ranking:
        kept = [j for j, name in enumerate(table.schema.names) if name not in refused]
        names = [table.schema.names[j] for j in kept]
        places, fields = places[:, kept], max(len(kept), 1)
        slack = 2 * self.threshold - 1
        top = self.top if self.top is not None else max(1, math.floor(math.sqrt(self.errors * slack * fields)))
        chosen = places <= min(top, len(table.schema.fields))
        share, both = chosen.mean(axis=0), (chosen[0::2] & chosen[1::2]).mean(axis=0)
        worst = top**2 / (slack * fields)
        unimodal = unimodal_factor(self.threshold, self.pairs, top / fields) * top**2 / fields

        def by(values: np.ndarray) -> dict[str, float]:
            return dict(zip(names, values.tolist(), strict=True))

        stable = share >= self.threshold
        return ranked(
            "stability_selection",
            by(share),
            columns={
                "stable": by(stable),
                "both": by(both),
                "mean_rank": by(places.mean(axis=0)),
            },
            params=describe(self),
            unit="share",
            null=None,
            refused=refused,
            notes=(
                f"{self.pairs} pairs of halves of {half} training rows, the first {top} of {fields} fields",
                f"{int(stable.sum())} fields reach the threshold {self.threshold:g}; expected noise fields among them: at most "
                f"{worst:.2g} (worst case, if noise fields are ranked no better than others and all alike), at most "
                f"{unimodal:.2g} (if shares of fields seldom chosen are unimodal)",
                "where rows depend on each other across halves, the halves agree about noise, too"
                if table.time is not None and table.group is None
                else "halves share no group"
                if table.group is not None
                else "halves share no row",
            ),
            table=table.digest,
            ties=by(-places.mean(axis=0)),
        )

    def _of_table(self, table: Table) -> Halves:
        """Return what ranks two halves by models trained on them, with all validation rows."""
        start = table.span("train").start
        valid = np.arange(table.n_rows)[table.span("valid")]
        ranker = self.ranker
        assert isinstance(ranker, ModelRanker)

        def halves(first: np.ndarray, second: np.ndarray, seed: int) -> Iterator[Ranking]:
            for i, rows in enumerate((first, second)):
                yield ranker.score(subset(table, np.sort(rows) + start, valid), seed=derive(seed, i))

        return halves

    def _of_counts(self, table: Table) -> Halves:
        """Return what ranks two halves by their counts; what is counted of validation rows stays as it is."""
        whole = count(table, threads=1)
        rows = whole.need_rows("stability_selection")
        ranker = self.ranker
        assert isinstance(ranker, CountRanker)
        size = rows.n_rows

        def counted(at: np.ndarray) -> TableCounts:
            fields = {}
            for name, known in whole.fields.items():
                # One column at a time: all of them together may not fit in memory.
                codes, y, v = rows.columns[name][at], rows.labels[at], rows.sizes[name]
                weighted = None
                if rows.weight is not None:
                    weighted = weighted_label_counts(codes, y, size=v, weight=rows.weight[at])
                fields[name] = replace(known, train=label_counts(codes, y, size=v), weighted_train=weighted)
            wanted = ranker.needs == "rows" or rows.weight is not None  # a null for weights is drawn from rows
            return replace(whole, fields=fields, rows=rows.take(at) if wanted else None)

        def halves(first: np.ndarray, second: np.ndarray, seed: int) -> Iterator[Ranking]:
            one = counted(np.sort(first))
            yield ranker.score(replace(one, seed=derive(seed, 0)))
            if ranker.needs == "field" and rows.weight is None and len(first) + len(second) == size:
                other = replace(one, fields={n: _rest(whole.fields[n], c) for n, c in one.fields.items()})
            else:
                other = counted(np.sort(second))
            yield ranker.score(replace(other, seed=derive(seed, 1)))

        return halves


def _rest(whole: FieldCounts, part: FieldCounts) -> FieldCounts:
    """Return the counts of the training rows that are not in the part: counts add up exactly."""
    totals, positives = whole.train.totals - part.train.totals, whole.train.positives - part.train.positives
    return replace(part, train=LabelCounts(positives=positives, totals=totals))
