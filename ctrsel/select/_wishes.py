"""Wishes: which fields must stay whole or go together, and how a size is filled under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.encoder import Encoder
from ctrsel.records.feature_set import RESERVED

__all__ = ["Ranked", "Wishes", "merged_groups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Values of some vocabularies, best first.

    Attributes:
        names: The vocabularies.
        owner: int64 `[n]`, place of each value's vocabulary in `names`.
        code: int64 `[n]`, its code.
        want: bool `[n]`, whether it is wanted at all.
    """

    names: tuple[str, ...]
    owner: np.ndarray
    code: np.ndarray
    want: np.ndarray

    @staticmethod
    def of(
        scores: Mapping[str, np.ndarray], *, names: Sequence[str], wanted: Mapping[str, np.ndarray] | None = None
    ) -> Ranked:
        """Sort the values of `names` by score; ties go to the smaller code, then to the earlier vocabulary."""
        sizes = [len(scores[n]) - RESERVED for n in names]
        code = np.concatenate([np.arange(RESERVED, RESERVED + s) for s in sizes] or [np.zeros(0, np.int64)])
        owner = np.repeat(np.arange(len(names)), sizes)
        score = np.concatenate([np.asarray(scores[n][RESERVED:], np.float64) for n in names] or [np.zeros(0)])
        want = np.ones(len(code), dtype=bool)
        if wanted is not None and len(code):
            want = np.concatenate([np.asarray(wanted[n][RESERVED:], bool) for n in names])
        # A score that is not a number is worse than any number.
        order = np.lexsort((owner, code, -np.nan_to_num(score, nan=-np.inf)))
        return Ranked(names=tuple(names), owner=owner[order], code=code[order], want=want[order])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asks of every selection.

    Attributes:
        encoder: Whose codes are chosen from.
        always_keep: Fields of which every value is kept.
        groups: Fields that are kept or dropped together; groups that share a field are one.
        forced: Vocabularies of `always_keep`.
        silent: Vocabularies in which all training rows look alike: choosing their values tells nothing.
    """

    encoder: Encoder
    always_keep: frozenset[str]
    groups: tuple[tuple[str, ...], ...]
    forced: frozenset[str]
    silent: frozenset[str]

    @staticmethod
    def of(encoder: Encoder, *, always_keep: Sequence[str], groups: Sequence[Sequence[str]]) -> Wishes:
        """Prepare wishes whose names are known to be fields of the Encoder."""
        lists = {f.vocabulary for f in encoder.fields if f.is_list}
        # Lists of one value still differ in their lengths; lists that are empty in every row do not.
        silent = {n for n, v in encoder.vocabularies.items() if np.count_nonzero(v.counts) < (1 if n in lists else 2)}
        return Wishes(
            encoder=encoder,
            always_keep=frozenset(always_keep),
            groups=merged_groups(groups),
            forced=frozenset(f.vocabulary for f in encoder.fields if f.name in always_keep and not f.is_float),
            silent=frozenset(silent),
        )

    @property
    def free(self) -> tuple[str, ...]:
        """Vocabularies that there is something to choose in."""
        return tuple(n for n in self.encoder.vocabularies if n not in self.forced | self.silent)

    def fill(self, ranked: Ranked, *, size: int) -> tuple[dict[str, np.ndarray], frozenset[str]]:
        """Keep the best `size` values.

        A group is kept if at least half of its vocabularies have a value among the best, and then every one of them
        keeps its best value; the room of a group that is dropped goes to the next best values.

        Args:
            ranked: The values of the vocabularies in `free`.
            size: At most this many values, the forced ones included.

        Returns:
            Per vocabulary boolean `[V]`, and the fields of dropped groups.

        Raises:
            ConfigError: If the forced values alone are more than `size`.
        """
        keep = {n: np.zeros(v.size, dtype=bool) for n, v in self.encoder.vocabularies.items()}
        for name in self.forced:
            keep[name][RESERVED:] = True
        room = size - sum(int(k.sum()) for k in keep.values())
        if room < 0:
            raise ConfigError(
                f"select.always_keep: these fields have {size - room} values, but the size allows {size}; raise "
                "select.size or name fewer fields"
            )
        first = {ranked.names[o]: i for o, i in zip(*np.unique(ranked.owner, return_index=True), strict=True)}
        dropped: frozenset[str] = frozenset()
        while True:
            allowed = ranked.want & ~self._banned(ranked, dropped)
            best = np.flatnonzero(allowed)[:room]
            alive = {ranked.names[o] for o in np.unique(ranked.owner[best])} | self.forced
            live = [g for g in self.groups if dropped.isdisjoint(g)]
            dead = [g for g in live if not self._holds(g, first, alive)]
            if not dead:
                reserved = np.unique([first[v] for g in live for v in self._voices(g, first)]).astype(np.int64)
                if len(reserved) <= room:
                    break
                # The group whose best value is worst makes room; one with a field of `always_keep` stays whatever it costs.
                loose = [g for g in live if self.always_keep.isdisjoint(g) and self._voices(g, first)]
                if not loose:
                    reserved = np.sort(reserved)[:room]
                    break
                dead = [max(loose, key=lambda g: min(first[v] for v in self._voices(g, first)))]
            dropped |= {f for g in dead for f in g}
        rest = best[~np.isin(best, reserved)][: room - len(reserved)]
        picked = np.concatenate([reserved, rest])
        for i, name in enumerate(ranked.names):
            keep[name][ranked.code[picked[ranked.owner[picked] == i]]] = True
        return keep, dropped

    def _voices(self, group: Sequence[str], first: Mapping[str, int]) -> tuple[str, ...]:
        """Vocabularies of a group that have values to choose."""
        names = (self.encoder.schema.field(f) for f in group)
        return tuple(dict.fromkeys(f.vocabulary for f in names if not f.is_float and f.vocabulary in first))

    def _holds(self, group: Sequence[str], first: Mapping[str, int], alive: frozenset[str] | set[str]) -> bool:
        voices = self._voices(group, first)
        return not self.always_keep.isdisjoint(group) or 2 * sum(v in alive for v in voices) >= len(voices)

    def _banned(self, ranked: Ranked, dropped: frozenset[str]) -> np.ndarray:
        """Boolean `[n]`: values that no remaining field can hold."""
        used = {f.vocabulary for f in self.encoder.fields if f.name not in dropped and not f.is_float}
        gone = np.array([n not in used for n in ranked.names], dtype=bool)
        return np.asarray(gone[ranked.owner]) if len(gone) else np.zeros(0, dtype=bool)


def merged_groups(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Join groups that share a field, since they can only be kept or dropped as one."""
    found: list[dict[str, None]] = []
    for group in groups:
        joined = dict.fromkeys(group)
        for other in [o for o in found if not joined.keys().isdisjoint(o)]:
            found.remove(other)
            joined = {**other, **joined}
        if joined:
            found.append(joined)
    return tuple(tuple(g) for g in found)
