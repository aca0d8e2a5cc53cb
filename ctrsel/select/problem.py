"""Problem: what a selector may look at, and the wishes that every selector honours in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.data.encoder import Encoder
from ctrsel.data.table import Table
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.select._wishes import Ranked, Wishes, merged_groups
from ctrsel.select.whole_fields import whole_fields
from ctrsel.train import Learner

__all__ = ["Problem", "check_wishes", "exclude"]


def exclude(table: Table, never_use: tuple[str, ...]) -> Table:
    """Return the table without the fields that must never be used, and without crosses of them, before anything is trained.

    Raises:
        ConfigError: If a field is not known, or none is left.
    """
    known = table.schema.names
    for name in never_use:
        if name not in known:
            raise unknown_name("field", name, known, place="select.never_use")
    fields = tuple(f.name for f in table.schema.fields if not {f.name, *f.parts} & set(never_use))
    if not fields:
        raise ConfigError("select.never_use: excludes every field")
    if len(fields) == len(known):
        return table
    return table.narrow(whole_fields(table.encoder, fields))


def check_wishes(known: Sequence[str], *, always_keep: Sequence[str], groups: Sequence[Sequence[str]]) -> None:
    """Refuse wishes about fields that a table does not have.

    Raises:
        ConfigError: If a name is not among `known`.
    """
    for place, names in (("always_keep", always_keep), *((f"groups[{i}]", g) for i, g in enumerate(groups))):
        for name in names:
            if name not in known:
                raise unknown_name("field", name, known, place=f"select.{place}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A table without its test split, a learner, and the user's wishes.

    Attributes:
        table: Training and validation rows.
        learner: What searches and retrains.
        rankings: By method.
        always_keep: Fields of which every value is kept.
        groups: Fields that are kept or dropped together.
        work: A folder from which a fit of the learner that was killed goes on; None keeps nothing.
    """

    table: Table
    learner: Learner
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    always_keep: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    work: Path | None = None

    def __post_init__(self) -> None:
        if "test" in self.table.splits:
            raise ConfigError("select: a selector must not see the test split; pass table.without('test')")
        check_wishes(self.table.schema.names, always_keep=self.always_keep, groups=self.groups)

    @property
    def n_values(self) -> int:
        """Values that may be chosen from."""
        return self.table.encoder.n_values

    def everything(self) -> FeatureSet:
        """Return the set that keeps all values of all fields."""
        encoder = self.table.encoder
        return FeatureSet.from_keep(
            {name: np.ones(v.size, dtype=bool) for name, v in encoder.vocabularies.items()},
            fields=self.table.schema.names,
            method="none",
            params={"use": "none"},
            encoder=encoder.digest,
        )

    def choose(
        self,
        scores: Mapping[str, np.ndarray],
        *,
        size: int,
        method: str,
        params: Mapping[str, object],
        wanted: Mapping[str, np.ndarray] | None = None,
        evidence: tuple[str, ...] = (),
        merged: Mapping[str, np.ndarray] | None = None,
    ) -> FeatureSet:
        """Keep the best-scored values that the size and the wishes allow.

        A field of which nothing is kept is dropped if all its training rows look alike then (one whose rows may be
        missing, a list and a float still say something); so is one that never said anything, whose values are not
        chosen. Fields that share a vocabulary share the choice.

        Args:
            scores: Per vocabulary float64 `[V]`; larger is better; ties go to the smaller code, then to the earlier
                vocabulary.
            size: At most this many values are kept, those of `always_keep` included.
            method: The selector's name.
            params: Its parameters.
            wanted: Per vocabulary boolean `[V]`: values that the method wants at all; None = all.
            evidence: Digests of the rankings used.
            merged: Per vocabulary uint32 `[V]`, as in `FeatureSet.remaps`: values that share a code are one value from
                here on, and `scores` and `wanted` are about the codes that this makes.

        Raises:
            ConfigError: If the fields of `always_keep` alone have more values than `size`, or nothing would be left.
        """
        encoder = self.table.encoder
        if merged is not None:
            encoder = encoder.narrow(replace(self.everything(), remaps=merged))
        wishes = Wishes.of(encoder, always_keep=self.always_keep, groups=self.groups)
        keep, dropped = wishes.fill(Ranked.of(scores, names=wishes.free, wanted=wanted), size=size)
        alive = {f for group in wishes.groups for f in group if f not in dropped} | set(self.always_keep)
        fields = [f for f in encoder.fields if f.name not in dropped]
        fields = [
            f
            for f in fields
            if f.is_float or f.name in alive or _speaks(encoder, f.vocabulary, keep, is_list=f.is_list)
        ]
        if not fields:
            none = wanted is not None and not any(np.asarray(w)[RESERVED:].any() for w in wanted.values())
            raise _nothing(method, "value of any field", none=none, size=f"{size} values")
        used = {f.vocabulary for f in fields if not f.is_float}
        for name in set(keep) - used:
            keep[name][:] = False
        chosen = FeatureSet.from_keep(
            keep,
            fields=tuple(f.name for f in fields),
            method=method,
            params=dict(params),
            encoder=self.table.encoder.digest,
            scores=scores,
            evidence=evidence,
        )
        refused = _refused(wanted, merged)
        if merged is None:
            return replace(chosen, refused=refused)
        return replace(
            chosen,
            refused=refused,
            remaps={name: chosen.remaps[name][remap] for name, remap in merged.items()},
            scores={name: np.asarray(scores[name])[remap] for name, remap in merged.items()},
        )

    def choose_fields(
        self,
        place: Mapping[str, float],
        *,
        number: int,
        good: frozenset[str],
        method: str,
        params: Mapping[str, object],
        evidence: tuple[str, ...] = (),
    ) -> FeatureSet:
        """Keep the best-placed fields, with all their values, until there are `number`.

        Fields of `always_keep` come first, with their groups; a group that is larger than what is left is passed over.

        Args:
            place: By field; smaller is better; ties go to the field that stands first in the table.
            number: So many fields, or as near below as groups allow.
            good: Fields that are wanted at all.
            method: The selector's name.
            params: Its parameters.
            evidence: Digests of the rankings used.

        Raises:
            ConfigError: If the fields of `always_keep` are more than `number`, or nothing would be left.
        """
        names = self.table.schema.names
        groups = merged_groups(self.groups)
        unit = {f: next((g for g in groups if f in g), (f,)) for f in names}
        forced = dict.fromkeys(f for name in names if name in self.always_keep for f in unit[name])
        if len(forced) > number:
            raise ConfigError(
                f"select.always_keep: these fields are {len(forced)} with their groups, but the size allows {number}; "
                "raise the number of fields or name fewer"
            )
        chosen = set(forced)
        for name in sorted((n for n in names if n in good), key=lambda n: (place.get(n, np.inf), names.index(n))):
            if name not in chosen and len(chosen) + len(unit[name]) <= number:
                chosen.update(unit[name])
        if not chosen:
            raise _nothing(method, "field", none=not good, size=f"{number} fields")
        found = whole_fields(self.table.encoder, sorted(chosen))
        return replace(
            found,
            method=method,
            params=dict(params),
            evidence=evidence,
            refused_fields=tuple(n for n in names if n not in good),
        )


