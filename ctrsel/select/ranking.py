"""By ranking: whole fields in the order of a ranking until the size is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.rank import rank
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["ByRanking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRanking(Selector):
    """Keep the best-ranked fields; the field at the edge of the size keeps its most frequent values.

    A field that stays a float has no values and is kept whatever its rank; a field that was not ranked keeps none.

    Attributes:
        ranking: Which ranking to follow; one that the problem lacks is made, by the ranker of this name with its defaults.
        max_q: Fields whose q-value is above this are not wanted, where the ranking has q-values.
    """

    ranking: str = "mutual_information"
    max_q: float = 0.05

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")
    refuses: ClassVar[str] = "its q-value is above {max_q}, or it was not ranked"

    def __post_init__(self) -> None:
        if not 0 < self.max_q <= 1:
            raise ConfigError(f"max_q: must be in (0, 1], got {self.max_q}")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Read the ranking, or make it, for which alone the seed is used.

        Raises:
            ConfigError: If there is neither such a ranking nor a ranker of this name, or it does not rank fields.
        """
        began = time.perf_counter()
        ranking = problem.rankings.get(self.ranking)
        if ranking is None:
            if self.ranking not in RANKERS.names():
                known = sorted({*problem.rankings, *RANKERS.names()})
                raise unknown_name("ranking", self.ranking, known, place="select.ranking")
            (ranking,) = rank(problem.table, [RANKERS.load(self.ranking)()], seed=seed)
        if ranking.item != "field":
            raise ConfigError(
                f"select.ranking: {self.ranking!r} ranks items of kind {ranking.item!r}; name a ranking of fields"
            )
        q = dict(zip(ranking.frame["field"], ranking.frame["q"], strict=True)) if "q" in ranking.frame.columns else {}
        # By place: what a score means, and which end of it is good, is the ranking's to say.
        scores = {name: -float(i) for i, name in enumerate(ranking.order)}
        # A q-value that is absent or no number says nothing against a field.
        good = frozenset(name for name in scores if (found := q.get(name)) is None or not found > self.max_q)
        return ScoredFields(
            problem=problem,
            method="ranking",
            params=describe(self),
            scores=scores,
            wanted=good,
            evidence=(ranking.digest,),
            seconds=time.perf_counter() - began,
        )
