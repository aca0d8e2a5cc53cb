"""Rank all pairs of a planted table's 40 fields: seconds beside numpy's plain single-field information, and what is found.

    python benchmarks/pair_speed.py [--rows 1000000] [--repeats 3] [--threads 1 2] [--seeds 1] [--json out.json]

The unit is numpy's pass over the single fields in the same run: per field one bincount of twice the code plus the label,
and plain mutual information of that table. Four pairs (x0 to x3, of 2, 10, 100 and 1,000 values each) tell nothing by
either field and 0.017 to 0.018 nats together; x3 has as many cells as a million rows. The time of the first call in a
fresh process, on 2,000 rows, is what compiling (or loading compiled loops) costs. Constant fields and row numbers are
refused; the pairs of the others are all counted exactly.

With several seeds the table is made anew for each: the places of the planted pairs, and the normal deviates of all
others, none of which has an interaction.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import TableCounts, count
from ctrsel.rank.interactions import Interactions

PLANTED = [("x0a", "x0b"), ("x1a", "x1b"), ("x2a", "x2b"), ("x3a", "x3b")]


def counted(rows: int, seed: int) -> tuple[TableCounts, dict[str, np.ndarray], np.ndarray]:
    """Return a planted table's counts, its coded columns and its labels; nearly all rows are training rows."""
    planted = peers_table(rows=rows, seed=seed, texts="integers")
    share = max(1e-4, 40 / rows)
    split = SplitConfig(use="hash", valid=share, test=share)
    table = ingest(planted.frame(), schema=planted.schema, split=split, seed=seed).without("test")
    counts = count(table, threads=1)
    coded = counts.need_rows("benchmark")
    return counts, dict(coded.columns), coded.labels


def plain_information(columns: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Return numpy's plain mutual information of every field."""
    out = {}
    for name, codes in columns.items():
        table = np.bincount(2 * codes.astype(np.int64) + labels).astype(np.float64)
        table = np.append(table, np.zeros(len(table) % 2)).reshape(-1, 2) / len(labels)
        product = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
        seen = table > 0
        out[name] = float((table[seen] * np.log(table[seen] / product[seen])).sum())
    return out


def found(counts: TableCounts) -> dict[str, Any]:
    """Return the places of the planted pairs, and the deviates of the others."""
    frame = Interactions(top=1000).score(counts).frame
    pairs = frame.with_columns(pl.col("fields").list.sort().list.join("*").alias("pair"))
    places = {"*".join(p): pairs.filter(pl.col("pair") == "*".join(p)).to_dicts() for p in PLANTED}
    others = pairs.filter(~pl.col("pair").is_in(list(places)))
    z = others["z"].to_numpy()
    return {
        "places": {name: rows[0]["rank"] for name, rows in places.items()},
        "z": {name: round(rows[0]["z"], 1) for name, rows in places.items()},
        "effect": {name: round(rows[0]["beyond_additive"], 4) for name, rows in places.items()},
        "others": {
            "pairs": others.height,
            "mean_z": round(float(z.mean()), 3),
            "sd_z": round(float(z.std()), 3),
            "least_z": round(float(z.min()), 2),
            "largest_z": round(float(z.max()), 2),
            "least_q": round(float(others["q"].to_numpy().min()), 4),
        },
    }


def main() -> None:
    """Time, and say what is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"rows": arguments.rows}

    small, columns, labels = counted(2_000, 1)
    began = time.perf_counter()
    Interactions().score(replace(small, threads=1))
    result["first_call_seconds"] = time.perf_counter() - began
    print(f"first call, 2,000 rows: {result['first_call_seconds']:.1f} s")

    for i, seed in enumerate(arguments.seeds):
        counts, columns, labels = counted(arguments.rows, seed)
        if i == 0 and arguments.repeats:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            times: dict[str, list[tuple[float, float]]] = {}
            for _ in range(arguments.repeats):
                start = time.perf_counter(), time.process_time()
                plain_information(columns, labels)
                times.setdefault("numpy", []).append((time.perf_counter() - start[0], time.process_time() - start[1]))
                for threads in arguments.threads:
                    start = time.perf_counter(), time.process_time()
                    Interactions().score(replace(counts, threads=threads))
                    took = time.perf_counter() - start[0], time.process_time() - start[1]
                    times.setdefault(f"{threads} threads", []).append(took)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            wall = {k: statistics.median(w for w, _ in v) for k, v in times.items()}
            cpu = {k: statistics.median(c for _, c in v) for k, v in times.items()}
            result |= {
                "seconds": wall,
                "cpu_seconds": cpu,
                "peak_mib": after / 1024,
                "grown_mib": (after - before) / 1024,
            }
            for name, seconds in wall.items():
                print(
                    f"{name:>10}: {seconds:7.2f} s, {cpu[name]:7.2f} CPU s, {seconds / wall['numpy']:6.1f} x numpy "
                    f"({cpu[name] / cpu['numpy']:.1f} in CPU seconds)"
                )
            print(f"peak {after / 1024:,.0f} MiB, {(after - before) / 1024:,.0f} more than before the pairs")
        result[f"seed {seed}"] = found(counts)
        print(f"seed {seed}:", json.dumps(result[f"seed {seed}"]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
