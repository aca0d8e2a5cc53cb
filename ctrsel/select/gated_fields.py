"""Fields by the gates of a net: search with a gate on fields, and keep those that it wants most.

References: those of the gates: Wang et al., "AutoField", 2022; Guo et al., "LPFS", 2022; Lin et al., "AdaFS", 2022; Lee et
al., "MvFS", 2023; Yasuda et al., "Sequential attention for feature selection", 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose
from ctrsel.core.seeds import derive, generator
from ctrsel.models.gates import CATALOG as GATES
from ctrsel.models.gates import Gate
from ctrsel.models.gates.autofield import AutoField
from ctrsel.rank._resampled import random_rows, subset
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.train import Fit

__all__ = ["GatedFields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedFields(Selector):
    """Train the net with a gate per field; what is kept is retrained from new weights.

    Attributes:
        gate: The gate method, one on fields.
        searches: How many trainings have a say. Fields that say nearly the same change places between seeds, so a set of one
            search is one of several; with more, a field's score is its mean place: the share of the fields that score less.
        resplit: Whether each search after the first learns from other validation rows, as many as there are, drawn with
            groups kept whole out of training and validation rows: what one search makes of the noise of its validation
            rows the others do not share. Not for rows in an order of time that shall be kept.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")
    refuses: ClassVar[str] = "its gate closed in the search"
    gate: Gate = field(default_factory=AutoField, metadata={"catalog": GATES})
    searches: int = field(default=1, metadata=choose(1, 3, 5))
    resplit: bool = False

    def __post_init__(self) -> None:
        if self.searches < 1:
            raise ConfigError(f"gated_fields.searches: must be at least 1, got {self.searches}")
        if self.gate.site != "field":
            known = [name for name in GATES.names() if GATES.load(name).site == "field"]
            raise ConfigError(
                f"gated_fields.gate: must be a gate on fields, one of {', '.join(known)}; got {describe(self.gate)['use']!r}"
            )

    def fits(self, *, fields: int, rows: int) -> float:
        """One for each search after the first."""
        return self.searches - 1.0

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Search; gates that pick fields one by one stop at the largest number asked for."""
        gate = self.gate
        asked = [size.number if size.of == "fields" else len(problem.table.schema.names) for size in sizes]
        if asked and not problem.groups and 0 < max(asked) < len(problem.table.schema.names):
            # A group that is too large is passed over, so with groups any field may be asked for.
            gate = gate.reaching(max(asked))
        scores, kept, history, seconds = list[Mapping[str, float]](), list[frozenset[str]](), list[Any](), 0.0
        for i in range(self.searches):
            fit = self._fit(problem, gate, i, seed=seed)
            if fit.kept_fields is None or fit.field_scores is None:
                raise ConfigError(
                    "select.learner: a selection by gates needs a learner with gates, such as net; got "
                    f"{describe(problem.learner)['use']!r}"
                )
            scores.append(fit.field_scores)
            kept.append(fit.kept_fields)
            history += fit.history if self.searches == 1 else [{"search": i, **told} for told in fit.history]
            seconds += fit.seconds
        wanted = frozenset(n for n in scores[0] if 2 * sum(n in k for k in kept) > len(kept))
        return ScoredFields(
            problem=problem,
            method="gated_fields",
            params=describe(self),
            scores=scores[0] if len(scores) == 1 else _places(scores),
            wanted=wanted if gate.decides else None,
            history=tuple(history),
            seconds=seconds,
        )

    def _fit(self, problem: Problem, gate: Gate, i: int, *, seed: int) -> Fit:
        """Do search `i`; the first is what one alone would be."""
        if not i:
            return problem.learner.fit(problem.table, gate=gate, work=problem.work, seed=seed)
        table, work = problem.table, None if problem.work is None else problem.work / f"search_{i}"
        if self.resplit:
            table = _resplit(table, seed=derive(seed, "select", "gated_fields", "rows", i))
        return problem.learner.fit(table, gate=gate, work=work, seed=derive(seed, "select", "gated_fields", i))


def _places(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return by field the mean over searches of the share of the fields that score less."""
    names = list(scores[0])
    each = np.array([[s[n] for n in names] for s in scores], dtype=np.float64)
    below = [np.searchsorted(np.sort(row), row) / len(names) for row in each]
    return dict(zip(names, np.mean(below, axis=0).tolist(), strict=True))


def _resplit(table: Table, *, seed: int) -> Table:
    """Return training and validation rows in another division into about as many of both; groups stay together."""
    spans = [table.span(s) for s in ("train", "valid")]
    at = np.concatenate([np.arange(span.start, span.stop) for span in spans])
    rows = at[random_rows(table.take(at), rng=generator(seed, "resplit"))]
    cut = spans[1].stop - spans[1].start
    while table.group is not None and cut < len(rows) and table.group[rows[cut]] == table.group[rows[cut - 1]]:
        cut += 1
    return subset(table, np.sort(rows[cut:]), np.sort(rows[:cut]))
