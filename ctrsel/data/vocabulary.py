"""Vocabulary: which texts have which codes, and how often each code occurred in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.hashing import NAMED_FROM, Hashed, collisions
from ctrsel.data.texts import SortedTexts
from ctrsel.data.value_names import one_text, value_names
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED

__all__ = ["Vocabulary", "fit_vocabulary", "smallest_uint", "vocabulary_of"]

_KNOWN_BY_NAME = 1_000  # most frequent values of a hashed vocabulary, kept for people and examples


def smallest_uint(size: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest unsigned integer type that holds the codes 0..size-1."""
    for kind in (np.uint8, np.uint16, np.uint32):
        if size <= int(np.iinfo(kind).max) + 1:
            return np.dtype(kind)
    raise DataError(f"a vocabulary holds at most 2**32 codes, got {size}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The codes of one or several fields.

    Attributes:
        name: The vocabulary's name: its first field's.
        values: Texts `[v]` in ascending order; those that have a code of their own. Of a hashed vocabulary its most
            frequent ones (at least 20 training rows), for people and examples: every text has a code there.
        codes: Unsigned `[v]`, the code of each value, at least `RESERVED`; merged values share one. The smallest type
            that holds all codes.
        counts: int64 `[V]`, occurrences in the training split of each code; V = 3 reserved codes + values or buckets.
        order: float64 `[V]` or None: the place of each code on its number line, for bucketed fields; NaN for reserved codes.
        hashed: How a hashed vocabulary's texts get their codes.

    Shape:
        v: values, V: codes.
    """

    name: str
    values: SortedTexts
    codes: np.ndarray
    counts: np.ndarray
    order: np.ndarray | None = None
    hashed: Hashed | None = None

    def __post_init__(self) -> None:
        if len(self.values) != len(self.codes):
            raise DataError(f"vocabulary {self.name!r}: {len(self.values)} values, but {len(self.codes)} codes")
        if len(self.codes) and not RESERVED <= int(self.codes.min()) <= int(self.codes.max()) < len(self.counts):
            raise DataError(f"vocabulary {self.name!r}: codes must be in {RESERVED}..{len(self.counts) - 1}")

    @property
    def size(self) -> int:
        """How many codes there are, reserved ones included (V)."""
        return len(self.counts)

    def encode(self, texts: pl.Series) -> np.ndarray:
        """Return each text's code `[n]`: missing 0, unknown 1, in the smallest unsigned integer that fits.

        Examples:
            >>> v = fit_vocabulary("ad", [pl.Series(["a", "b", "b"])])
            >>> v.encode(pl.Series(["b", "a", None, "z"])).tolist()
            [3, 4, 0, 1]
        """
        if not texts.null_count():
            return self._encode(texts)
        present = texts.is_not_null().to_numpy()
        codes = np.full(len(texts), MISSING, dtype=smallest_uint(self.size))
        codes[present] = self._encode(texts.drop_nulls())
        return codes

    def _encode(self, texts: pl.Series) -> np.ndarray:
        kind = smallest_uint(self.size)
        if self.hashed is not None:
            return self.hashed.codes(texts.cast(pl.String)).astype(kind)
        return self._at(self.values.find(texts)).astype(kind, copy=False)

    def _at(self, places: np.ndarray) -> np.ndarray:
        """Return the codes of values by place; OTHER where the place is -1."""
        if not len(self.codes):
            return np.full(len(places), OTHER, dtype=smallest_uint(self.size))
        codes: np.ndarray = self.codes[places]  # -1 is the last one, for a moment
        codes[places < 0] = OTHER
        return codes

    def codes_for(self, texts: SortedTexts) -> np.ndarray:
        """Return the code of each of some texts, unsigned `[v']`; `OTHER` where it is unknown.

        Examples:
            >>> v = fit_vocabulary("ad", [pl.Series(["a", "b", "b"])])
            >>> v.codes_for(SortedTexts.of(pl.Series(["b", "c"]))).tolist()
            [3, 1]
        """
        out = np.empty(len(texts), dtype=smallest_uint(self.size))
        start = 0
        for part in texts.chunks():
            out[start : start + len(part)] = self._encode(part)
            start += len(part)
        return out

    def texts(self, codes: np.ndarray) -> list[str]:
        """Return the text of each code; merged values are joined, reserved ones are named in parentheses.

        A bucket of a hashed vocabulary is named by its number, and by the values that are known to be in it.
        """
        return value_names(self, codes)

    def one_text(self, codes: np.ndarray) -> pl.Series:
        """Return one text for each code that is encoded to it; null for reserved codes and for buckets without a name."""
        return one_text(self, codes)

    def narrow(self, remap: np.ndarray) -> Vocabulary:
        """Map codes by a FeatureSet's `remap` `[V]` and forget the values that no longer have a code of their own."""
        if len(remap) != self.size:
            raise DataError(f"vocabulary {self.name!r} has {self.size} codes, but the feature set maps {len(remap)}")
        size = max(int(remap.max()) + 1, RESERVED)
        new = remap[self.codes]
        keep = new != OTHER
        counts = np.zeros(size, dtype=np.int64)
        np.add.at(counts, remap, self.counts)
        order = None
        if self.order is not None:
            order = np.full(size, np.nan)
            first = np.flatnonzero(remap >= RESERVED)[::-1]
            order[remap[first]] = self.order[first]
        return replace(
            self,
            values=self.values.keep(keep),
            codes=new[keep].astype(smallest_uint(size)),
            counts=counts,
            order=order,
            hashed=None if self.hashed is None else self.hashed.narrow(remap),
        )

    def grow(
        self,
        texts: SortedTexts,
        counts: np.ndarray,
        *,
        missing: int,
        min_count: int = 1,
        limit: int | None = None,
        order: Mapping[str, float] | None = None,
        scratch: Path | None = None,
    ) -> Vocabulary:
        """Return the vocabulary after an increment: every code means what it meant, and new values come after the last.

        Args:
            texts: Distinct texts of the increment.
            counts: int64 `[v']`, how often each occurs in its training rows.
            missing: How many of its training rows have none.
            min_count: New values that are rarer stay `OTHER`; what was rare before is not remembered.
            limit: At most so many new values, the most frequent ones.
            order: Place of each text on its number line, for bucketed fields.
            scratch: A folder for many texts (see `SortedTexts.join`).

        Examples:
            >>> v = fit_vocabulary("ad", [pl.Series(["a", "b", "b"])])
            >>> grown = v.grow(SortedTexts.of(pl.Series(["b", "c", "d"])), np.array([1, 2, 7]), missing=0, limit=1)
            >>> grown.encode(pl.Series(["b", "a", "d", "c"])).tolist(), grown.counts.tolist()
            ([3, 4, 5, 1], [0, 2, 0, 3, 1, 7])
        """
        counts = _checked(self.name, texts, counts)
        codes = self.codes_for(texts)
        known = codes != OTHER
        total = np.asarray(self.counts).copy()
        np.add.at(total, codes, counts)  # unknown ones to OTHER, for now
        total[MISSING] += missing
        if self.hashed is not None:
            return replace(self, counts=total)
        places = np.flatnonzero(~known & (counts >= max(min_count, 1)))
        chosen = places[_by_falling_count(counts[places])[:limit]]
        if not len(chosen):
            return replace(self, counts=total)
        total[OTHER] -= counts[chosen].sum()
        code = np.zeros(len(texts), dtype=smallest_uint(self.size + len(chosen)))
        code[chosen] = np.arange(self.size, self.size + len(chosen))
        fresh = texts.keep(code > 0, scratch=scratch)
        own = None
        if self.order is not None:
            placed = np.full(len(chosen), np.nan)
            placed[code[code > 0] - self.size] = _order(self.name, fresh, order or {})
            own = np.concatenate([self.order, placed])
        values, at = self.values.union(fresh, scratch=scratch)
        codes = np.insert(self.codes.astype(code.dtype, copy=False), at, code[code > 0])
        return replace(self, values=values, codes=codes, counts=np.concatenate([total, counts[chosen]]), order=own)


def vocabulary_of(
    name: str,
    texts: SortedTexts,
    counts: np.ndarray,
    *,
    missing: int,
    min_count: int = 1,
    order: Mapping[str, float] | None = None,
    hash_buckets: int | None = None,
    named: bool = True,
    scratch: Path | None = None,
) -> Vocabulary:
    """Make a vocabulary of counted texts: codes by falling count, ties by text.

    Args:
        name: Its name.
        texts: Distinct texts; those that occur outside training only have the count 0 and are dropped.
        counts: int64 `[v]`, how often each occurs in the training rows.
        missing: How many training rows have none.
        min_count: Values that are rarer are `OTHER`; without effect on hash buckets, which hold what is rare and unseen.
        order: Place of each text on its number line, for bucketed fields.
        hash_buckets: Codes are those of so many hash buckets; of the texts the most frequent ones are kept.
        named: False keeps none of them, as a sensitive field's.
        scratch: A folder for many texts (see `SortedTexts.join`).

    Examples:
        >>> texts = SortedTexts.of(pl.Series(["a", "b", "c", "d"]))
        >>> v = vocabulary_of("ad", texts, np.array([1, 2, 2, 0]), missing=1)
        >>> v.values.to_list(), v.codes.tolist(), v.counts.tolist()
        (['a', 'b', 'c'], [5, 3, 4], [1, 0, 0, 2, 2, 1])
    """
    counts = _checked(name, texts, counts)
    if hash_buckets is not None:
        return _hashed(name, texts, counts, missing=missing, buckets=hash_buckets, named=named)
    keep = counts >= max(min_count, 1)
    own = counts if keep.all() else counts[keep]
    ranked = _by_falling_count(own)
    size = RESERVED + len(own)
    total = np.empty(size, dtype=np.int64)
    total[:RESERVED] = missing, int(counts.sum()) - int(own.sum()), 0
    total[RESERVED:] = own[ranked]
    codes = np.empty(len(own), dtype=smallest_uint(size))
    codes[ranked] = np.arange(RESERVED, size, dtype=codes.dtype)
    values = texts.keep(keep, scratch=scratch)
    places = None
    if order is not None:
        places = np.full(size, np.nan)
        places[codes] = _order(name, values, order)
    return Vocabulary(name=name, values=values, codes=codes, counts=total, order=places)


def _hashed(
    name: str, texts: SortedTexts, counts: np.ndarray, *, missing: int, buckets: int, named: bool
) -> Vocabulary:
    plain = Hashed(buckets=buckets, distinct=np.zeros(buckets, dtype=np.int64))
    own = np.empty(len(texts), dtype=smallest_uint(RESERVED + buckets))
    start = 0
    for part in texts.chunks():
        own[start : start + len(part)] = plain.codes(part)
        start += len(part)
    total = np.zeros(RESERVED + buckets, dtype=np.int64)
    np.add.at(total, own, counts)
    total[MISSING] = missing
    kept = np.flatnonzero(counts >= NAMED_FROM) if named else np.zeros(0, dtype=np.int64)
    kept = np.sort(kept[_by_falling_count(counts[kept])[:_KNOWN_BY_NAME]])
    return Vocabulary(
        name=name,
        values=SortedTexts.of(texts.take(kept)),
        codes=own[kept],
        counts=total,
        hashed=Hashed(
            buckets=buckets,
            distinct=np.bincount(own[counts > 0].astype(np.int64) - RESERVED, minlength=buckets),
            heaviest=collisions(own.astype(np.int64) - RESERVED, counts, texts.take) if named else (),
        ),
    )


def _checked(name: str, texts: SortedTexts, counts: np.ndarray) -> np.ndarray:
    if len(counts) != len(texts):
        raise DataError(f"vocabulary {name!r}: {len(texts)} texts, but {len(counts)} counts")
    return np.asarray(counts, dtype=np.int64)


def _by_falling_count(counts: np.ndarray) -> np.ndarray:
    """Return places by falling count, ties by place: a radix sort of 16 bits, since nearly all counts are small."""
    top = 2**16 - 1
    order = np.argsort((top - np.minimum(counts, top)).astype(np.uint16), kind="stable")
    many = int((counts >= top).sum())
    order[:many] = order[:many][np.argsort(-counts[order[:many]], kind="stable")]
    return order


def _order(name: str, values: SortedTexts, order: Mapping[str, float]) -> np.ndarray:
    """Return the place of each value on its number line, float64 `[v]`."""
    places = values.find(pl.Series(list(order), dtype=pl.String))
    out = np.full(len(values), np.nan)
    out[places[places >= 0]] = np.array(list(order.values()), dtype=np.float64)[places >= 0]
    if np.isnan(out).any():
        first = values.take(np.flatnonzero(np.isnan(out))[:1])[0]
        raise DataError(f"vocabulary {name!r}: the bucket {first!r} has no place on the number line")
    return out


def fit_vocabulary(
    name: str,
    texts: list[pl.Series],
    *,
    min_count: int = 1,
    order: Mapping[str, float] | None = None,
    hash_buckets: int | None = None,
    named: bool = True,
) -> Vocabulary:
    """Fit a vocabulary on the training texts of the fields that share it, all in memory.

    Args:
        name: Its name.
        texts: One series of canonical texts per field, null where missing.
        min_count: Values with fewer training occurrences are `OTHER`.
        order: Place of each text on its number line, for bucketed fields.
        hash_buckets: Codes are those of so many hash buckets.
        named: As in `vocabulary_of`.

    Examples:
        >>> v = fit_vocabulary("ad", [pl.Series(["a", "b", "b", "c", None])], min_count=1)
        >>> v.values.to_list(), v.codes.tolist(), v.counts.tolist()
        (['a', 'b', 'c'], [4, 3, 5], [1, 0, 0, 2, 1, 1])
    """
    column = pl.concat([t.rename("value") for t in texts]) if len(texts) > 1 else texts[0].rename("value")
    found = pl.DataFrame({"value": column.cast(pl.String)}).group_by("value").len().sort("value")
    missing = int(found.filter(pl.col("value").is_null())["len"].sum())
    found = found.drop_nulls("value")
    return vocabulary_of(
        name,
        SortedTexts.of(found["value"]),
        found["len"].to_numpy(),
        missing=missing,
        min_count=min_count,
        order=order,
        hash_buckets=hash_buckets,
        named=named,
    )
