"""Vocabulary: which texts have which codes, and how often each code occurred in training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

__all__ = ["Vocabulary", "fit_vocabulary", "smallest_uint"]


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
        values: Text `[v]`, values that have a code of their own, by falling training count, ties by text.
        codes: uint32 `[v]`, the code of each value, at least `RESERVED`; merged values share one.
        counts: int64 `[V]`, occurrences in the training split of each code; V = 3 reserved codes + values.
        order: float64 `[V]` or None: the place of each code on its number line, for bucketed fields; NaN for reserved codes.
    """

    name: str
    values: pl.Series
    codes: np.ndarray
    counts: np.ndarray
    order: np.ndarray | None = None

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
        lookup = np.full(len(self.values) + 1, OTHER, dtype=smallest_uint(self.size))
        lookup[:-1] = self.codes
        if not len(self.values):
            places = np.full(len(texts), len(self.values), dtype=np.int64)
        else:
            enum = texts.cast(pl.Enum(self.values), strict=False)
            places = enum.to_physical().fill_null(len(self.values)).to_numpy().astype(np.int64)
        codes = lookup[places]
        codes[texts.is_null().to_numpy()] = MISSING
        return codes

    def texts(self, codes: np.ndarray) -> list[str]:
        """Return the text of each code; merged values are joined, reserved ones are named in parentheses."""
        names: dict[int, list[str]] = {MISSING: ["(missing)"], OTHER: ["(other)"], HIDDEN: ["(hidden)"]}
        wanted = np.isin(self.codes, codes)
        for code, value in zip(self.codes[wanted].tolist(), self.values.filter(wanted).to_list(), strict=True):
            names.setdefault(code, []).append(value)
        return [" | ".join(names[int(c)]) for c in codes]

    def narrow(self, remap: np.ndarray) -> Vocabulary:
        """Map codes by a FeatureSet's `remap` `[V]` and forget the values that no longer have a code of their own."""
        if len(remap) != self.size:
            raise DataError(f"vocabulary {self.name!r} has {self.size} codes, but the feature set maps {len(remap)}")
        new = remap[self.codes] if len(self.codes) else self.codes
        keep = new != OTHER
        size = max(int(remap.max()) + 1, RESERVED)
        counts = np.zeros(size, dtype=np.int64)
        np.add.at(counts, remap.astype(np.int64), self.counts)
        order = None
        if self.order is not None:
            order = np.full(size, np.nan)
            first = np.flatnonzero(remap >= RESERVED)[::-1]
            order[remap[first]] = self.order[first]
        return replace(
            self, values=self.values.filter(keep), codes=new[keep].astype(np.uint32), counts=counts, order=order
        )


def fit_vocabulary(
    name: str, texts: list[pl.Series], *, min_count: int = 1, order: dict[str, float] | None = None
) -> Vocabulary:
    """Fit a vocabulary on the training texts of the fields that share it.

    Args:
        name: Its name.
        texts: One series of canonical texts per field, null where missing.
        min_count: Values with fewer training occurrences are `other`.
        order: Place of each text on its number line, for bucketed fields.

    Examples:
        >>> v = fit_vocabulary("ad", [pl.Series(["a", "b", "b", "c", None])], min_count=1)
        >>> v.values.to_list(), v.counts.tolist()
        (['b', 'a', 'c'], [1, 0, 0, 2, 1, 1])
    """
    column = pl.concat([t.rename("value") for t in texts]) if len(texts) > 1 else texts[0].rename("value")
    found = pl.DataFrame({"value": column}).group_by("value").len().sort(["len", "value"], descending=[True, False])
    missing = int(found.filter(pl.col("value").is_null())["len"].sum())
    found = found.drop_nulls("value")
    kept = found.filter(pl.col("len") >= min_count)
    rare = int(found["len"].sum()) - int(kept["len"].sum())
    counts = np.concatenate([[missing, rare, 0], kept["len"].to_numpy()]).astype(np.int64)
    places = None
    if order is not None:
        places = np.concatenate([[np.nan] * RESERVED, [order[v] for v in kept["value"].to_list()]]).astype(np.float64)
    codes = np.arange(RESERVED, RESERVED + kept.height, dtype=np.uint32)
    return Vocabulary(name=name, values=kept["value"], codes=codes, counts=counts, order=places)
