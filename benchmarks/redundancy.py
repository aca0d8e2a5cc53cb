"""Redundancy, mRMR, JMI, CMIM and both OutRank rankers on the planted table of 40 fields: seconds, precision, copies.

    python benchmarks/redundancy.py [--rows 1000000] [--seeds 3] [--k 20] [--only redundancy mrmr ...]

Ten fields have a signal of their own; two of them are copies (`r_100` of `s_100` with 10 % noise, `r_1000` of `s_1000` by
other names). Printed per ranker, as the mean over seeds: seconds and CPU seconds (counting single fields apart); how many of the ten are
among the first ten; how many of the eight meanings (a field or its copy) are among the first eight, which is what a set
without redundancy should reach; the mean place of the worse of each field and its copy. For `redundancy`, the groups of
more than one field.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import CountRanker, count
from ctrsel.rank.cmim import Cmim
from ctrsel.rank.jmi import Jmi
from ctrsel.rank.mrmr import Mrmr
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.outrank import Outrank
from ctrsel.rank.outrank_3mr import Outrank3mr
from ctrsel.rank.redundancy import Redundancy
from ctrsel.testing.counts import counts_of

COPIES = {"r_100": "s_100", "r_1000": "s_1000"}


def main() -> None:
    """Rank, time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    rankers: dict[str, CountRanker] = {
        "mutual_information": MutualInformation(),
        "redundancy": Redundancy(),
        "mrmr": Mrmr(k=arguments.k),
        "mrmr miq": Mrmr(form="miq", k=arguments.k),
        "jmi": Jmi(k=arguments.k),
        "cmim": Cmim(k=arguments.k),
        "outrank": Outrank(),
        "outrank every row": Outrank(subsampling=1),
        "outrank_3mr": Outrank3mr(),
    }
    rankers = {n: r for n, r in rankers.items() if not arguments.only or n in arguments.only}
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    groups: list[Any] = []
    for seed in range(1, arguments.seeds + 1):
        planted = peers_table(rows=arguments.rows, seed=seed, texts="integers")
        own = set(planted.truth.named("strong", "weak", "redundant"))
        split = SplitConfig(use="hash", valid=1e-3, test=1e-3)
        table = ingest(planted.frame(), schema=planted.schema, split=split, seed=seed).without("test")
        began = time.perf_counter()
        counts = count(table, threads=1)
        if seed == 1:
            print(f"{counts.need_rows('benchmark').n_rows} rows; single fields in {time.perf_counter() - began:.2f} s")
            tiny = counts_of({"a": np.arange(3000) % 7, "b": np.arange(3000) % 5}, np.arange(3000) % 2)
            for ranker in rankers.values():  # compiles the loops
                ranker.score(tiny)
        for name, ranker in rankers.items():
            began, busy = time.perf_counter(), time.process_time()
            ranking = ranker.score(counts)
            seconds, busy = time.perf_counter() - began, time.process_time() - busy
            place = {f: i for i, f in enumerate(ranking.order, start=1)}
            meanings = len({COPIES.get(f, f) for f in ranking.order[:8] if f in own})
            worse = np.mean([max(place[a], place[b]) for a, b in COPIES.items()])
            found[name].append((seconds, busy, len(own & set(ranking.order[:10])), meanings, float(worse)))
            if name == "redundancy":
                sets = ranking.frame.filter(ranking.frame["cluster_size"] > 1).group_by("cluster").agg("field")
                groups.append(sorted(sorted(s) for s in sets["field"].to_list()))
    print(f"{'':>20} {'seconds':>8} {'CPU s':>7} {'of 10 in 10':>12} {'of 8 in 8':>10} {'place of copy':>14}")
    for name, values in found.items():
        seconds, busy, ten, eight, worse = np.mean(values, axis=0)
        print(f"{name:>20} {seconds:8.1f} {busy:7.1f} {ten:12.2f} {eight:10.2f} {worse:14.1f}")
    if groups:
        print("groups of several fields by seed:", *groups, sep="\n  ")


if __name__ == "__main__":
    main()
