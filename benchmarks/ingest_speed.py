"""Measure ingest beside polars' cast to Categorical, and beside FuxiCTR's preprocessing where a clone is given.

    python benchmarks/ingest_speed.py [--rows 1000000] [--repeats 5] [--scratch /tmp]
        [--fuxictr CLONE --fuxictr-python PYTHON [--fuxictr-repeats 2]]

One table of 40 text columns with 2 to as many distinct texts as there are rows, as a frame, as parquet and as CSV. The
ways take turns, so that what else the machine does falls on all of them; printed are medians, the ratios are medians of
the ratios within a turn, and CPU seconds stand beside wall seconds. `POLARS_MAX_THREADS` sets the threads of both sides.

FuxiCTR (reczoo/FuxiCTR) runs from a clone with the Python of an environment of its own: FeatureProcessor and
build_dataset with min_categr_count=1 on the same CSV, all rows as training rows; imports do not count in its wall seconds.

Found on two shared cores (load 3 to 8, two threads, medians of 5 turns, 2 of FuxiCTR): cast 10.4 s, frame 9.0 s (0.86 of the
cast), parquet 12.2 s, CSV 22.6 s, FuxiCTR 183 s (10.9 times the CSV in wall seconds, 9.3 in CPU seconds).

Where the 12 CPU seconds of the CSV go: hashing 40M texts and keeping the ids 4, parquet once 2.0 (55 ns a cell, most of
it the encoder's dictionaries), polars' own CSV parser 1.7, looking for faulty rows 0.8 (600 MB/s), reading columns back 0.5,
a digest of the file 0.5, sorting distinct texts 0.6, counts and lookups 0.6, copies of blocks 0.5. The limit is memory: each
text is touched once by the parser, once by the hash, and a miss of the caches per row of a column with many values.

Tried for the copy on disk, per 40M cells, write + read by column: parquet with lz4 2.3 + 0.5 s and 126 MB (kept), without
compression 2.0 + 0.4 s and 176 MB, with zstd 3.0 + 0.6 s; pyarrow's writer 2.1 + 0.4 s with dictionaries, 2.2 + 0.9 s without;
Arrow IPC 0.3 + 0.9 s but 725 MB, with lz4 2.0 + 1.5 s. Gone: reading whole columns to tell texts from numbers, copying blocks
twice for the parser, looking for two bytes where one is rare.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.data.ingest import ingest

FIELDS = 40
FUXICTR = """
import json, os, resource, sys, time
clone, csv, out = sys.argv[1:4]
sys.path.insert(0, clone)
from fuxictr.preprocess import FeatureProcessor, build_dataset
names = open(csv).readline().strip().split(",")
columns = [{"name": names[1:], "active": True, "dtype": "str", "type": "categorical"}]
label = {"name": names[0], "dtype": "float"}
start = time.perf_counter()
processor = FeatureProcessor(feature_cols=columns, label_col=label, dataset_id="bench", data_root=out)
build_dataset(processor, train_data=csv, min_categr_count=1, data_format="csv")
seconds = time.perf_counter() - start
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(u.ru_utime + u.ru_stime for u in used)
sizes = {k: v.get("vocab_size") for k, v in processor.feature_map.features.items()}
print(json.dumps({"wall": seconds, "cpu": cpu, "values": sum(sizes.values())}))
"""


def texts(values: np.ndarray, *, prefix: str) -> pl.Series:
    """Write each number, mixed, after a prefix: 4 to 14 bytes, in no order."""
    mixed = (values.astype(np.uint64) * np.uint64(2_654_435_761)) % np.uint64(4_294_967_291)
    return prefix + pl.Series(mixed).cast(pl.String)


def draw(rows: int, *, seed: int) -> pl.DataFrame:
    """Draw a label and 40 text columns; half of the columns are uniform, half are skewed, the last is a row id."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray | pl.Series] = {"click": rng.integers(0, 2, rows)}
    for i, distinct in enumerate(np.geomspace(2, rows, FIELDS).astype(int)):
        if i == FIELDS - 1:
            ids = rng.permutation(rows)
        elif i % 2:
            ids = (distinct * rng.random(rows) ** 3).astype(np.int64)
        else:
            ids = rng.integers(0, distinct, rows)
        columns[f"f{i:02}"] = texts(ids, prefix=f"{i:x}_")
    return pl.DataFrame(columns)


