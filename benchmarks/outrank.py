"""OutRank's score beside the package, and its noise beside information less its exact mean.

    python benchmarks/outrank.py [--outrank PATH] [--rows 40000] [--draws 40] [--parts noise agreement]

The agreement needs the package (outrank 0.97.5 with xxhash below 4, in an environment of its own); PATH is its command.
It writes a planted table as CSV, runs the command on it with every row and without transformations, and compares the
scores before they are stretched: the package's, median over minibatches, against ours from the same rows.

The noise part draws fields that have nothing to do with the label (skewed, 2 to 10,000 values) at several rates of the
label and prints mean and standard deviation of both scores.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from ctrsel.core.seeds import generator
from ctrsel.data.synthetic import peers_table
from ctrsel.rank._outrank_loops import shifted_information
from ctrsel.rank.outrank import Outrank
from ctrsel.stats.counts import label_counts
from ctrsel.stats.information_test import information_test
from ctrsel.testing.counts import counts_of


def agreement(command: Path, rows: int, seed: int) -> None:
    """Run the package on a CSV and compare."""
    frame = peers_table(rows=rows, seed=seed, texts="integers").frame()
    label, names = frame.columns[0], frame.columns[1:]
    with tempfile.TemporaryDirectory() as folder:
        frame.rename({label: "label"}).write_csv(Path(folder) / "data.csv")
        arguments = {
            "task": "ranking",
            "data_path": folder,
            "data_source": "csv-raw",
            "heuristic": "MI-numba-randomized",
            "target_ranking_only": "True",
            "include_cardinality_in_feature_names": "False",
            "num_threads": "1",
            "subsampling": "1",
            "output_folder": f"{folder}/out",
        }
        parts = [p for k, v in arguments.items() for p in (f"--{k}", v)]
        subprocess.run([str(command), *parts], check=True, cwd=folder, capture_output=True)
        found = pl.read_csv(f"{folder}/out/pairwise_ranks.tsv", separator="\t")
    theirs = {a: s for a, b, s in found.select("FeatureA", "FeatureB", "Score").iter_rows() if b == "label"}
    columns = {n: np.unique(frame[n].to_numpy(), return_inverse=True)[1].astype(np.uint32) for n in names}
    ours = Outrank(subsampling=1).score(counts_of(columns, frame[label].to_numpy()))
    mine = dict(zip(ours.frame["field"], ours.frame["score"], strict=True))
    both = [n for n in mine if n in theirs]
    apart = {n: abs(mine[n] - theirs[n]) for n in both}
    tau = kendalltau([mine[n] for n in both], [theirs[n] for n in both]).statistic
    worst = max(apart, key=lambda n: apart[n])
    print(f"{rows} rows, {ours.notes[-1]}; {len(both)} fields scored by both, {len(ours.refused)} refused by us")
    print(f"largest difference {apart[worst]:.1e} nats ({worst}), Kendall tau {tau:.4f}")


def noise(draws: int, rows: int, seed: int) -> None:
    """Print mean and deviation of both scores for noise."""
    print(
        f"{'label':>6} {'values':>7} {'OutRank mean':>13} {'sd':>9} {'MI-EMI mean':>12} {'sd':>9} {'ratio of sd':>12}"
    )
    for rate in (0.2, 0.05, 0.01):
        for values in (2, 100, 1_000, 10_000):
            rng = generator(seed, "noise", values, str(rate))
            mass = np.cumsum(np.arange(1, values + 1) ** -0.8)
            found = []
            for _ in range(draws):
                codes = np.searchsorted(mass / mass[-1], rng.random(rows)).astype(np.uint32)
                labels = (rng.random(rows) < rate).astype(np.uint8)
                counts = label_counts(codes, labels, size=values)
                shifted = shifted_information(codes, labels, np.zeros(values, dtype=np.int64))
                found.append((shifted, information_test(counts.positives, counts.totals).excess))
            mean, sd = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
            print(
                f"{rate:6.2f} {values:7d} {mean[0]:13.5f} {sd[0]:9.6f} {mean[1]:12.5f} {sd[1]:9.6f} {sd[0] / sd[1]:12.1f}"
            )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrank", type=Path)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", nargs="+", choices=("noise", "agreement"), default=["noise"])
    arguments = parser.parse_args()
    if "agreement" in arguments.parts:
        if arguments.outrank is None:
            parser.error("the agreement needs --outrank, the package's command")
        agreement(arguments.outrank, arguments.rows, arguments.seed)
    if "noise" in arguments.parts:
        noise(arguments.draws, 16_384, arguments.seed)


if __name__ == "__main__":
    main()
