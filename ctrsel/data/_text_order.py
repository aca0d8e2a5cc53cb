"""Sort texts by their first bytes as numbers, which is several times faster than comparing texts."""

from __future__ import annotations

import numpy as np
import polars as pl

__all__ = ["text_order"]

_SMALL = 4096  # texts; below it polars' own sort takes less than a millisecond or two


def text_order(texts: pl.Series) -> np.ndarray:
    """Return the rows in ascending UTF-8 byte order `[n]`; equal texts come in any order.

    The bytes 0..8 after the prefix that all texts share are one big-endian number; only texts that are equal there are
    compared as texts.

    Args:
        texts: No nulls.

    Examples:
        >>> text_order(pl.Series(["b", "", "a"])).tolist()
        [1, 2, 0]
    """
    if len(texts) < _SMALL:
        return texts.arg_sort().to_numpy()
    keys = _keys(texts)
    order = np.argsort(keys)
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    del keys
    if same.any():
        tied = np.zeros(len(order), dtype=bool)
        tied[1:] |= same
        tied[:-1] |= same
        # Runs of equal keys stand in ascending order already: sorting all of them together sorts each in its place.
        rows = order[tied]
        order[tied] = rows[texts.gather(rows).arg_sort().to_numpy()]
    return order


def _keys(texts: pl.Series) -> np.ndarray:
    """Return uint64 `[n]`: the eight bytes after the common prefix, shorter texts filled up with zeros."""
    skip = _shared(str(texts.min()).encode(), str(texts.max()).encode())
    array = texts.rechunk().to_arrow()
    _, offsets_buffer, bytes_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[array.offset : array.offset + len(texts) + 1]
    if bytes_buffer is None or offsets[-1] - offsets[0] < 8:
        return np.zeros(len(texts), dtype=np.uint64)
    data = np.frombuffer(bytes_buffer, dtype=np.uint8)[: offsets[-1]]
    # Any eight bytes as one number, whatever their alignment: a view with a stride of one byte.
    words = np.ndarray(shape=(len(data) - 7,), dtype=">u8", buffer=data, strides=(1,))
    start = offsets[:-1] + skip
    length = np.clip(offsets[1:] - start, 0, 8)
    # Near the end of the data the word starts earlier, and is shifted.
    late = np.maximum(start - (len(data) - 8), 0)
    word = words[start - late].astype(np.uint64)
    np.left_shift(word, (np.minimum(late, 7) * 8).astype(np.uint64), out=word)
    mask = np.array([0, *(2**64 - 2 ** (64 - 8 * n) for n in range(1, 9))], dtype=np.uint64)
    np.bitwise_and(word, mask[length], out=word)
    return word


def _shared(first: bytes, last: bytes) -> int:
    """Return how many bytes two texts have in common from the start."""
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
