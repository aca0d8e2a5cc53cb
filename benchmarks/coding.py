"""Measure how fast values are numbered, beside polars' own cast to Categorical, and what memory that takes.

    python benchmarks/coding.py [--rows 1000000] [--values 50000000] [--memory 1.0] [--scratch /tmp]

Without `--values`: columns of 2 to 1M distinct texts, each way in the same process; then 40 columns, one after another
and on two threads. With `--values`: one column of so many distinct texts and a fifth more rows, from a
parquet file, under a memory limit in GiB; peak is the anonymous memory of the process (RssAnon), the chunk of a million
rows that is being read included.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.data.coding import NONE, Coded, code_columns

CHUNK = 1_000_000  # rows


def anonymous() -> float:
    """Anonymous memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 2**10
    return float("nan")


class Peak:
    """The highest anonymous memory while a block runs, in MiB."""

    def __enter__(self) -> Peak:
        self.base = self.peak = anonymous()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, anonymous())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def best(function: Callable[[], object], *, repeats: int = 3) -> float:
    """CPU seconds of the cheapest of some calls."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        found.append(time.process_time() - began)
    return min(found)


def texts(values: np.ndarray) -> pl.Series:
    """Texts of 14 to 16 bytes in no order: each value mixed (splitmix64's finaliser) and written in base 36."""
    with np.errstate(over="ignore"):
        z = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
    return ("u_" + pl.Series("x", z >> np.uint64(8)).cast(pl.String)).alias("x")


def code(column: pl.Series, *, memory: int, scratch: Path) -> Coded:
    """Number one column in memory."""

    def chunks() -> Iterator[pl.Series]:
        for start in range(0, len(column), CHUNK):
            yield column[start : start + CHUNK]

    return code_columns([chunks], rows=[len(column)], memory=memory, scratch=scratch)


def cast(column: pl.Series) -> int:
    """What polars does for the same purpose."""
    return len(column.cast(pl.Categorical(pl.Categories.random())))


def beside_polars(rows: int, scratch: Path) -> None:
    """Print both ways beside the cast."""
    rng = np.random.default_rng(1)
    print("CPU seconds; `cast` is polars, `spill` a limit far below what the texts need")
    print(f"{'distinct':>9} {'cast s':>8} {'memory s':>9} {'ratio':>6} {'spill s':>8} {'ratio':>6}")
    for distinct in (2, 1_000, 100_000, 1_000_000):
        ids = rng.permutation(rows) if distinct >= rows else rng.integers(0, distinct, rows)
        column = texts(ids)
        small = min(50, distinct) * 200 if distinct < 1_000 else distinct * 80
        reference = best(partial(cast, column))
        memory = best(partial(code, column, memory=2**34, scratch=scratch))
        spill = best(partial(code, column, memory=small, scratch=scratch))
        spilled = f"{spill:8.3f} {spill / reference:6.2f}" if distinct > 2 else f"{'-':>8} {'-':>6}"
        print(f"{distinct:9} {reference:8.3f} {memory:9.3f} {memory / reference:6.2f} {spilled}", flush=True)
    columns = [texts(rng.integers(0, int(d), rows)) for d in np.geomspace(2, rows, 40)]
    numbered = partial(code, memory=2**34, scratch=scratch)
    reference = best(lambda: list(map(cast, columns)), repeats=2)
    ours = best(lambda: list(map(numbered, columns)), repeats=2)
    print(f"40 columns: cast {reference:.2f} s, ours {ours:.2f} s ({ours / reference:.2f}x)")
    with ThreadPoolExecutor(2) as pool:
        began, worked = time.perf_counter(), time.process_time()
        list(pool.map(numbered, columns))
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
    print(f"40 columns on two threads: {seconds:.2f} s, {worked:.2f} s of CPU")


def large(values: int, *, memory: float, scratch: Path) -> None:
    """Print what one large vocabulary takes."""
    rng = np.random.default_rng(1)
    rows = 0
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        began = time.perf_counter()
        for i, start in enumerate(range(0, values, CHUNK)):
            new = np.arange(start, min(start + CHUNK, values))
            all_of_them = rng.permutation(np.concatenate([new, rng.integers(0, new[-1] + 1, len(new) // 5)]))
            texts(all_of_them).to_frame().write_parquet(Path(folder) / f"{i:05}.parquet", compression="lz4")
            rows += len(all_of_them)
        files = sorted(Path(folder).iterdir())
        print(f"{values} values in {rows} rows written in {time.perf_counter() - began:.0f} s", flush=True)

        def chunks() -> Iterator[pl.Series]:
            for file in files:
                yield pl.read_parquet(file, memory_map=False)["x"]

        began = time.perf_counter()
        for _ in chunks():
            pass
        print(f"reading all rows once: {time.perf_counter() - began:.1f} s", flush=True)
        began, worked = time.perf_counter(), time.process_time()
        with Peak() as peak:
            coded = code_columns([chunks], rows=[rows], memory=int(memory * 2**30), scratch=scratch)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        print(
            f"numbered {len(coded.texts)} texts in {seconds:.1f} s, {worked:.1f} s of CPU; RssAnon from "
            f"{peak.base:.0f} MiB to at most {peak.peak:.0f} MiB, limit {memory * 2**10:.0f} MiB; {coded.texts}",
            flush=True,
        )
        start = 0
        for chunk in chunks():
            ids = coded.ids[0][start : start + len(chunk)]
            assert not (ids == NONE).any()
            some = slice(0, 20_000)
            assert coded.texts.take(coded.places[ids[some]]).equals(chunk[some].alias("value"))
            start += len(chunk)
        print("20,000 rows of each chunk read back as they were")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--values", type=int)
    parser.add_argument("--memory", type=float, default=1.0, help="GiB")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    if given.values:
        large(given.values, memory=given.memory, scratch=given.scratch)
    else:
        beside_polars(given.rows, given.scratch)


if __name__ == "__main__":
    main()
