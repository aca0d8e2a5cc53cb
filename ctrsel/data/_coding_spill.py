"""Number the values of a vocabulary that is larger than memory: partition the rows by ranges of texts, on disk.

The ranges are quantiles of a sample of the distinct texts: those whose hash lies below a bound, which tells how many
there are as well (Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007). Each range can then be numbered
and sorted in memory, and the sorted ranges follow each other, so that nothing is sorted twice (a distribution sort;
Knuth, The Art of Computer Programming, vol. 3, section 5.4.7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data._coding_dictionary import NONE, Dictionary, owned, text_cost
from ctrsel.data.canonical import canonical_text
from ctrsel.data.scratch import scratch_file

__all__ = ["Rows", "Spill", "number"]

Rows: TypeAlias = Callable[[], Iterator[tuple[slice | np.ndarray, pl.Series]]]
"""Yields the values of all rows anew, in pieces, with where in the flat array of ids each piece belongs."""

_SAMPLE = 65_536  # distinct texts
_LEAST = 64  # texts of a sample, however little memory there is
_RANGES = 256  # at most, since each is an open file; a range that is too large is partitioned again
_FILL = 0.6  # of the memory: how full a range is expected to be; the sample's error is a few per cent
_RANGE = 64 * 2**20  # bytes of a dictionary at best: caches hold more of a smaller one
_BATCH = 131_072  # rows read together


def number(source: Rows, ids: np.ndarray, *, base: int, memory: float) -> Dictionary | None:
    """Number the values in memory; None as soon as their dictionary would cost more than `memory` bytes.

    Args:
        source: The rows.
        ids: uint32 `[n]`, filled: `base` + the raw id in the dictionary, `NONE` where missing.
        base: First raw id.
        memory: In bytes.
    """
    dictionary = Dictionary()
    for rows, values in source():
        found = dictionary.ids(values)
        if dictionary.cost > memory:
            return None
        if base:
            found = np.where(found == NONE, NONE, found + np.uint32(base))
        ids[rows] = found
    return dictionary


class Spill:
    """One vocabulary that does not fit.

    Args:
        ids: uint32 `[n]`, filled while `texts` is consumed.
        memory: What may be held, in bytes.
        scratch: The folder for its files, which have no names.
    """

    def __init__(self, ids: np.ndarray, *, memory: float, scratch: Path) -> None:
        self._ids = ids
        self._memory = memory
        self._scratch = scratch
        self._places = scratch_file(0, folder=scratch)
        self._n_raw = 0
        self._n_texts = 0

    def texts(self, source: Rows) -> Iterator[pl.Series]:
        """Yield the canonical texts, ascending, a range at a time."""
        cuts = self._cuts(source)
        event("values exceed memory", rows=len(self._ids), ranges=len(cuts) + 1, memory_bytes=round(self._memory))
        yield from self._texts(source, cuts)

    def _texts(self, source: Rows, cuts: pl.Series) -> Iterator[pl.Series]:
        files = self._partition(source, cuts)
        try:
            for file in files:
                yield from self._range(file, single=not len(cuts))
                file.close()  # and gone
        finally:
            for file in files:
                file.close()

    def places(self) -> np.ndarray:
        """Return the place of each raw id, uint32 `[n_raw]`, mapped; call it when all texts were yielded."""
        self._places.flush()
        with self._places as file:
            if not self._n_raw:
                return np.empty(0, dtype=np.uint32)
            return np.memmap(file, dtype=np.uint32, mode="r", shape=(self._n_raw,))

    def _range(self, file: BinaryIO, *, single: bool) -> Iterator[pl.Series]:
        def source() -> Iterator[tuple[slice | np.ndarray, pl.Series]]:
            return _read(file)

        # What cannot be divided is held, however large: one text.
        dictionary = number(source, self._ids, base=self._n_raw, memory=math.inf if single else self._memory)
        if dictionary is None:
            yield from self._texts(source, self._cuts(source))
            return
        self._n_raw += dictionary.known
        if self._n_raw >= NONE:
            raise DataError(f"a vocabulary must have fewer than {int(NONE)} distinct values, got {self._n_raw}")
        texts, places = dictionary.close()
        places[places != NONE] += np.uint32(self._n_texts)
        self._places.write(places.data)
        self._n_texts += len(texts)
        yield texts

    def _cuts(self, source: Rows) -> pl.Series:
        """Return the first texts of all ranges but the first, by a sample of the distinct texts."""
        bound = 2**64
        sample = pl.Series([], dtype=pl.String)
        for _, values in source():
            texts = canonical_text(values).drop_nulls()
            if bound < 2**64:
                texts = texts.filter(texts.hash() < bound)
            sample = pl.concat([sample, owned(texts)])
            if self._large(sample):
                sample = sample.unique()
            while self._large(sample) and len(sample) > _LEAST:
                bound //= 2
                sample = owned(sample.filter(sample.hash() < bound))
        sample = sample.unique().sort()
        if len(sample) < 2:
            return sample.clear()
        cost = np.cumsum(text_cost(sample)) * (2**64 / bound)
        ranges = min(max(math.ceil(cost[-1] / min(_FILL * self._memory, _RANGE)), 2), _RANGES)
        at = np.searchsorted(cost, cost[-1] * np.arange(1, ranges) / ranges)
        # The least text of the sample is in the first range, so that no range is all there is.
        return sample.gather(np.unique(np.clip(at, 1, len(sample) - 1)))

    def _large(self, sample: pl.Series) -> bool:
        return len(sample) > _SAMPLE or float(text_cost(sample).sum()) > self._memory / 8

    def _partition(self, source: Rows, cuts: pl.Series) -> list[BinaryIO]:
        """Write each row's place and canonical text to the file of its range; missing rows get no id at once."""
        import pyarrow as pa

        wide = len(self._ids) > 2**32
        schema = pa.schema([("row", pa.int64() if wide else pa.uint32()), ("text", pa.large_string())])
        files = [scratch_file(0, folder=self._scratch) for _ in range(len(cuts) + 1)]
        writers = [pa.ipc.new_stream(file, schema) for file in files]
        for place, values in source():
            rows = np.arange(place.start, place.stop) if isinstance(place, slice) else place
            texts = canonical_text(values)
            if texts.null_count():
                missing = texts.is_null().to_numpy()
                self._ids[rows[missing]] = NONE
                rows, texts = rows[~missing], texts.drop_nulls()
            which = cuts.search_sorted(texts, side="right").to_numpy() if len(cuts) else np.zeros(len(texts))
            which = which.astype(np.uint8)
            order = np.argsort(which, kind="stable")
            ends = np.cumsum(np.bincount(which, minlength=len(files)))
            batch = pa.record_batch(
                [pa.array(rows[order].astype(np.int64 if wide else np.uint32)), _arrow(texts.gather(order))],
                schema=schema,
            )
            for writer, start, stop in zip(writers, [0, *ends[:-1]], ends, strict=True):
                if stop > start:
                    writer.write_batch(batch.slice(start, stop - start))
        for writer in writers:
            writer.close()
        return files


def _read(file: BinaryIO) -> Iterator[tuple[np.ndarray, pl.Series]]:
    import pyarrow as pa

    file.seek(0)
    waiting: list[Any] = []
    held = 0
    for batch in pa.ipc.open_stream(file):
        waiting.append(batch)
        held += batch.num_rows
        if held >= _BATCH:
            yield _joined(waiting)
            waiting, held = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[Any]) -> tuple[np.ndarray, pl.Series]:
    import pyarrow as pa

    frame = pl.DataFrame(pa.Table.from_batches(batches)).rechunk()
    return frame["row"].to_numpy(), frame["text"]


def _arrow(texts: pl.Series) -> Any:
    return texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
