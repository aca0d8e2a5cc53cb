"""Hash buckets: a stable hash of texts, and what shares a bucket because of it.

The hash is XXH64 with seed 0 of the text's UTF-8 bytes (Yann Collet, xxHash, 2012-; the specification is public and has
implementations in most languages). It is part of every saved Encoder and never changes, whatever the versions of the
libraries, the machine or the process. A text's bucket is its hash modulo the number of buckets (the hashing trick:
Weinberger et al., 2009).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data._text_bytes import TextBytes, loops
from ctrsel.records.feature_set import OTHER, RESERVED

__all__ = ["Collision", "Hashed", "collisions", "stable_hash"]

NAMED_FROM = 20  # training rows; rarer values are not named
_NAMED = 5  # values of a bucket
_LISTED = 20  # buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """Values that cannot be told apart, because they share a bucket.

    Attributes:
        bucket: Its number.
        texts: The heaviest values, by falling count; each has at least 20 training rows.
        counts: Their training rows.
    """

    bucket: int
    texts: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """How texts become codes by their hash.

    Attributes:
        buckets: How many there are (H).
        remap: uint32 `[H + 3]`: the code of each reserved code and of each bucket; None: bucket b has code b + 3.
        distinct: int64 `[H]`: distinct training values of each bucket.
        heaviest: Buckets in which most rows belong to a value other than the most frequent one.
    """

    buckets: int
    remap: np.ndarray | None = None
    distinct: np.ndarray
    heaviest: tuple[Collision, ...] = ()

    def __post_init__(self) -> None:
        if len(self.distinct) != self.buckets:
            raise DataError(f"hash buckets: {self.buckets} buckets, but {len(self.distinct)} counts of values")
        if self.remap is not None and len(self.remap) != self.buckets + RESERVED:
            raise DataError(f"hash buckets: {self.buckets} buckets, but {len(self.remap)} codes")

    def codes(self, texts: pl.Series) -> np.ndarray:
        """Return the code of each text (no nulls), int64 `[n]`."""
        plain = (stable_hash(texts) % np.uint64(self.buckets)).astype(np.int64) + RESERVED
        return plain if self.remap is None else self.remap[plain].astype(np.int64)

    def narrow(self, remap: np.ndarray) -> Hashed:
        """Map codes onto others; what is told about buckets that get no code of their own is forgotten."""
        whole = remap if self.remap is None else remap[self.remap]
        gone = whole[RESERVED:] == OTHER
        return replace(
            self,
            remap=whole.astype(np.uint32),
            distinct=np.where(gone, 0, self.distinct),
            heaviest=tuple(c for c in self.heaviest if not gone[c.bucket]),
        )

    @property
    def colliding(self) -> int:
        """Distinct training values that share their bucket with another one."""
        return int(self.distinct[self.distinct > 1].sum())


def collisions(
    buckets: np.ndarray, counts: np.ndarray, take: Callable[[np.ndarray], pl.Series]
) -> tuple[Collision, ...]:
    """Name the heaviest values that share a bucket.

    Args:
        buckets: Bucket of each value `[v]`.
        counts: Training rows of each value `[v]`.
        take: Returns the texts of some values, given their places.
    """
    places = np.flatnonzero(counts >= NAMED_FROM)
    places = places[np.lexsort((places, -counts[places], buckets[places]))]
    if not len(places):
        return ()
    own = buckets[places]
    first = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
    size = np.diff(np.append(first, len(own)))
    lost = np.add.reduceat(counts[places], first) - counts[places[first]]
    worst = np.argsort(-lost, kind="stable")[:_LISTED]
    found = []
    for g in worst[size[worst] > 1].tolist():
        some = places[first[g] : first[g] + min(int(size[g]), _NAMED)]
        names, rows = tuple(take(some).to_list()), tuple(counts[some].tolist())
        found.append(Collision(bucket=int(own[first[g]]), texts=names, counts=rows))
    return tuple(found)


def stable_hash(texts: pl.Series) -> np.ndarray:
    """Return XXH64 (seed 0) of the UTF-8 bytes of each text (no nulls), uint64 `[n]`.

    Examples:
        >>> [hex(h) for h in stable_hash(pl.Series(["", "abc"])).tolist()]
        ['0xef46db3751d8e999', '0x44bc2cf5ad770999']
    """
    given = TextBytes.of(texts)
    compiled = loops(len(texts))
    if compiled is None:
        return _hash(given)
    out = np.empty(len(texts), dtype=np.uint64)
    compiled.hashes(given.bytes, given.ends, out)
    return out


_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(p)
    for p in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


def _turn(x: np.ndarray, by: int) -> np.ndarray:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


def _round(x: np.ndarray, lane: np.ndarray) -> np.ndarray:
    return _turn(x + lane * _P2, 31) * _P1


def _lanes(data: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    """Return the next `size` bytes as little-endian numbers, uint64 `[n]`."""
    return data[at[:, None] + np.arange(size)].view(f"<u{size}")[:, 0].astype(np.uint64)


def _hash(given: TextBytes) -> np.ndarray:
    """XXH64 by numpy: all texts take their next lane together, as long as they have one."""
    data, at, end = given.bytes, given.ends[:-1].copy(), given.ends[1:]
    out = np.full(len(at), _P5, dtype=np.uint64)
    with np.errstate(over="ignore"):
        some = np.flatnonzero(end - at >= 32)
        if len(some):
            start = (_P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1)
            sums = [np.full(len(at), v, dtype=np.uint64) for v in start]
            left = some
            while len(left):
                for i, v in enumerate(sums):
                    v[left] = _round(v[left], _lanes(data, at[left] + 8 * i, 8))
                at[left] += 32
                left = left[end[left] - at[left] >= 32]
            whole = _turn(sums[0], 1) + _turn(sums[1], 7) + _turn(sums[2], 12) + _turn(sums[3], 18)
            for v in sums:
                whole = (whole ^ _round(np.zeros_like(v), v)) * _P1 + _P4
            out[some] = whole[some]
        out += np.diff(given.ends).astype(np.uint64)
        while len(left := np.flatnonzero(end - at >= 8)):
            lane = _round(np.zeros(len(left), dtype=np.uint64), _lanes(data, at[left], 8))
            out[left] = _turn(out[left] ^ lane, 27) * _P1 + _P4
            at[left] += 8
        left = np.flatnonzero(end - at >= 4)
        out[left] = _turn(out[left] ^ (_lanes(data, at[left], 4) * _P1), 23) * _P2 + _P3
        at[left] += 4
        while len(left := np.flatnonzero(end > at)):
            out[left] = _turn(out[left] ^ (data[at[left]].astype(np.uint64) * _P5), 11) * _P1
            at[left] += 1
        out = (out ^ (out >> np.uint64(33))) * _P2
        out = (out ^ (out >> np.uint64(29))) * _P3
        return out ^ (out >> np.uint64(32))
