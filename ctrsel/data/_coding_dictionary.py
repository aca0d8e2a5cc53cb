"""Dictionary: numbers for texts as they come, and in the end their canonical texts in order."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import polars as pl

from ctrsel.data._text_order import text_order
from ctrsel.data.canonical import canonical_text

__all__ = ["NONE", "Dictionary", "owned", "text_cost"]

NONE = np.uint32(2**32 - 1)
_ENTRY = 160  # bytes of one text in a dictionary, beside the text itself (measured: benchmarks/coding.py)
_COPIES = 3  # of each text while a dictionary is sorted
_MANY = 16_384  # texts; fewer are numbered without loading a compiler
_PARTS = 16  # series that the texts lie in before they are joined
_STEP = 65_536  # rows


def text_cost(texts: pl.Series) -> np.ndarray:
    """Return what each text costs a dictionary at its peak, float64 `[n]` in bytes."""
    return _ENTRY + _COPIES * texts.str.len_bytes().to_numpy().astype(np.float64)


def owned(texts: pl.Series) -> pl.Series:
    """Copy texts: a filtered series keeps all texts that it was filtered from."""
    arrow: Any = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.Series(arrow, dtype=pl.String)


class _Numbers(Protocol):
    """Something that numbers texts."""

    known: int

    def ids(self, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
        """Return the number of each text, `NONE` where null, and the texts that are new, in the order of their numbers."""
        ...

    def texts(self) -> pl.Series:
        """Return all texts, in the order of their numbers."""
        ...


class Categories:
    """Numbers by a polars `Categories` of its own: exact, without a compiler; slow where the values are many."""

    def __init__(self, texts: pl.Series) -> None:
        self._kind = pl.Categorical(pl.Categories.random())
        self._alive = texts.cast(self._kind)[:1]  # the mapping lives as long as a series of it
        self.known = len(texts)

    def ids(self, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
        """See `_Numbers`."""
        cast = texts.cast(self._kind)
        codes = cast.to_physical()
        ids: np.ndarray = (codes.fill_null(NONE) if codes.null_count() else codes).to_numpy()
        top = codes.max()
        known = self.known if top is None else max(self.known, int(str(top)) + 1)
        if known == self.known:
            return ids, texts.clear()
        self._alive = cast[:1]
        fresh = np.flatnonzero((ids >= self.known) & (ids != NONE))
        row = np.empty(known - self.known, dtype=np.uint32)
        row[ids[fresh] - np.uint32(self.known)] = fresh
        self.known = known
        return ids, texts.gather(row)

    def texts(self) -> pl.Series:
        """See `_Numbers`."""
        return pl.Series(np.arange(self.known, dtype=np.uint32)).cat.to(self._kind).cast(pl.String)


class Hashed:
    """Numbers by 64-bit hashes, several times faster for many values; every row is compared with its text all the same.

    Raises:
        CollisionError: By `ids`, if two texts have one hash; what was numbered before is still as it was.
    """

    def __init__(self, texts: pl.Series) -> None:
        self._parts: list[pl.Series] = []
        self._table = _free_table(4 * len(texts))
        self.known = 0
        self.ids(texts)

    def ids(self, texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
        """See `_Numbers`."""
        from ctrsel.data._coding_loops import assign, move

        if texts.null_count():
            ids = np.full(len(texts), NONE, dtype=np.uint32)
            ids[texts.is_not_null().to_numpy()], fresh = self.ids(texts.drop_nulls())
            return ids, fresh
        n = len(texts)
        hashes = text_hash(texts)
        ids, first = np.empty(n, dtype=np.uint32), np.empty(n, dtype=np.uint32)
        progress = np.array([0, self.known, self.known])
        assign(hashes, self._table, progress, ids, first)
        while progress[0] < n:
            larger = _free_table(4 * len(self._table))
            move(self._table, larger)
            self._table = larger
            assign(hashes, larger, progress, ids, first)
        new = int(progress[1]) - self.known
        fresh = owned(texts.gather(first[:new])) if new else texts.clear()
        parts = [*self._parts, fresh] if new else self._parts
        if new < n:
            held = pl.concat(parts, rechunk=len(parts) > _PARTS)
            parts = [held] if len(parts) > _PARTS else parts
            if not (held.gather(ids) == texts).all():
                raise CollisionError
        self._parts = parts
        self.known += new
        return ids, fresh

    def texts(self) -> pl.Series:
        """See `_Numbers`."""
        return pl.concat(self._parts, rechunk=True)


def _free_table(least: int) -> np.ndarray:
    size = 1 << (max(least, 2) - 1).bit_length()
    table = np.empty((size, 2), dtype=np.uint64)
    table[:, 1] = NONE
    return table


class CollisionError(Exception):
    """Two texts have one hash."""


def text_hash(texts: pl.Series) -> np.ndarray:
    """Return a hash of each text, uint64 `[n]`; which one may change between versions, and nothing depends on it."""
    hashes = texts.hash().to_numpy()
    hashes.flags.writeable = False  # as most of them are: one type of array to compile for
    return hashes


class Dictionary:
    """The texts seen so far, numbered as they come.

    Examples:
        >>> dictionary = Dictionary()
        >>> dictionary.ids(pl.Series(["b", "3.0", None])).tolist() == [0, 1, NONE]
        True
        >>> dictionary.ids(pl.Series([3.0, 7.0])).tolist(), dictionary.known
        ([2, 3], 4)
        >>> texts, places = dictionary.close()
        >>> texts.to_list(), places.tolist()
        (['3', '7', 'b'], [2, 0, 0, 1])
    """

    def __init__(self) -> None:
        self._numbers: _Numbers = Categories(pl.Series([], dtype=pl.String))
        self._exact = False
        self.cost = 0.0

    @property
    def known(self) -> int:
        """How many texts it holds."""
        return self._numbers.known

    def ids(self, values: pl.Series) -> np.ndarray:
        """Return the raw id of each value, uint32 `[n]`, `NONE` where it is null; new texts get the next ids."""
        if values.dtype.is_temporal():
            return self._times(values)
        texts = values if values.dtype == pl.String else canonical_text(values)
        ids = np.empty(len(texts), dtype=np.uint32)
        start = 0
        while start < len(texts):
            # Until it is known which way is better for these values, little is done in the wrong one.
            stop = start + _STEP if isinstance(self._numbers, Categories) else len(texts)
            ids[start:stop] = self._next(texts[start:stop])
            start = stop
        return ids

    def _next(self, texts: pl.Series) -> np.ndarray:
        try:
            ids, fresh = self._numbers.ids(texts)
        except CollisionError:
            self._numbers, self._exact = Categories(self._numbers.texts()), True
            ids, fresh = self._numbers.ids(texts)
        self.cost += float(text_cost(fresh).sum())
        if self.known > _MANY and isinstance(self._numbers, Categories) and not self._exact:
            try:
                self._numbers = Hashed(self._numbers.texts())
            except CollisionError:
                self._exact = True
        return ids

    def _times(self, values: pl.Series) -> np.ndarray:
        # Writing a time costs several times what sorting it does: only distinct ones are written.
        physical = values.to_physical()
        most = physical.max()
        if most is None:
            return np.full(len(values), NONE, dtype=np.uint32)
        found, where = np.unique(physical.fill_null(most).to_numpy(), return_inverse=True)
        texts = canonical_text(pl.Series(found, dtype=physical.dtype).cast(values.dtype))
        ids: np.ndarray = self.ids(texts)[where]
        ids[values.is_null().to_numpy()] = NONE
        return ids

    def close(self) -> tuple[pl.Series, np.ndarray]:
        """Forget everything and return what was known.

        Returns:
            The canonical texts, distinct, ascending by UTF-8 bytes; and uint32 `[n_raw]`, the place there of each raw
            id, `NONE` where the raw text means missing.
        """
        raw = self._numbers.texts()
        self._numbers, self._exact, self.cost = Categories(raw.clear()), False, 0.0
        texts = canonical_text(raw)
        changed = bool(texts.ne_missing(raw).any())
        places = np.full(len(raw), NONE, dtype=np.uint32)
        del raw
        present = None
        if texts.null_count():
            present = texts.is_not_null().arg_true().to_numpy()
            texts = texts.gather(present)
        order = text_order(texts)
        texts = texts.gather(order)
        rank = np.arange(len(texts), dtype=np.uint32)
        if changed and len(texts):
            first = texts.ne_missing(texts.shift(1)).to_numpy()
            rank = np.cumsum(first, dtype=np.uint32) - np.uint32(1)
            texts = texts.filter(first)
        places[order if present is None else present[order]] = rank
        return texts.set_sorted(), places
