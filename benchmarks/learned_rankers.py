"""What the learned rankers find of planted fields, beside mutual information, and what they cost on one thread.

    python benchmarks/learned_rankers.py [--rows 50000] [--seeds 5]

Ten fields of 2 to 3,000 values have an effect of their own on the log-odds (normal per value, --spread), ten of 2 to 30,000
values have none; all are skewed (popularity 1 / place). Printed per ranker: how many of the first ten are true (mean and
standard error over seeds), the place of the best noise field, seconds. Knockoffs refuse fields of more than 1,000
values and rank the others.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ctrsel.core.seeds import generator
from ctrsel.models.one_thread import one_thread
from ctrsel.rank import CodedRows, FieldCounts, TableCounts
from ctrsel.rank.feature_gradients import FeatureGradients
from ctrsel.rank.knockoffs import Knockoffs
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.quick_selection import QuickSelection
from ctrsel.records.feature_set import RESERVED
from ctrsel.stats.counts import label_counts

TRUE = (2, 3, 5, 10, 30, 100, 300, 1_000, 2_000, 3_000)
NOISE = (2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 30_000)
RANKERS = (MutualInformation(), Knockoffs(), FeatureGradients(), QuickSelection())


def planted(rows, *, base, spread, seed):
    rng = generator(seed, "benchmarks", "learned_rankers")
    columns, logit = {}, np.full(rows, base)
    for kind, sizes in (("true", TRUE), ("noise", NOISE)):
        for size in sizes:
            shares = 1.0 / np.arange(1, size + 1)
            values = rng.choice(size, rows, p=shares / shares.sum())
            columns[f"{kind}_{size}"] = (values + RESERVED).astype(np.uint16)
            if kind == "true":
                logit += rng.normal(0.0, spread, size)[values]
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    sizes = {name: int(name.split("_")[1]) + RESERVED for name in columns}
    return TableCounts(
        fields={n: FieldCounts(train=label_counts(c, labels, size=sizes[n])) for n, c in columns.items()},
        rows=CodedRows(columns=columns, sizes=sizes, labels=labels, row=np.arange(rows)),
        seed=seed,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--base", type=float, default=-2.9)
    parser.add_argument("--spread", type=float, default=0.25)
    args = parser.parse_args()
    found = {}
    for seed in range(args.seeds):
        counts = planted(args.rows, base=args.base, spread=args.spread, seed=seed)
        for ranker in RANKERS:
            began = time.process_time()
            with one_thread():
                ranking = ranker.score(counts)
            spent = time.process_time() - began
            order = ranking.order
            best = 1 + next(i for i, n in enumerate(order) if n.startswith("noise"))
            hits = sum(n.startswith("true") for n in order[:10])
            found.setdefault(ranking.method, []).append((hits, best, spent))
            print(
                f"seed {seed}: {ranking.method}, {hits} of the first 10, best noise at {best}, {spent:.1f} s",
                flush=True,
            )
    print(f"{args.rows} rows, {args.seeds} seeds")
    for method, results in found.items():
        hits, best, spent = np.array(results, dtype=float).T
        error = hits.std(ddof=1) / np.sqrt(len(hits)) if len(hits) > 1 else float("nan")
        print(
            f"{method:>20}: {hits.mean():.2f} +- {error:.2f} of the first 10, best noise at {best.mean():.1f}, "
            f"{np.median(spent):.1f} CPU seconds"
        )


if __name__ == "__main__":
    main()
