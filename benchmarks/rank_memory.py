"""Measure the anonymous memory and the passes that ranking a store takes: 20M rows x 40 fields from disk.

    python benchmarks/rank_memory.py --store FOLDER [--rows 20000000] [--by mutual_information] [--threads 2]

The rows are those of `ingest_memory.py`, ingested once into `--store` if it is not there. Ranking runs in a process of its
own whose RssAnon (what no file backs; mapped pages do not count) is read every 50 ms. The peak must stay below 1.5 GB, and
every column be read once by all count rankers of single fields together.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from ingest_memory import watched, write

LIMIT = 1.5e9


def make(store: Path, rows: int) -> None:
    """Draw and ingest the rows."""
    from ctrsel.core.config import IngestConfig
    from ctrsel.data.ingest import ingest

    with tempfile.TemporaryDirectory(dir=store.parent) as scratch:
        source = Path(scratch) / "rows.parquet"
        write(rows, source)
        ingest(source, label="click", out=store, settings=IngestConfig(memory_gb=1.0))


def child(store: Path, rankers: list[str], threads: int) -> None:
    """Rank, and print what it took."""
    from ctrsel.data.table import Table
    from ctrsel.rank import CATALOG, count, rank

    table = Table.load(store)
    known = table.without("test")
    known.__dict__["digest"] = table.digest  # a store has its own; the part's would read all columns once more
    made = [CATALOG.create(name) for name in rankers]
    counted = []

    def counts():
        counted.append(count(known, threads=threads))
        return counted[0]

    wall, cpu = time.perf_counter(), time.process_time()
    rankings = rank(known, made, seed=1, threads=threads, counts=counts)
    found = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "rows": known.n_rows,
        "values": known.encoder.n_values,
        "first": [list(r.order[:3]) for r in rankings],
        "reads_beyond_counting": int(sum(counted[0].rows.reads.values())) if counted and counted[0].rows else 0,
    }
    sys.stdout.write(json.dumps(found) + "\n")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--by", action="append", help="a ranker; repeatable")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rankers = arguments.by or ["mutual_information"]
    if arguments.child:
        child(arguments.store, rankers, arguments.threads)
        return
    if not arguments.store.exists():
        make(arguments.store, arguments.rows)
    command = [
        sys.executable,
        __file__,
        "--child",
        "--store",
        str(arguments.store),
        "--threads",
        str(arguments.threads),
    ]
    found, peaks = watched([*command, *(word for name in rankers for word in ("--by", name))], None)
    print(json.dumps(found))
    print(
        f"{found['rows']:,} rows, {found['values']:,} values, {arguments.threads} threads: {found['wall']:.1f} s wall, "
        f"{found['cpu']:.1f} s CPU; RssAnon {peaks['RssAnon'] / 1e9:.2f} GB (limit {LIMIT / 1e9}), mapped {peaks['RssFile'] / 1e9:.2f} GB"
    )
    if peaks["RssAnon"] > LIMIT:
        raise SystemExit("more anonymous memory than promised")


if __name__ == "__main__":
    main()
