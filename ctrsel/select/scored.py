"""Scored: what most searches find, a score for every value or for every field, from which sizes are cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.select._contract import Found
from ctrsel.select._wishes import merged_groups
from ctrsel.select.size import Size

if TYPE_CHECKING:
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.select.problem import Problem

__all__ = ["Scored", "ScoredFields", "ScoredValues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredValues(Found):
    """Values are kept from the best score down.

    Attributes:
        problem: Whose wishes are honoured.
        method: The selector's name.
        params: Its `{use: ..., parameters}`.
        scores: Per vocabulary float64 `[V]`; larger is better, ties go to the smaller code (the more frequent value).
        wanted: Per vocabulary bool `[V]`: values that the method wants at all; None = all.
        shown: What the feature set tells as scores, where it is not `scores`.
        evidence: Digests of the rankings used.
        merged: Per vocabulary uint32 `[V]`: values that share a code are one; scores are those of the codes it makes.
    """

    problem: Problem
    method: str
    params: Mapping[str, object]
    scores: Mapping[str, np.ndarray]
    wanted: Mapping[str, np.ndarray] | None = None
    shown: Mapping[str, np.ndarray] | None = None
    evidence: tuple[str, ...] = ()
    merged: Mapping[str, np.ndarray] | None = None

    def at(self, size: Size) -> FeatureSet:
        """Keep the best values that size and wishes allow."""
        if size.of != "values":
            raise ConfigError(f"select: {self.method!r} chooses values, so it cannot keep {size}")
        features = self.problem.choose(
            self.scores,
            size=size.number,
            method=self.method,
            params=self.params,
            wanted=self.wanted,
            evidence=self.evidence,
            merged=self.merged,
        )
        return features if self.shown is None else replace(features, scores=self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredFields(Found):
    """Fields are kept from the best score down; a group stands where its best member stands.

    At a size in values whole fields are kept until it is used up, and the field at its edge keeps its most frequent values.
    A field that stays a float has no values and is kept then whatever its score.

    Attributes:
        problem: Whose wishes are honoured.
        method: The selector's name.
        params: Its `{use: ..., parameters}`.
        scores: By field; larger is better; ties go to the field that stands first in the table; a field that is left out, or
            whose score is no number, is not wanted.
        wanted: Fields that the method wants at all; None = all that have a score.
        evidence: Digests of the rankings used.
    """

    problem: Problem
    method: str
    params: Mapping[str, object]
    scores: Mapping[str, float]
    wanted: frozenset[str] | None = None
    evidence: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """All fields that have a score, best first."""
        place = {name: i for i, name in enumerate(self.problem.table.schema.names)}
        scored = [n for n in place if not np.isnan(self.scores.get(n, np.nan))]
        return tuple(sorted(scored, key=lambda n: (-self.scores[n], place[n])))

    def at(self, size: Size) -> FeatureSet:
        """Keep the best fields that size and wishes allow."""
        place = {name: float(i) for i, name in enumerate(self.order)}
        good = set(place) if self.wanted is None else set(place) & self.wanted
        for group in merged_groups(self.problem.groups):
            best = min((place[f] for f in group if f in place), default=None)
            some = bool(good & set(group))
            for f in group:
                if best is not None:
                    place[f] = best
                    if some:
                        good.add(f)
        if size.of == "fields":
            features = self.problem.choose_fields(
                place,
                number=size.number,
                good=frozenset(good),
                method=self.method,
                params=self.params,
                evidence=self.evidence,
            )
        else:
            features = self._values(place, good, size)
        return replace(features, field_scores={n: float(s) for n, s in self.scores.items()})

    def _values(self, place: Mapping[str, float], good: set[str], size: Size) -> FeatureSet:
        encoder = self.problem.table.encoder
        scores, wanted = {}, {}
        for name, v in encoder.vocabularies.items():
            fields = [f.name for f in encoder.fields if f.vocabulary == name and not f.is_float]
            first = min((place.get(f, np.inf) for f in fields), default=np.inf)
            # Within a field the codes fall by training count, so a smaller code is a more frequent value.
            inside = 1.0 - np.arange(v.size) / max(v.size, 1)
            scores[name] = (-first if np.isfinite(first) else -1e9) + inside * 0.999
            wanted[name] = np.full(v.size, bool(good & set(fields)))
        return self.problem.choose(
            scores,
            size=size.number,
            method=self.method,
            params=self.params,
            wanted=wanted,
            evidence=self.evidence,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Found):
    """Values or fields, as the size asks.

    Attributes:
        values: For sizes in values.
        fields: For sizes in fields.
    """

    values: Found
    fields: Found

    def at(self, size: Size) -> FeatureSet:
        """Cut the one that the size is about."""
        return (self.fields if size.of == "fields" else self.values).at(size)