@dataclass(slots=True, kw_only=True)
class Way:
    """One way to do it, and what each of its turns took."""

    name: str
    run: Callable[[], tuple[float, float]]
    turns: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of a call in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def cast(frame: pl.DataFrame) -> pl.DataFrame:
    """Do what polars offers for the same purpose."""
    return frame.select(pl.col(frame.columns[1:]).cast(pl.Categorical))


def stored(source: Path, folder: Path) -> tuple[float, float]:
    """Ingest a file into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    return timed(partial(ingest, source, label="click", out=folder))


def fuxictr(clone: Path, python: str, csv: Path, out: Path) -> tuple[float, float]:
    """Preprocess a CSV with FuxiCTR in a process of its own environment."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [python, "-c", FUXICTR, str(clone.absolute()), str(csv), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out, check=False)
    if done.returncode:
        raise SystemExit(f"FuxiCTR failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    shutil.rmtree(out)
    return found["wall"], found["cpu"]


def report(ways: list[Way], rows: int) -> None:
    """Print what each way took, and the ratios that are promised."""
    print(f"{'':28} {'wall s':>8} {'CPU s':>8} {'rows/s':>12} {'turns':>6}")
    for way in ways:
        wall = statistics.median(way.wall)
        print(f"{way.name:28} {wall:8.2f} {statistics.median(way.cpu):8.2f} {rows / wall:12,.0f} {len(way.wall):6}")
    by = {way.name: way for way in ways}

    def ratio(one: str, other: str) -> str:
        a, b = by[one], by[other]
        wall = statistics.median(x / y for x, y in zip(a.wall, b.wall, strict=False))
        cpu = statistics.median(x / y for x, y in zip(a.cpu, b.cpu, strict=False))
        return f"{wall:.2f} in wall seconds, {cpu:.2f} in CPU seconds"

    print(f"frame / cast: {ratio('ingest a frame', 'polars cast')}; promised: at most 2")
    if "FuxiCTR, CSV" in by:
        print(f"FuxiCTR / CSV: {ratio('FuxiCTR, CSV', 'ingest CSV to a folder')}; promised: at least 10")
        print(f"FuxiCTR / parquet: {ratio('FuxiCTR, CSV', 'ingest parquet to a folder')}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--fuxictr", type=Path, help="a clone of reczoo/FuxiCTR")
    parser.add_argument("--fuxictr-python", help="the Python of an environment with what it needs, polars<2 among it")
    parser.add_argument("--fuxictr-repeats", type=int, default=2)
    given = parser.parse_args()
    if (given.fuxictr is None) != (given.fuxictr_python is None):
        parser.error("--fuxictr and --fuxictr-python belong together")
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        frame = draw(given.rows, seed=1)
        frame.write_csv(folder / "rows.csv")
        frame.write_parquet(folder / "rows.parquet")
        distinct = sum(frame[c].n_unique() for c in frame.columns[1:])
        size = (folder / "rows.csv").stat().st_size / 1e6
        print(f"{frame.height} rows, {FIELDS} text columns, {distinct} distinct texts, CSV of {size:.0f} MB")
        print(
            f"{pl.thread_pool_size()} polars threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
        )
        ways = [
            Way(name="polars cast", run=partial(timed, partial(cast, frame)), turns=given.repeats),
            Way(name="ingest a frame", run=partial(timed, partial(ingest, frame, label="click")), turns=given.repeats),
            Way(
                name="ingest parquet to a folder",
                run=partial(stored, folder / "rows.parquet", folder / "store"),
                turns=given.repeats,
            ),
            Way(
                name="ingest CSV to a folder",
                run=partial(stored, folder / "rows.csv", folder / "store"),
                turns=given.repeats,
            ),
        ]
        if given.fuxictr is not None:
            run = partial(fuxictr, given.fuxictr, given.fuxictr_python, folder / "rows.csv", folder / "fuxictr")
            ways.append(Way(name="FuxiCTR, CSV", run=run, turns=given.fuxictr_repeats))
        ingest(frame.head(50_000), label="click")  # what is compiled or loaded once
        for turn in range(max(given.repeats, given.fuxictr_repeats)):
            for way in ways:
                if turn < way.turns:
                    wall, cpu = way.run()
                    way.wall.append(wall)
                    way.cpu.append(cpu)
        report(ways, frame.height)
        print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
