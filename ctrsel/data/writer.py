"""Writer: a table's arrays, filled piece by piece in memory or straight into the files of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrsel.data.table import Ragged

__all__ = ["Writer", "expand"]

_PIECE = 1_000_000  # rows


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Where a table's arrays go.

    Attributes:
        folder: The folder of a table that is being written; None for arrays in memory.
    """

    folder: Path | None

    def array(self, name: str, shape: int | tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """Return an array to fill: in memory, or the pages of `<folder>/<name>.npy`, which are not anonymous memory.

        Raises:
            OSError: If the disk has no space for it.
        """
        if self.folder is None:
            return np.empty(shape, dtype=dtype)
        whole = (shape,) if isinstance(shape, int) else shape
        if 0 in whole:  # no bytes to map
            empty = np.empty(whole, dtype=dtype)
            np.save(self.folder / f"{name}.npy", empty, allow_pickle=False)
            return empty
        mapped: np.ndarray = np.lib.format.open_memmap(self.folder / f"{name}.npy", mode="w+", dtype=dtype, shape=whole)
        if hasattr(os, "posix_fallocate"):
            # Space is taken at once: a disk that is full only when a page is written ends the process without a word.
            with (self.folder / f"{name}.npy").open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        return mapped

    def keep(self, name: str, values: np.ndarray) -> np.ndarray:
        """Write a whole array."""
        if self.folder is not None:
            np.save(self.folder / f"{name}.npy", values, allow_pickle=False)
        return values

    def plain(self, name: str, values: np.ndarray, rows: np.ndarray, *, lut: np.ndarray | None = None) -> np.ndarray:
        """Write the values of some rows in their order, or what a lookup has for them.

        Args:
            name: The array's name.
            values: `[N, ...]`; with a lookup ids, of which those past its end mean its last entry.
            rows: int64 `[n]`.
            lut: The value of each id.
        """
        out = self.array(name, (len(rows), *values.shape[1:]), values.dtype if lut is None else lut.dtype)
        for start in range(0, len(rows), _PIECE):
            some = values[rows[start : start + _PIECE]]
            out[start : start + _PIECE] = some if lut is None else np.take(lut, some, mode="clip")
        return out

    def ragged(
        self, name: str, offsets: np.ndarray, values: np.ndarray, rows: np.ndarray, *, lut: np.ndarray
    ) -> Ragged:
        """Write the lists of some rows in their order, through a lookup."""
        lengths = np.diff(offsets)[rows]
        into = self.array(f"{name}.offsets", len(rows) + 1, np.int64)
        into[0] = 0
        np.cumsum(lengths, out=into[1:])
        out = self.array(f"{name}.codes", int(into[-1]), lut.dtype)
        for start in range(0, len(rows), _PIECE):
            piece = rows[start : start + _PIECE]
            at = expand(offsets[piece], lengths[start : start + _PIECE])
            out[into[start] : into[start] + len(at)] = np.take(lut, values[at], mode="clip")
        return Ragged(offsets=into, codes=out)


def expand(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the positions of lists that stand one behind another somewhere else.

    Examples:
        >>> expand(np.array([10, 3]), np.array([2, 3])).tolist()
        [10, 11, 3, 4, 5]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    places: np.ndarray = np.arange(total) - np.repeat(ends - lengths - starts, lengths)
    return places
