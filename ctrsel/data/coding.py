"""Number the values of columns: an id per row, and the canonical texts in order; on disk where they exceed memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data._text_order import text_order
from ctrsel.data.canonical import canonical_text
from ctrsel.data.texts import SortedTexts

__all__ = ["NONE", "Coded", "code_columns"]

NONE = np.uint32(2**32 - 1)
PIECE = 262_144  # rows looked at together
_ENTRY = 200  # bytes of one text in a dictionary, beside the text itself (measured: benchmarks/coding.py)
_COPIES = 3  # of each text while a dictionary is sorted


@dataclass(frozen=True, kw_only=True)
class Coded:
    """The columns of one vocabulary as numbers.

    Attributes:
        ids: Per column uint32 `[n]`: the raw id of the row's value, `NONE` where it is missing.
        places: uint32 `[n_raw]`: the place in `texts` of each raw id; `NONE` where the raw text means missing ("").
            Several raw texts, "3" and "3.0", may have one place. How raw ids are numbered is of no meaning.
        texts: The canonical texts, distinct, ascending by bytes.
    """

    ids: tuple[np.ndarray, ...]
    places: np.ndarray
    texts: SortedTexts


class Dictionary:
    """The texts seen so far, numbered by a polars `Categories` of its own; hashing a row costs what a cast costs."""

    def __init__(self) -> None:
        self._kind = pl.Categorical(pl.Categories.random())
        self._alive = pl.Series([], dtype=self._kind)  # the mapping lives as long as a series of it
        self.known = 0
        self._text_bytes = 0

    @property
    def nbytes(self) -> int:
        """Estimated peak of anonymous memory until it is sorted, in bytes."""
        return self.known * _ENTRY + self._text_bytes * _COPIES

    def ids(self, values: pl.Series) -> np.ndarray:
        """Return the raw id of each value, uint32 `[n]`, `NONE` where it is null; new texts get new ids."""
        texts = values if values.dtype == pl.String else canonical_text(values)
        codes = texts.cast(self._kind).to_physical()
        top = codes.max()
        ids = codes.fill_null(NONE).to_numpy()
        if top is not None and int(top) >= self.known:
            fresh = np.flatnonzero((ids >= self.known) & (ids != NONE))
            row = np.empty(int(top) + 1 - self.known, dtype=np.uint32)
            row[ids[fresh] - np.uint32(self.known)] = fresh
            self._text_bytes += int(texts.gather(row).str.len_bytes().sum())
            self.known = int(top) + 1
        return ids

    def sorted(self) -> tuple[pl.Series, np.ndarray]:
        """Return the canonical texts, ascending, and the place of each raw id; the dictionary is empty afterwards."""
        raw = pl.Series(np.arange(self.known, dtype=np.uint32)).cat.to(self._kind).cast(pl.String)
        self._alive = pl.Series([], dtype=pl.String)
        canonical = canonical_text(raw)
        changed = bool(canonical.ne_missing(raw).any())
        del raw
        places = np.full(self.known, NONE, dtype=np.uint32)
        present = canonical.is_not_null().arg_true().to_numpy() if canonical.null_count() else None
        texts = canonical if present is None else canonical.gather(present)
        order = text_order(texts)
        texts = texts.gather(order)
        rank = np.arange(len(texts), dtype=np.uint32)
        if changed and len(texts):
            first = texts.ne_missing(texts.shift(1)).to_numpy()
            rank = np.cumsum(first, dtype=np.uint32) - np.uint32(1)
            texts = texts.filter(first)
        places[order if present is None else present[order]] = rank
        return texts.set_sorted(), places


def code_columns(
    columns: Sequence[Callable[[], Iterator[pl.Series]]], *, rows: Sequence[int], memory: int, scratch: Path
) -> Coded:
    """Number the values of the columns that share one vocabulary.

    Each value is hashed once; what makes "3.0" and "3" one value is done per distinct text.

    Args:
        columns: Each yields a column's chunks anew, in row order; their types may differ.
        rows: How many rows each column has.
        memory: What may be held at once, in bytes; not counting the chunks that the columns yield.
        scratch: A folder for what does not fit; the result may be mapped from files there.

    Raises:
        DataError: If a column yields another number of rows, or a type that has no text form.
    """
    ids = tuple(np.empty(n, dtype=np.uint32) for n in rows)
    dictionary = Dictionary()
    for column, out in zip(columns, ids, strict=True):
        at = 0
        for chunk in column():
            if at + len(chunk) > len(out):
                raise DataError(f"column {chunk.name!r}: must have {len(out)} rows, got more; did the source change?")
            for start in range(0, len(chunk), PIECE):
                piece = chunk.slice(start, PIECE)
                out[at : at + len(piece)] = dictionary.ids(piece)
                at += len(piece)
        if at != len(out):
            raise DataError(f"a column must have {len(out)} rows, got {at}; did the source change?")
    texts, places = dictionary.sorted()
    return Coded(ids=ids, places=places, texts=SortedTexts.of(texts))
