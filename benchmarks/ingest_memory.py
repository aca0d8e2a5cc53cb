"""Measure the anonymous memory that ingest takes: text columns of 2 to millions of values from parquet or CSV to a folder.

    python benchmarks/ingest_memory.py [--rows 20000000] [--memory-gb 1] [--csv] [--data FOLDER] [--scratch /tmp]

40 text columns with 2 to 2M distinct texts, half of them skewed, the last one a row id. The file is drawn a million rows
at a time; `--data` keeps it for the next run. Ingest runs in a process of its own, whose RssAnon (what no file backs;
mapped pages do not count) is read from /proc every 50 ms, all threads included. The peak must stay below 4 GB; with
`--memory-gb` that setting is given, else the default one holds.

Found on two cores with two threads, 20M rows, parquet of 2.6 GB: 1.48 GB with the default setting (about 14 GB free, so that ingest
may hold 1.8), 1.49 GB with `memory_gb` 1 and 1.36 GB with 3; 75 s at best. 5M rows of CSV: 0.96 GB with 1, 1.15 GB by default. The
digest was the same each time.

What grows with the rows: about 20 bytes a row while the split is made; later 13 (order, label, masks) and 4 for each
vocabulary at hand (one a thread), or none where ids are mapped. What grows with distinct values: 12 bytes each to the end of
ingest (counts and codes), and 45 while a vocabulary is made. 100M rows with a row id would take about 2 GB for the rows, 1.2
GB for counts and codes of all values and 4.5 GB while the row id is coded: hash it (`hash_buckets`) or ignore it.

The peaks that were brought down (2.70 GB before): float places and a sort of all rows for the split, now bounds by partition
and a piece at a time; row numbers held twice; labels, times and weights kept beside their files; counting and looking up the
values of a large vocabulary in one piece; a dictionary that could take a quarter of the free memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

FIELDS = 40
MOST = 2_000_000  # distinct texts of a column that is no row id
CHUNK = 1_000_000
LIMIT = 4.0e9
INTERVAL = 0.05
NAMES = ["click", *(f"f{i:02}" for i in range(FIELDS))]


def texts(values: np.ndarray, *, prefix: str) -> pl.Series:
    """Write each number, mixed, after a prefix: 4 to 14 bytes, in no order."""
    mixed = (values.astype(np.uint64) * np.uint64(2_654_435_761)) % np.uint64(4_294_967_291)
    return prefix + pl.Series(mixed).cast(pl.String)


def draw(rows: int) -> Iterator[pl.DataFrame]:
    """Draw a label and 40 text columns, a chunk at a time."""
    sizes = np.geomspace(2, min(MOST, rows), FIELDS - 1).astype(int)
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        rng = np.random.default_rng([1, start])
        columns: dict[str, np.ndarray | pl.Series] = {"click": rng.integers(0, 2, n)}
        for i, distinct in enumerate(sizes):
            drawn = rng.random(n, dtype=np.float32)
            ids = (distinct * (drawn**3 if i % 2 else drawn)).astype(np.int64)
            columns[NAMES[1 + i]] = texts(ids, prefix=f"{i:x}_")
        columns[NAMES[-1]] = texts(start + rng.permutation(n), prefix="id_")
        yield pl.DataFrame(columns)


def write(rows: int, file: Path) -> None:
    """Write the rows to one parquet or CSV file, a chunk at a time."""
    if file.suffix == ".csv":
        with file.open("wb") as out:
            for i, frame in enumerate(draw(rows)):
                frame.write_csv(out, include_header=i == 0)
        return

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        del columns, predicate, limit, batch
        return draw(rows)

    schema = dict.fromkeys(NAMES, pl.String()) | {"click": pl.Int64()}
    register_io_source(source, schema=schema).sink_parquet(file, compression="lz4", row_group_size=262_144)


def child(source: Path, out: Path, memory_gb: float | None) -> None:
    """Ingest, and print what it took."""
    from ctrsel.core.config import IngestConfig
    from ctrsel.data.ingest import ingest

    wall, cpu = time.perf_counter(), time.process_time()
    table = ingest(source, label="click", out=out, settings=IngestConfig(memory_gb=memory_gb))
    found = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "rows": table.n_rows,
        "values": table.encoder.n_values,
        "digest": table.digest,
    }
    sys.stdout.write(json.dumps(found) + "\n")


def watched(command: list[str], trace: Path | None) -> tuple[dict[str, float], dict[str, float]]:
    """Run a command; return what it says of itself, and the peaks of its memory in bytes."""
    peaks = {"RssAnon": 0.0, "RssFile": 0.0}
    began = time.perf_counter()
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        series = stack.enter_context(trace.open("w")) if trace else None
        while process.poll() is None:
            now = {}
            try:
                for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
                    key, _, value = line.partition(":")
                    if key in peaks:
                        now[key] = int(value.split()[0]) * 1024.0
            except (FileNotFoundError, ProcessLookupError):
                break
            peaks = {key: max(peak, now.get(key, 0.0)) for key, peak in peaks.items()}
            if series is not None:
                series.write(f"{time.perf_counter() - began:.2f} {now.get('RssAnon', 0) / 1e6:.0f}\n")
            time.sleep(INTERVAL)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"ingest ended with status {process.returncode}")
    return json.loads(output.strip().splitlines()[-1]), peaks


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--memory-gb", type=float)
    parser.add_argument("--csv", action="store_true", help="from CSV rather than parquet")
    parser.add_argument("--data", type=Path, help="a folder for the source, which is kept there")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--trace", type=Path, help="a file for seconds and MB of RssAnon, a line per look")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.child[1], given.memory_gb)
        return
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = given.data or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / f"rows_{given.rows}.{'csv' if given.csv else 'parquet'}"
        if not source.exists():
            began = time.perf_counter()
            write(given.rows, source)
            print(f"{source.name} written in {time.perf_counter() - began:.0f} s", flush=True)
        store = Path(name) / "store"
        command = [sys.executable, __file__, "--child", str(source), str(store)]
        if given.memory_gb is not None:
            command += ["--memory-gb", str(given.memory_gb)]
        print(
            f"{given.rows:,} rows x {FIELDS} text columns, {source.suffix[1:]} of {source.stat().st_size / 1e9:.2f} GB; "
            f"{pl.thread_pool_size()} polars threads; load {os.getloadavg()[0]:.1f}; "
            f"memory_gb {given.memory_gb or 'as it comes'}",
            flush=True,
        )
        found, peaks = watched(command, given.trace)
        disk = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
        print(
            f"peak RssAnon {peaks['RssAnon'] / 1e9:.2f} GB ({'below' if peaks['RssAnon'] < LIMIT else 'ABOVE'} "
            f"{LIMIT / 1e9:.0f} GB), peak RssFile {peaks['RssFile'] / 1e9:.2f} GB; {found['wall']:.0f} s, "
            f"{found['cpu']:.0f} s of CPU, {found['rows'] / found['wall']:,.0f} rows/s; "
            f"{found['values']:,} values, {disk / 1e9:.2f} GB on disk; digest {found['digest']}"
        )


if __name__ == "__main__":
    main()
