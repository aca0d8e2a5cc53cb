"""By ranking: whole fields in the order of a ranking until the size is used up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.select._contract import Selection, Selector
from ctrsel.select._wishes import merged_groups
from ctrsel.select.problem import Problem

__all__ = ["ByRanking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRanking(Selector):
    """Keep the best-ranked fields; the field at the edge of the size keeps its most frequent values.

    A field that stays a float has no values and is kept whatever its rank; a field that was not ranked keeps none.

    Attributes:
        ranking: Which ranking to follow.
        max_q: Fields whose q-value is above this are not wanted, where the ranking has q-values.
    """

    ranking: str = "mutual_information"
    max_q: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.max_q <= 1:
            raise ConfigError(f"max_q: must be in (0, 1], got {self.max_q}")

    def select(self, problem: Problem, *, size: int, seed: int) -> Selection:
        """Fill the size field by field; a group stands where its best member stands. The seed is not used."""
        if self.ranking not in problem.rankings:
            raise unknown_name("ranking", self.ranking, problem.rankings, place="select.ranking")
        ranking = problem.rankings[self.ranking]
        if ranking.item != "field":
            raise ConfigError(
                f"select.ranking: {self.ranking!r} ranks items of kind {ranking.item!r}; name a ranking of fields"
            )
        q = dict(zip(ranking.frame["field"], ranking.frame["q"], strict=True)) if "q" in ranking.frame.columns else {}
        place = {name: float(i) for i, name in enumerate(ranking.order)}
        # A q-value that is absent or no number says nothing against a field.
        good = {name for name in place if (found := q.get(name)) is None or not found > self.max_q}
        for group in merged_groups(problem.groups):
            best = min((place[f] for f in group if f in place), default=None)
            for f in group:
                if best is not None:
                    place[f] = best
                    if good & set(group):
                        good.add(f)
        encoder = problem.table.encoder
        scores, wanted = {}, {}
        for name, v in encoder.vocabularies.items():
            fields = [f.name for f in encoder.fields if f.vocabulary == name and not f.is_float]
            first = min((place.get(f, np.inf) for f in fields), default=np.inf)
            # Within a field the codes fall by training count, so a smaller code is a more frequent value.
            inside = 1.0 - np.arange(v.size) / max(v.size, 1)
            scores[name] = (-first if np.isfinite(first) else -1e9) + inside * 0.999
            wanted[name] = np.full(v.size, bool(good & set(fields)))
        features = problem.choose(
            scores, size=size, method="ranking", params=describe(self), wanted=wanted, evidence=(ranking.digest,)
        )
        return Selection(features=features)
