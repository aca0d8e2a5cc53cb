"""Rows per second of training one net in one process and in two, in alternating runs, on rows like frappe's.

    python benchmarks/several_processes.py [--rows 120000] [--batch 4096] [--processes 2] [--turns 3] [--optimiser dense_adam]

The rows are drawn: ten fields with 957, 4082, 7, 7, 2, 4, 9, 2, 80 and 233 values (frappe's), a DeepFM of 400-400-400. Each run
is a program of its own; what it prints is the median of `rows_per_second` over its epochs but the first. Two processes need
two cores that have nothing else to do: the load of the machine is printed beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

SIZES = (957, 4082, 7, 7, 2, 4, 9, 2, 80, 233)


def make(rows: int, folder: Path) -> None:
    """Draw and ingest the rows."""
    import numpy as np
    import polars as pl

    from ctrsel.data.ingest import ingest

    rng = np.random.default_rng(0)
    columns = {f"f{i}": (rng.random(rows) ** 2 * size).astype(np.int32) for i, size in enumerate(SIZES)}
    effects = [rng.normal(scale=0.5, size=size) for size in SIZES]
    odds = sum(e[c] for e, c in zip(effects, columns.values(), strict=True)) - 0.7
    click = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    frame = pl.DataFrame({"click": click, **{k: v.astype(str) for k, v in columns.items()}})
    ingest(frame, label="click", seed=1).without("test").save(folder)


def train(folder: Path, batch: int, optimiser: str) -> None:
    """Train three epochs and print what the rows took."""
    from ctrsel.data.table import Table
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.train.net import NetLearner
    from ctrsel.train.optimisers import CATALOG

    net = NetLearner(
        backbone=DeepFM(hidden=(400, 400, 400)),
        width=10,
        batch_size=batch,
        max_epochs=3,
        patience=9,
        optimiser=CATALOG.create(optimiser),
    )
    fit = net.fit(Table.load(folder), seed=1)
    print(json.dumps([h["rows_per_second"] for h in fit.history]))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--optimiser", default="dense_adam")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        import ctrsel

        ctrsel.together(lambda: train(given.child, given.batch, given.optimiser))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "table"
        make(given.rows, folder)
        own = [__file__, "--child", str(folder), "--batch", str(given.batch), "--optimiser", given.optimiser]
        run = str(Path(sys.executable).parent / "torchrun")
        commands = {
            1: [sys.executable, *own],
            given.processes: [run, "--nproc-per-node", str(given.processes), *own],
        }
        speeds: dict[int, list[float]] = {n: [] for n in commands}
        for turn in range(given.turns):
            for n, command in commands.items():
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
                )
                speeds[n].append(median(json.loads(done.stdout.splitlines()[-1])[1:]))
                load = os.getloadavg()[0]
                print(f"turn {turn + 1}: {n} processes {speeds[n][-1]:,.0f} rows/s (load {load:.1f})", flush=True)
        one, several = median(speeds[1]), median(speeds[given.processes])
        print(
            f"median: 1 process {one:,.0f}, {given.processes} processes {several:,.0f} rows/s, ratio {several / one:.2f}"
        )


if __name__ == "__main__":
    main()
