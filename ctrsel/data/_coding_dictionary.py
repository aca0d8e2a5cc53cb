"""Dictionary: numbers for texts as they come, by polars' own hashing; then their canonical texts in order."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrsel.data._text_order import text_order
from ctrsel.data.canonical import canonical_text

__all__ = ["NONE", "Dictionary", "text_cost"]

NONE = np.uint32(2**32 - 1)
_ENTRY = 160  # bytes of one text in a dictionary, beside the text itself (measured: benchmarks/coding.py)
_COPIES = 3  # of each text while a dictionary is sorted


def text_cost(texts: pl.Series) -> np.ndarray:
    """Return what each text costs a dictionary at its peak, float64 `[n]` in bytes."""
    return _ENTRY + _COPIES * texts.str.len_bytes().to_numpy().astype(np.float64)


class Dictionary:
    """The texts seen so far, numbered by a polars `Categories` of its own; hashing a row costs what a cast costs.

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
        self._kind = pl.Categorical(pl.Categories.random())
        self._alive = pl.Series([], dtype=self._kind)  # the mapping lives as long as a series of it
        self.known = 0
        self.cost = 0.0

    def ids(self, values: pl.Series) -> np.ndarray:
        """Return the raw id of each value, uint32 `[n]`, `NONE` where it is null; new texts get the next ids."""
        if values.dtype.is_temporal():
            return self._times(values)
        texts = values if values.dtype == pl.String else canonical_text(values)
        codes = texts.cast(self._kind).to_physical()
        top = codes.max()
        ids: np.ndarray = (codes.fill_null(NONE) if codes.null_count() else codes).to_numpy()
        if top is not None and int(str(top)) >= self.known:
            known = int(str(top)) + 1
            fresh = np.flatnonzero((ids >= self.known) & (ids != NONE))
            row = np.empty(known - self.known, dtype=np.uint32)
            row[ids[fresh] - np.uint32(self.known)] = fresh
            self.cost += float(text_cost(texts.gather(row)).sum())
            self.known = known
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
        """Forget the dictionary and return what it held.

        Returns:
            The canonical texts, distinct, ascending by UTF-8 bytes; and uint32 `[n_raw]`, the place there of each raw
            id, `NONE` where the raw text means missing.
        """
        raw = pl.Series(np.arange(self.known, dtype=np.uint32)).cat.to(self._kind).cast(pl.String)
        self._alive = pl.Series([], dtype=pl.String)
        texts = canonical_text(raw)
        changed = bool(texts.ne_missing(raw).any())
        places = np.full(self.known, NONE, dtype=np.uint32)
        self.known, self.cost = 0, 0.0
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
