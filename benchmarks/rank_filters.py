"""Rank the planted table of 40 fields by the filters: precision, where noise and pairs stand, seconds.

    python benchmarks/rank_filters.py [--rows 100000] [--seeds 3] [--by fisher relieff ...]

The ten fields with a signal of their own (strong, weak, copies of strong ones) should be the first ten. Eight fields
count in pairs only. Scores are timed after the columns are counted and loops are compiled.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import CATALOG, CountRanker, count

FILTERS = (
    "mutual_information",
    "distance_correlation",
    "fisher",
    "cfs",
    "ilfs",
    "inf_fs_supervised",
    "relieff",
    "mcfs",
    "udfs",
    "laplacian",
    "inf_fs",
)


def main() -> None:
    """Rank and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--by", nargs="+", default=FILTERS)
    arguments = parser.parse_args()

    found: dict[str, list[tuple[float, int, int, float, float]]] = {name: [] for name in arguments.by}
    for seed in range(1, arguments.seeds + 1):
        planted = peers_table(rows=arguments.rows, seed=seed, texts="integers")
        own = set(planted.truth.named("strong", "weak", "redundant"))
        # All but a few rows are training rows.
        split = SplitConfig(use="hash", valid=1e-3, test=1e-3)
        table = ingest(planted.frame(), schema=planted.schema, split=split, seed=seed).without("test")
        counts = replace(count(table, threads=1), seed=seed)
        for name in arguments.by:
            ranker = CATALOG.load(name)()
            assert isinstance(ranker, CountRanker)
            if seed == 1:
                ranker.score(counts)  # compiles the loops
            began = time.perf_counter()
            ranking = ranker.score(counts)
            seconds = time.perf_counter() - began
            order = list(ranking.order)
            # A refused field stands behind all others.
            places = {n: order.index(n) + 1 if n in order else 40 for n in planted.truth.fields}
            tau = next((float(n.rsplit(" ", 1)[1]) for n in ranking.notes if n.startswith("Kendall")), float("nan"))
            found[name].append(
                (
                    sum(n in own for n in order[:10]) / 10,
                    min(places[n] for n in places if n.startswith("n")),
                    max(places[n] for n in ("x0a", "x0b")),
                    seconds,
                    tau,
                )
            )
    print(f"{arguments.rows} rows, {arguments.seeds} seeds; means over seeds, the largest number of seconds")
    print("| ranker | signal in the first ten | place of the best noise field | of the binary pair | seconds | tau |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, runs in found.items():
        precision, noise, pair, seconds, tau = np.array(runs).T
        stand = f"{precision.mean():.2f} | {noise.mean():.1f} | {pair.mean():.1f}"
        print(f"| `{name}` | {stand} | {seconds.max():.2f} | {tau.mean():.3f} |")


if __name__ == "__main__":
    main()
