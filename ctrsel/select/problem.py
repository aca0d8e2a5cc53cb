"""Problem: what a selector may look at, and the wishes that every selector honours in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.data.table import Table
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.train import Learner

__all__ = ["Problem", "exclude"]


def exclude(table: Table, never_use: tuple[str, ...]) -> Table:
    """Return the table without the fields that must never be used, before anything is trained on it.

    Raises:
        ConfigError: If a field is not known, or none is left.
    """
    known = table.schema.names
    for name in never_use:
        if name not in known:
            raise unknown_name("field", name, known, place="select.never_use")
    fields = tuple(n for n in known if n not in never_use)
    if not fields:
        raise ConfigError("select.never_use: excludes every field")
    if len(fields) == len(known):
        return table
    keep = {name: np.ones(v.size, dtype=bool) for name, v in table.encoder.vocabularies.items()}
    every = FeatureSet.from_keep(
        keep, fields=fields, method="exclude", params={"never_use": list(never_use)}, encoder=table.encoder.digest
    )
    return table.narrow(every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A table without its test split, a learner, and the user's wishes.

    Attributes:
        table: Training and validation rows.
        learner: What searches and retrains.
        rankings: By method.
        always_keep: Fields of which every value is kept.
        groups: Fields that are kept or dropped together.
    """

    table: Table
    learner: Learner
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    always_keep: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if "test" in self.table.splits:
            raise ConfigError("select: a selector must not see the test split; pass table.without('test')")
        known = self.table.schema.names
        for place, names in (
            ("always_keep", self.always_keep),
            *((f"groups[{i}]", g) for i, g in enumerate(self.groups)),
        ):
            for name in names:
                if name not in known:
                    raise unknown_name("field", name, known, place=f"select.{place}")

    @property
    def n_values(self) -> int:
        """Values that may be chosen from."""
        return self.table.encoder.n_values

    def everything(self) -> FeatureSet:
        """Return the set that keeps all values of all fields."""
        keep = {name: np.ones(v.size, dtype=bool) for name, v in self.table.encoder.vocabularies.items()}
        return self._build(keep, method="none", params={"use": "none"}, scores=None, evidence=())

    def choose(
        self,
        scores: Mapping[str, np.ndarray],
        *,
        size: int,
        method: str,
        params: Mapping[str, object],
        wanted: Mapping[str, np.ndarray] | None = None,
        evidence: tuple[str, ...] = (),
    ) -> FeatureSet:
        """Keep the best-scored values that the size and the wishes allow.

        Args:
            scores: Per vocabulary float64 `[V]`; larger is better; ties go to the more frequent value (the smaller code).
            size: At most this many values are kept, those of `always_keep` included.
            method: The selector's name.
            params: Its parameters.
            wanted: Per vocabulary boolean `[V]`: values that the method wants at all; None = all.
            evidence: Digests of the rankings used.

        Raises:
            ConfigError: If the fields of `always_keep` alone have more values than `size`.
        """
        encoder = self.table.encoder
        forced = {encoder.schema.field(f).vocabulary for f in self.always_keep if not encoder.schema.field(f).is_float}
        keep = {n: np.zeros(v.size, dtype=bool) for n, v in encoder.vocabularies.items()}
        for name in forced:
            keep[name][RESERVED:] = True
        used = sum(int(k.sum()) for k in keep.values())
        if used > size:
            raise ConfigError(
                f"select.always_keep: these fields have {used} values, but the size allows {size}; raise select.size or name fewer fields"
            )
        free = [n for n in encoder.vocabularies if n not in forced]
        if free:
            score = np.concatenate([scores[n][RESERVED:] for n in free])
            want = np.concatenate(
                [(np.ones(len(scores[n]), bool) if wanted is None else wanted[n])[RESERVED:] for n in free]
            )
            code = np.concatenate([np.arange(len(scores[n]) - RESERVED) for n in free])
            owner = np.repeat(np.arange(len(free)), [len(scores[n]) - RESERVED for n in free])
            # A score that is not a number is worse than any number.
            order = np.lexsort((owner, code, -np.nan_to_num(score, nan=-np.inf)))
            picked = order[want[order]][: size - used]
            for i, name in enumerate(free):
                keep[name][RESERVED + code[picked[owner[picked] == i]]] = True
        self._together(keep, scores)
        return self._build(keep, method=method, params=params, scores=scores, evidence=evidence)

    def _together(self, keep: dict[str, np.ndarray], scores: Mapping[str, np.ndarray]) -> None:
        """Make each group whole: kept if at least half of its fields keep a value, else dropped.

        A member that keeps nothing is given its best value in place of the worst value that its group keeps, so that
        the size still holds.
        """
        schema = self.table.schema
        for group in self.groups:
            names = list(dict.fromkeys(schema.field(f).vocabulary for f in group if not schema.field(f).is_float))
            alive = [n for n in names if keep[n][RESERVED:].any()]
            if 2 * len(alive) < len(names) and not set(group) & set(self.always_keep):
                for name in names:
                    keep[name][:] = False
                continue
            for name in set(names) - set(alive):
                donors = [
                    n
                    for n in names
                    if keep[n][RESERVED:].sum() > 1 and n not in {schema.field(f).vocabulary for f in self.always_keep}
                ]
                if len(scores[name]) == RESERVED or not donors:
                    continue
                best = RESERVED + int(np.argmax(np.nan_to_num(scores[name][RESERVED:], nan=-np.inf)))
                kept_scores = {n: np.where(keep[n], np.nan_to_num(scores[n], nan=-np.inf), np.inf) for n in donors}
                donor = min(donors, key=lambda n: float(kept_scores[n][RESERVED:].min()))
                keep[donor][RESERVED + int(np.argmin(kept_scores[donor][RESERVED:]))] = False
                keep[name][best] = True

    def _build(
        self,
        keep: Mapping[str, np.ndarray],
        *,
        method: str,
        params: Mapping[str, object],
        scores: Mapping[str, np.ndarray] | None,
        evidence: tuple[str, ...],
    ) -> FeatureSet:
        """Drop the fields that say nothing any more, since every training row has the same code."""
        encoder = self.table.encoder
        fields = []
        for f in encoder.fields:
            if f.is_float or f.is_list or f.name in self.always_keep:
                fields.append(f.name)
                continue
            counts = encoder.vocabularies[f.vocabulary].counts
            kept = keep[f.vocabulary].copy()
            dropped = int(counts[RESERVED:][~kept[RESERVED:]].sum()) + int(counts[OTHER])
            if bool(kept[RESERVED:].any()) or (int(counts[MISSING]) > 0 and dropped > 0):
                fields.append(f.name)
        return FeatureSet.from_keep(
            keep,
            fields=tuple(fields),
            method=method,
            params=dict(params),
            encoder=encoder.digest,
            scores=scores,
            evidence=evidence,
        )