def _nothing(method: str, what: str, *, none: bool, size: str) -> ConfigError:
    """Return why nothing would be left: the method wants nothing at all, or nothing that the size has room for."""
    if none:
        return ConfigError(
            f"select: {method!r} wants no {what} at any size: none passes what the method asks for; choose another "
            "method or its parameters, or name fields in select.always_keep"
        )
    return ConfigError(
        f"select: {method!r} keeps no {what} at a size of {size}; raise select.size, or name fields in select.always_keep"
    )


def _refused(
    wanted: Mapping[str, np.ndarray] | None, merged: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray] | None:
    """Return the values that are kept at no size, by the codes before any merge: not wanted, or merged into `OTHER`."""
    own = {name: ~np.asarray(mask, dtype=bool) for name, mask in (wanted or {}).items()}
    for name, remap in (merged or {}).items():
        gone = np.asarray(remap == OTHER)
        own[name] = gone | own[name][remap] if name in own else gone
    refused = {name: mask & (np.arange(len(mask)) >= RESERVED) for name, mask in own.items()}
    return {name: mask for name, mask in refused.items() if mask.any()} or None


def _speaks(encoder: Encoder, vocabulary: str, keep: Mapping[str, np.ndarray], *, is_list: bool) -> bool:
    """Whether training rows still differ in a field: they have at least two codes after the choice, or lists of any length."""
    counts = encoder.vocabularies[vocabulary].counts
    if is_list:
        return bool(counts.any())
    kept = keep[vocabulary].copy()
    kept[:RESERVED] = False
    after = [*counts[kept], counts[MISSING], counts[RESERVED:][~kept[RESERVED:]].sum() + counts[OTHER]]
    return int(np.count_nonzero(after)) > 1
