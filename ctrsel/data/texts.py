"""Sorted texts: the distinct texts of a vocabulary in ascending order of their UTF-8 bytes, in memory or memory-mapped.

Saved as an Arrow IPC file (uncompressed, one column `value` of type large_string), which polars, pyarrow and others
read. Few texts are a polars series; many are packed (`_packed_texts`) and stay in the file that they are read from.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data._packed_texts import COLUMN, PackedTexts, packed_bytes, write_packed

__all__ = ["SortedTexts"]

SMALL = 1 << 22  # bytes; up to here texts are held as a series, and Arrow need not be loaded


class SortedTexts:
    """Distinct texts in ascending order of their UTF-8 bytes; a text's number in this order is its place.

    Made by `of`, `write` and `load`. Never changes.

    Examples:
        >>> texts = SortedTexts.of(pl.Series(["b", "a", "ä"]))
        >>> texts.to_list(), texts.find(pl.Series(["ä", "x", None, "a"])).tolist()
        (['a', 'b', 'ä'], [2, -1, -1, 0])
    """

    __slots__ = ("_digest", "_enum", "_packed", "_series")

    def __init__(self, held: pl.Series | PackedTexts) -> None:
        self._series = held if isinstance(held, pl.Series) else None
        self._packed = held if isinstance(held, PackedTexts) else None
        self._enum: pl.Enum | None = None
        self._digest: str | None = None

    @staticmethod
    def of(texts: pl.Series) -> SortedTexts:
        """Sort distinct texts.

        Raises:
            DataError: If a text is null or comes twice.
        """
        if texts.null_count():
            raise DataError("sorted texts: a text must not be null")
        ordered = texts.cast(pl.String).rename(COLUMN).sort()
        twice = ordered[1:] == ordered[:-1]
        if twice.any():
            raise DataError(f"sorted texts: texts must be distinct, but {ordered[twice.arg_max() or 0]!r} comes twice")
        return SortedTexts.join([ordered])

    @staticmethod
    def join(parts: Iterable[pl.Series], *, scratch: Path | None = None) -> SortedTexts:
        """Join parts that ascend overall.

        Args:
            parts: Texts.
            scratch: A folder where many texts may lie, for as long as they are used; None holds them in memory.
        """
        few: list[pl.Series] = []
        size = 0
        waiting = iter(parts)
        for part in waiting:
            few.append(part.rename(COLUMN))
            size += _size(part)
            if size > SMALL:
                break
        else:
            return SortedTexts(pl.concat(few).rechunk() if few else pl.Series(COLUMN, [], dtype=pl.String))

        def every() -> Iterator[pl.Series]:
            while few:
                yield few.pop(0)
            yield from waiting

        if scratch is None:
            return SortedTexts(PackedTexts(packed_bytes(every()), name="sorted texts"))
        import tempfile

        with tempfile.NamedTemporaryFile(dir=scratch, prefix="texts-", suffix=".arrow", delete=False) as file:
            path = Path(file.name)
        try:
            write_packed(every(), str(path))
            return SortedTexts(PackedTexts.open(path))
        finally:
            path.unlink()  # its pages stay until nobody uses them

    @staticmethod
    def write(parts: Iterable[pl.Series], path: Path) -> SortedTexts:
        """Write parts that ascend overall, one at a time, and return them, mapped where they are many.

        Raises:
            DataError: If a part does not ascend from the last one.
        """
        write_packed(parts, str(path))
        return SortedTexts.load(path)

    @staticmethod
    def load(path: Path) -> SortedTexts:
        """Load what `save` or `write` wrote; many texts stay in the file.

        The order is not checked again: compare `digest` with one that was kept elsewhere.

        Raises:
            DataError: If the file is missing or no such file.
        """
        path = Path(path)
        try:
            if path.stat().st_size > SMALL:
                return SortedTexts(PackedTexts.open(path))
            frame = pl.read_ipc(io.BytesIO(path.read_bytes()))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise DataError(f"{path}: expected a whole Arrow file, got: {said}") from error
        if dict(frame.schema) != {COLUMN: pl.String} or frame[COLUMN].null_count():
            raise DataError(f"{path}: expected one column {COLUMN!r} of texts, got {dict(frame.schema)}")
        return SortedTexts(frame[COLUMN].rechunk())

    def save(self, path: Path) -> None:
        """Save as an Arrow IPC file."""
        if self._series is not None:
            pl.DataFrame({COLUMN: self._series}).write_ipc(
                path, compression="uncompressed", compat_level=pl.CompatLevel.oldest()
            )
            return
        with path.open("wb") as file:
            file.write(self._many.buffer)

    @property
    def _many(self) -> PackedTexts:
        assert self._packed is not None
        return self._packed

    def __len__(self) -> int:
        return len(self._many) if self._series is None else len(self._series)

    def __repr__(self) -> str:
        return f"SortedTexts({len(self):,} texts, {'mapped' if self.mapped else 'in memory'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (self._series, None if self._packed is None else self._packed.buffer.to_pybytes()))

    @property
    def mapped(self) -> bool:
        """Whether the texts lie in a file."""
        return self._packed is not None and self._packed.mapped

    @property
    def nbytes(self) -> int:
        """Bytes of texts and offsets, wherever they lie."""
        return _size(self._series) if self._series is not None else int(self._many.buffer.size)

    @property
    def digest(self) -> str:
        """Digest of the texts, however they are held."""
        if self._digest is None:
            texts, lengths = hashlib.sha256(), hashlib.sha256()
            for size, data in self._pieces():
                lengths.update(size)
                texts.update(data)
            whole = f"{len(self)}|{lengths.hexdigest()}|{texts.hexdigest()}"
            self._digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
        return self._digest

    def _pieces(self) -> Iterator[tuple[Any, Any]]:
        if self._series is None:
            yield from self._many.pieces()
        elif len(self._series):
            lengths = self._series.str.len_bytes().to_numpy().astype("<u4")
            yield lengths, self._series.str.join("").item().encode()

    @property
    def enum(self) -> pl.Enum | None:
        """The type to which a query casts texts to get their places; None for many texts, which need `find`."""
        if self._enum is None and self._series is not None:
            self._enum = pl.Enum(self._series)
        return self._enum

    def find(self, texts: pl.Series) -> np.ndarray:
        """Return the place of each text, int64 `[n]`; -1 where it is unknown or null."""
        if not len(self):
            return np.full(len(texts), -1, dtype=np.int64)
        texts = texts if texts.dtype == pl.String else texts.cast(pl.String)
        if (enum := self.enum) is not None:
            return texts.cast(enum, strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        if not texts.null_count():
            place, found = self._many.lower(texts)
            return np.where(found, place, -1)
        present = texts.is_not_null().to_numpy()
        out = np.full(len(texts), -1, dtype=np.int64)
        out[present] = self.find(texts.drop_nulls())
        return out

    def before(self, texts: pl.Series) -> np.ndarray:
        """Return how many of these texts stand before each given one (no nulls), int64 `[n]`."""
        if self._series is not None:
            return self._series.search_sorted(texts, side="left").to_numpy().astype(np.int64)
        return self._many.lower(texts)[0]

    def take(self, places: np.ndarray) -> pl.Series:
        """Return the texts at some places `[n]`, in this order."""
        places = np.asarray(places, dtype=np.int64)
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(self):
            raise DataError(f"sorted texts: places must be in 0..{len(self) - 1}")
        return self._many.take(places) if self._series is None else self._series.gather(places)

    def keep(self, mask: np.ndarray, *, scratch: Path | None = None) -> SortedTexts:
        """Return the texts where `mask` `[v]` is true; `scratch` as in `join`."""
        if len(mask) != len(self):
            raise DataError(f"sorted texts: the mask must have {len(self)} places, got {len(mask)}")
        if mask.all():
            return self

        def kept() -> Iterator[pl.Series]:
            start = 0
            for part in self.chunks():
                yield part.filter(pl.Series(mask[start : start + len(part)]))
                start += len(part)

        return SortedTexts.join(kept(), scratch=scratch)

    def union(self, others: SortedTexts, *, scratch: Path | None = None) -> tuple[SortedTexts, np.ndarray]:
        """Return these texts and other ones, all distinct, and how many of these stand before each other one.

        Args:
            others: Texts that are not among these.
            scratch: As in `join`.

        Returns:
            The union, and int64 `[w]`, the places for `numpy.insert`.
        """
        before = [self.before(part) for part in others.chunks()]
        at = np.concatenate(before) if before else np.zeros(0, dtype=np.int64)

        def merged() -> Iterator[pl.Series]:
            start = done = 0
            for part in self.chunks():
                start += len(part)
                until = int(np.searchsorted(at, start)) if start < len(self) else len(at)
                more = others.take(np.arange(done, until)).to_frame()
                yield part.to_frame().merge_sorted(more, key=COLUMN)[COLUMN] if len(more) else part
                done = until

        return SortedTexts.join(merged() if len(self) else others.chunks(), scratch=scratch), at

    def chunks(self, rows: int = 1 << 20) -> Iterator[pl.Series]:
        """Yield the texts in order, at most so many at once."""
        if self._series is None:
            yield from self._many.chunks(rows)
            return
        for start in range(0, len(self._series), rows):
            yield self._series[start : start + rows]

    def to_list(self) -> list[str]:
        """Return all texts; for few of them."""
        return [text for part in self.chunks() for text in part.to_list()]


def _size(texts: pl.Series) -> int:
    return 8 * len(texts) + int(texts.str.len_bytes().cast(pl.Int64).sum())


def _restored(series: pl.Series | None, data: bytes | None) -> SortedTexts:
    if series is not None:
        return SortedTexts(series)
    import pyarrow as pa

    return SortedTexts(PackedTexts(pa.py_buffer(data), name="sorted texts"))
