"""Stable: how often a selector of fields keeps a field when it sees half of the training rows.

References: Meinshausen and Buehlmann, "Stability selection", 2010, theorem 1 (the bound on false selections); Shah and
Samworth, "Variable selection with error control: another look at stability selection", 2013, section 2 (complementary pairs)
and theorem 2 (the unimodal bound).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive, generator
from ctrsel.rank._resampled import random_rows, subset
from ctrsel.select import CATALOG
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import units
from ctrsel.select.permutation import Permutation
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit
from ctrsel.stats.selection_bounds import unimodal_factor

__all__ = ["Stable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable(Selector):
    """Share of the half samples in which a selector keeps a field when it may keep only a few; equal shares by mean place.

    Halves come in pairs that share no training row, and no group where the table has groups; validation rows are the same
    for all. What the user always keeps is chosen for its worth here, as any other field; groups stay together. The history
    has, of the mean number q of fields kept by a half and the number F of all: the bounds on how many noise fields are
    expected among those whose share reaches the threshold, ``q^2 / ((2 threshold - 1) F)`` in the worst case, less if shares
    are unimodal; both presume that noise fields are kept no more often than at random, and all alike.

    Attributes:
        selector: Of fields; one that reads rankings makes its own on every half.
        pairs: Of halves; the selector runs twice as often.
        number: Fields that it may keep of a half; None for as many as keep the worst-case bound at `errors`, one at least.
        threshold: Share from which on a field is stable, above one half.
        errors: Bound on the expected number of noise fields that are stable, where `number` is None.
        strict: Whether fields below the threshold are never kept, however large the size.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    selector: Selector = field(default_factory=Permutation, metadata={"catalog": CATALOG})
    pairs: int = 5
    number: int | None = None
    threshold: float = 0.8
    errors: float = 1.0
    strict: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.selector, Stable) or "fields" not in self.selector.units:
            raise ConfigError(
                f"stable.selector: must be a selector of fields, and not stable again; got {describe(self.selector)['use']!r}"
            )
        if self.pairs < 1 or (self.number is not None and self.number < 1) or not self.errors > 0:
            raise ConfigError(
                f"stable: needs pairs >= 1, number >= 1 or None, and errors > 0, got {self.pairs}, {self.number}, {self.errors}"
            )
        if not 0.5 < self.threshold <= 1:
            raise ConfigError(f"stable.threshold: must be above 0.5 and at most 1, got {self.threshold}")

    def fits(self, *, fields: int, rows: int) -> float:
        """Those of its selector, on half samples."""
        return self.pairs * self.selector.fits(fields=fields, rows=rows // 2)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Select from all halves, and count.

        Raises:
            DataError: If there are fewer than 4 training rows.
        """
        began = time.perf_counter()
        table = problem.table
        train, start = table.part("train"), table.span("train").start
        valid = np.arange(table.n_rows)[table.span("valid")]
        half = train.n_rows // 2
        if half < 2:
            raise DataError(f"stable: needs at least 4 training rows, got {train.n_rows}")
        names = [n for unit in units(problem) for n in unit]
        fields = max(len(names), 1)
        slack = 2 * self.threshold - 1
        number = self.number or max(1, math.floor(math.sqrt(self.errors * slack * fields)))
        # A group comes whole or not at all, so fewer fields than its own would keep it out for good.
        number = min(max(number, *(len(unit) for unit in units(problem)), 1), fields)
        size = Size(number=number, of="fields")
        kept = np.zeros((2 * self.pairs, len(names)), dtype=bool)
        places = np.zeros((2 * self.pairs, len(names)))
        with progress("halves", 2 * self.pairs, unit="selections") as bar:
            for b in range(self.pairs):
                order = random_rows(train, rng=generator(seed, "select", "stable", b))
                for i, rows in enumerate((order[:half], order[train.n_rows - half :])):
                    part = subset(table, np.sort(rows) + start, valid)
                    smaller = replace(problem, table=part, rankings={}, always_keep=(), work=None)
                    found = self.selector.search(smaller, sizes=(size,), seed=derive(seed, "select", "stable", b, i))
                    kept[2 * b + i], places[2 * b + i] = _kept(found, size, names)
                    bar.advance(1)
        share, place = kept.mean(axis=0), places.mean(axis=0)
        # A group stands as its best member does.
        best = {n: max(place[names.index(m)] for m in unit) for unit in units(problem) for n in unit}
        q = float(kept.sum(axis=1).mean())
        unimodal = unimodal_factor(self.threshold, self.pairs, q / fields) * q**2 / fields
        stable = share >= self.threshold
        event("stable", fields=len(names), kept=q, stable=int(stable.sum()), bound=q**2 / (slack * fields))
        told = {
            "kept_of_a_half": q,
            "stable": float(stable.sum()),
            "false_at_most": q**2 / (slack * fields),
            "false_at_most_if_unimodal": unimodal,
        }
        return ScoredFields(
            problem=problem,
            method="stable",
            params=describe(self),
            # Equal shares stand in the order of the mean place, which is below what one half more or less makes.
            scores={n: float(s + best[n] / (4 * self.pairs)) for n, s in zip(names, share, strict=True)},
            wanted=frozenset(n for n, s in zip(names, stable, strict=True) if s) if self.strict else None,
            history=(told,),
            seconds=time.perf_counter() - began,
        )


def _kept(found: Found, size: Size, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return which fields are kept, bool `[F]`, and the share of the fields that each one's score is above, `[F]`."""
    try:
        features = found.at(size)
    except ConfigError:  # without fields that always stay it says one thing only: it finds nothing worth keeping
        return np.zeros(len(names), dtype=bool), np.zeros(len(names))
    kept = np.array([n in features.fields for n in names], dtype=bool)
    scores = features.field_scores or {}
    score = np.nan_to_num(np.array([scores.get(n, np.nan) for n in names]), nan=-np.inf)
    return kept, np.searchsorted(np.sort(score), score) / max(len(names), 1)
