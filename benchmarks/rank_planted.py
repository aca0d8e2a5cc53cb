"""Whether rankings of planted tables say the truth: 40 fields, seeds 1 to 10, two sizes, fields alone and pairs.

    python benchmarks/rank_planted.py [--rows 100000 1000000] [--seeds 10] [--pairs] [--threads 1]

Printed per size: the share of the first ten fields by the default ranker that have signal of their own (ten have), noise
fields of 10,000 or more values among the first twelve, the largest |z| of a noise field under its null; with `--pairs` the
places of the planted pairs (exclusive or of parities; neither half says anything alone) in the ranking of pairs.
"""

from __future__ import annotations

import argparse
import time
from statistics import fmean

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import CATALOG, rank
from ctrsel.rank.mutual_information import MutualInformation


def main() -> None:
    """Draw, rank, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for rows in arguments.rows:
        shares, high, largest = [], [], []
        for seed in range(1, arguments.seeds + 1):
            planted = peers_table(rows=rows, seed=seed, texts="integers")
            split = SplitConfig(use="hash", valid=0.1, test=1e-3)
            table = ingest(planted.frame(), schema=planted.schema, split=split, seed=seed).without("test")
            began = time.perf_counter()
            (ranking,) = rank(table, [MutualInformation()], seed=seed, threads=arguments.threads)
            seconds = time.perf_counter() - began
            own = set(planted.truth.named("strong", "weak", "redundant"))
            pairs = [{p.left, p.right} for p in planted.truth.pairs]
            paired = set().union(*pairs)
            noise = [f for f in table.schema.names if f not in own | paired]
            z = dict(ranking.frame.select("field", "z").iter_rows())
            shares.append(sum(f in own for f in ranking.order[:10]) / 10)
            high.append(
                [f for f in ranking.order[:12] if f in noise and (planted.truth.fields[f].values or rows) >= 10_000]
            )
            largest.append(max(abs(z[f]) for f in noise))
            line = f"{rows:>9} rows, seed {seed:>2}: precision {shares[-1]:.1f}, noise of many values in the first 12: "
            line += f"{len(high[-1])}, largest noise |z| {largest[-1]:.2f}, {seconds:.2f} s"
            if arguments.pairs:
                began = time.perf_counter()
                (found,) = rank(table, [CATALOG.create("interactions")], seed=seed, threads=arguments.threads)
                order = [set(f) for f in found.frame["fields"].to_list()]
                places = [order.index(p) + 1 if p in order else None for p in pairs]
                line += f"; planted pairs at {places}, {time.perf_counter() - began:.1f} s"
            print(line, flush=True)
        print(
            f"{rows:>9} rows: precision mean {fmean(shares):.3f}, least {min(shares):.1f}; "
            f"noise of many values in the first 12 in {sum(map(bool, high))} of {len(high)} tables; "
            f"largest noise |z| {max(largest):.2f}, mean of the largest {np.mean(largest):.2f}"
        )


if __name__ == "__main__":
    main()
