"""Seconds of ranking 1M rows x 40 fields: ours and the peers on the same rows in one run.

    python benchmarks/rank_speed.py [--rows 1000000] [--repeats 3] [--threads 1] [--no-pairs] [--outrank PATH]

Alternating turns of numpy's plain information (a bincount a column, then the sum: no null), polars' (a group_by a column),
ctrsel's fields (exact null, q-values, interval, held-out gain), scikit-learn's mutual_info_classif, and ctrsel's 780 pairs
counted exactly. Medians, and ratios to numpy of the same turns; compiling is done before and told apart. `--outrank` is its
command in an environment of its own (`pip install outrank 'xxhash<4'`), run on a CSV of every tenth row as by its default.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.data.table import Table
from ctrsel.rank import CATALOG, count, rank

PROMISED = {"fields": 3.0, "pairs": 60.0}


def plug_in(cells: np.ndarray) -> float:
    """Information of counts `[V, 2]`, nats."""
    n = cells.sum()
    joint = cells[cells > 0] / n
    margins = [cells.sum(axis=1), cells.sum(axis=0)]
    one, two = (m[m > 0] / n for m in margins)
    return float((joint * np.log(joint)).sum() - (one * np.log(one)).sum() - (two * np.log(two)).sum())


def numpy_information(table: Table) -> list[float]:
    """Plain information of all fields, a bincount a column."""
    label, made = table.label().astype(np.int64), []
    for name, column in table.columns.items():
        size = table.encoder.size(name)
        made.append(plug_in(np.bincount(2 * column.astype(np.int64) + label, minlength=2 * size).reshape(size, 2)))
    return made


def polars_information(frame: pl.DataFrame) -> list[float]:
    """Plain information of all fields, a group_by a column."""
    label, *names = frame.columns
    return [
        plug_in(
            frame.group_by(name)
            .agg((pl.col(label) == 0).sum().alias("no"), (pl.col(label) == 1).sum().alias("yes"))
            .select("no", "yes")
            .to_numpy()
        )
        for name in names
    ]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def outrank(command: Path, frame: pl.DataFrame) -> tuple[float, float]:
    """Return OutRank's seconds, wall and CPU of all its processes, on a CSV of these rows with its own defaults."""
    import resource

    with tempfile.TemporaryDirectory() as folder:
        frame.rename({frame.columns[0]: "label"}).write_csv(Path(folder) / "data.csv")
        words = ["--task", "ranking", "--data_path", folder, "--data_source", "csv-raw", "--num_threads", "2"]
        words += ["--heuristic", "MI-numba-randomized", "--target_ranking_only", "True", "--subsampling", "10"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = timed(
            lambda: subprocess.run(
                [command, *words, "--output_folder", f"{folder}/out"], check=True, cwd=folder, capture_output=True
            )
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time all of them and print."""
    from sklearn.feature_selection import mutual_info_classif

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-pairs", action="store_true")
    parser.add_argument("--outrank", type=Path, help="OutRank's command")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()

    planted = peers_table(rows=arguments.rows, seed=arguments.seed, texts="integers")
    frame = planted.frame()
    split = SplitConfig(use="hash", valid=1e-3, test=1e-3)  # nearly all rows are training rows, for the same work
    table = ingest(frame, schema=planted.schema, split=split, seed=1).without("test")
    table.digest  # noqa: B018  # a stored table has it
    train = table.part("train")
    matrix = np.stack([train.columns[n] for n in table.schema.names]).astype(np.int32).T
    label = train.label().astype(np.int8)
    fields, pairs = CATALOG.create("mutual_information"), CATALOG.create({"use": "interactions", "pairs": "all"})
    small = ingest(planted.frame().head(20_000), schema=planted.schema, seed=1).without("test")
    compiling = timed(lambda: rank(small, [fields, *([] if arguments.no_pairs else [pairs])], seed=1))
    turns: dict[str, Callable[[], object]] = {
        "numpy": lambda: numpy_information(train),
        "polars": lambda: polars_information(frame),
        "counting only": lambda: count(table, threads=arguments.threads),
        "fields": lambda: rank(table, [fields], seed=1, threads=arguments.threads),
        "scikit-learn": lambda: mutual_info_classif(matrix, label, discrete_features=True, n_jobs=arguments.threads),
    }
    if not arguments.no_pairs:
        turns["pairs"] = lambda: rank(table, [pairs], seed=1, threads=arguments.threads)
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(arguments.repeats):
        for name, work in turns.items():
            times[name].append(timed(work))
    print(
        f"{len(label):,} training rows, {len(table.schema.names)} fields, {table.encoder.n_values:,} values, "
        f"{arguments.threads} threads; first call with compiling or loading what was compiled: {compiling:.1f} s"
    )
    for name, seconds in times.items():
        ratio = statistics.median(s / n for s, n in zip(seconds, times["numpy"], strict=True))
        limit = f" (promised: at most {PROMISED[name]:.0f})" if name in PROMISED else ""
        print(f"{name:>14}: {statistics.median(seconds):8.3f} s, {ratio:7.2f} x numpy{limit}")
    if arguments.outrank:
        wall, cpu = outrank(arguments.outrank, frame)
        print(f"{'OutRank':>14}: {wall:8.1f} s wall, {cpu:.1f} s CPU, on every tenth row, from CSV, two processes")


if __name__ == "__main__":
    main()
