"""Number the values of columns: an id per row, and the canonical texts in order; on disk where they exceed memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data._coding_dictionary import NONE
from ctrsel.data._coding_spill import Spill, number
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.texts import SortedTexts

__all__ = ["NONE", "Coded", "code_columns"]

_PIECE = 262_144  # rows numbered together
_IDS = 0.25  # of the memory: what the ids may take before they are mapped from a file


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


def code_columns(
    columns: Sequence[Callable[[], Iterator[pl.Series]]], *, rows: Sequence[int], memory: int, scratch: Path
) -> Coded:
    """Number the values of the columns that share one vocabulary.

    In memory each value is hashed once, and what makes "3.0" and "3" one value is done per distinct text. As soon as
    the dictionary's estimated cost (160 bytes and three times its length per distinct text) and the ids exceed
    `memory`, it is forgotten: the columns are read twice more, once for a sample and once to partition the rows on disk
    by ranges of texts that each fit. `texts` and `places[ids]` are the same either way.

    Args:
        columns: Each yields a column's chunks anew, in row order; their types may differ.
        rows: How many rows each column has.
        memory: What may be held at once, in bytes; not counting the chunks that the columns yield.
        scratch: A folder for what does not fit. Its files have no names and are gone with the result.

    Raises:
        DataError: If a column yields another number of rows, or a type that has no text form.

    Examples:
        >>> chunks = [pl.Series("ad", ["b", "3.0", None]), pl.Series("ad", [3, 1])]
        >>> coded = code_columns([lambda: iter(chunks)], rows=[5], memory=2**30, scratch=Path("/tmp"))
        >>> coded.texts.to_list(), [None if i == NONE else int(coded.places[i]) for i in coded.ids[0]]
        (['1', '3', 'b'], [2, 1, None, 1, 0])
    """
    total = sum(rows)
    if 4 * total <= _IDS * memory:
        ids, memory = np.empty(total, dtype=np.uint32), memory - 4 * total
    else:
        (ids,) = mapped_arrays([(total, np.dtype(np.uint32))], folder=scratch)

    def source() -> Iterator[tuple[slice, pl.Series]]:
        return _pieces(columns, rows)

    dictionary = number(source, ids, base=0, memory=memory)
    if dictionary is not None:
        sorted_texts, places = dictionary.close()
        texts = SortedTexts.join([sorted_texts], scratch=scratch)
    else:
        spill = Spill(ids, memory=memory, scratch=scratch)
        texts = SortedTexts.join(spill.texts(source), scratch=scratch)
        places = spill.places()
    ends = np.cumsum([0, *rows])
    columns_ids = tuple(ids[start:stop] for start, stop in pairwise(ends))
    return Coded(ids=columns_ids, places=places, texts=texts)


def _pieces(
    columns: Sequence[Callable[[], Iterator[pl.Series]]], rows: Sequence[int]
) -> Iterator[tuple[slice, pl.Series]]:
    start = 0
    for which, (column, n) in enumerate(zip(columns, rows, strict=True), start=1):
        at, stop = start, start + n
        for chunk in column():
            if at + len(chunk) > stop:
                raise DataError(f"column {chunk.name!r}: must have {n} rows, got more; did the source change?")
            for first in range(0, len(chunk), _PIECE):
                piece = chunk.slice(first, _PIECE)
                yield slice(at, at + len(piece)), piece
                at += len(piece)
        if at != stop:
            raise DataError(
                f"column {which} of a vocabulary: must have {n} rows, got {at - start}; did the source change?"
            )
        start = stop
