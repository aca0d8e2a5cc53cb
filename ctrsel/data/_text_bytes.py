"""The bytes of texts, one after another, with their offsets: what loops over bytes read."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

__all__ = ["FEW", "TextBytes", "loops"]

FEW = 20_000  # texts; below, numpy takes milliseconds and nothing needs to be compiled or loaded
_NOTHING = np.frombuffer(b"\0", dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBytes:
    """Texts as bytes.

    Attributes:
        bytes: uint8, read-only; never empty, so that a masked place 0 can be read.
        ends: int64 `[n + 1]`: text i is `bytes[ends[i] : ends[i + 1]]`.
    """

    bytes: np.ndarray
    ends: np.ndarray

    @staticmethod
    def of(texts: pl.Series) -> TextBytes:
        """Return the bytes of texts, of which none is null.

        Examples:
            >>> TextBytes.of(pl.Series(["ab", "", "c"])).ends.tolist()
            [0, 2, 2, 3]
        """
        if len(texts) <= FEW:  # without Arrow, which serving need not load
            data = texts.str.join("").item().encode() if len(texts) else b""
            ends = np.concatenate([[0], np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)])
            ends.flags.writeable = False
            return TextBytes(bytes=np.frombuffer(data, dtype=np.uint8) if data else _NOTHING, ends=ends)
        array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, held = array.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
        return TextBytes(bytes=np.frombuffer(held, dtype=np.uint8) if held and held.size else _NOTHING, ends=ends)


def loops(texts: int) -> Any:
    """Return the module of compiled loops for so many texts, or None where numpy does the work.

    Numpy does it for a few texts and where numba is not installed: a registered model neither carries the module nor
    asks for numba. Results are the same.
    """
    if texts <= FEW or any(importlib.util.find_spec(n) is None for n in ("numba", "ctrsel.data._text_loops")):
        return None
    return importlib.import_module("ctrsel.data._text_loops")
