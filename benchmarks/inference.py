"""How fast does a trained net score? Rows per second in bulk, and the latency of one row in process.

    python benchmarks/inference.py --data FOLDER [--models deepfm] [--calls 3000] [--profile]

Nets of `configs/bars/frappe.yaml`, trained for one epoch (what they cost does not depend on how well they predict), saved and
loaded. In bulk: a Table (codes) and a raw frame (texts and numbers are looked up first). One row: from a dictionary as a
service receives it to a probability, through `ServingModel.score`; also from a polars frame of one row. On a shared machine the
99th percentile is that of the neighbours: the same percentiles of CPU time stand beside those of the clock.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bars
import numpy as np
import polars as pl
import torch
from rank_quality import frappe

from ctrsel.data.table import Table
from ctrsel.serve import ServingModel
from ctrsel.train import CATALOG

GOAL = 2.0  # milliseconds at the 99th percentile


def main() -> None:
    """Train, save, load and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds frappe, three files")
    parser.add_argument("--models", default="deepfm")
    parser.add_argument("--calls", type=int, default=3000, help="of one row")
    parser.add_argument("--profile", action="store_true", help="tell where the time of one row goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = frappe(arguments.data)
    raw = pl.read_parquet(arguments.data / "frappe" / "test.parquet").drop("label")
    for name in arguments.models.split(","):
        learner = replace(CATALOG.create(bars.learner_specs()[name], place=name), max_epochs=1)
        model = learner.fit(table.without("test"), seed=1).model
        with tempfile.TemporaryDirectory(prefix="inference-") as folder:
            model.save(Path(folder) / "model")
            measure(name, ServingModel.load(Path(folder) / "model"), table, raw, arguments)


def measure(name: str, serving: ServingModel, table: Table, raw: pl.DataFrame, arguments: argparse.Namespace) -> None:
    """Print what one model does."""
    part = table.part("test")
    same = serving.model.logits(part), serving.model.logits(raw)
    assert np.allclose(*same, atol=1e-6)
    for what, data in (("a Table", part), ("a raw frame", raw)):
        seconds = [timed(lambda data=data: serving.model.logits(data))[0] for _ in range(5)]
        print(f"{name}, {what} of {raw.height:,} rows: {raw.height / np.median(seconds):,.0f} rows/s", flush=True)
    rows = raw.head(500).to_dicts()
    frames = [raw[i] for i in range(500)]
    for what, call in (
        ("a dictionary", lambda i: serving.score(pl.DataFrame([rows[i % 500]])).probabilities[0, 0]),
        ("a frame of one row", lambda i: serving.score(frames[i % 500]).probabilities[0, 0]),
    ):
        wall, cpu = calls(call, arguments.calls)
        met = "met" if np.percentile(wall, 99) < GOAL else "not met"
        print(
            f"{name}, {what}: {percentiles(wall)} ms of the clock (promised: {GOAL:g} at p99, {met}); "
            f"{percentiles(cpu)} ms of CPU, {len(wall):,} calls",
            flush=True,
        )
        if arguments.profile:
            profile = cProfile.Profile()
            profile.runcall(calls, call, 500)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Return seconds, and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def calls(function: Callable[[int], Any], times: int) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds of every call after some that warm up, and of CPU time."""
    for i in range(100):
        function(i)
    found = np.array([timed(lambda i=i: function(i)) for i in range(times)]) * 1e3
    return found[:, 0], found[:, 1]


def percentiles(values: np.ndarray) -> str:
    """Return p50 and p99."""
    return f"p50 {np.percentile(values, 50):.2f}, p99 {np.percentile(values, 99):.2f}"


if __name__ == "__main__":
    main()
