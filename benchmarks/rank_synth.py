"""Rank a planted table of 40 fields: seconds and precision beside scikit-learn's mutual information, in one run.

    python benchmarks/rank_synth.py [--rows 1000000] [--repeats 3] [--threads 1] [--json out.json]

Signal that a field shows alone: 6 strong fields, 2 weak ones, 2 copies of strong ones. Signal in pairs only: 4 pairs
whose parities are combined by exclusive or. Noise: 20 fields of 2 to 1,000,000 values, a constant, a row number. The ten
fields with signal of their own should be the first ten.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import count, rank
from ctrsel.rank.mutual_information import MutualInformation


def precision(order: list[str], own_signal: list[str]) -> float:
    """Return the share of the first ten that has signal of its own."""
    return sum(name in own_signal for name in order[:10]) / 10


def main() -> None:
    """Time both and print."""
    from sklearn.feature_selection import mutual_info_classif

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    planted = peers_table(rows=arguments.rows, seed=arguments.seed, texts="integers")
    frame, own_signal = planted.frame(), planted.truth.named("strong", "weak", "redundant")
    names = frame.columns[1:]
    began = time.perf_counter()
    # All but a few rows are training rows, so that both count the same.
    split = SplitConfig(use="hash", valid=1e-4, test=1e-4)
    table = ingest(frame, schema=planted.schema, split=split, seed=arguments.seed).without("test")
    print(
        f"{table.n_rows} rows, {len(names)} fields, {table.encoder.n_values} values; ingest {time.perf_counter() - began:.1f} s"
    )
    table.digest  # noqa: B018  # a table on disk has it
    train = table.part("train")
    matrix = np.stack([train.columns[n] for n in names]).astype(np.int32).T  # column by column, as it reads them
    labels = train.label().astype(np.int8)
    rank(table, [MutualInformation()], seed=1)  # compiles the loops

    times: dict[str, list[float]] = {"count": [], "ctrsel": [], "scikit-learn": []}
    for _ in range(arguments.repeats):
        began = time.perf_counter()
        count(table, threads=arguments.threads)
        times["count"].append(time.perf_counter() - began)
        began = time.perf_counter()
        (ranking,) = rank(table, [MutualInformation()], seed=1, threads=arguments.threads)
        times["ctrsel"].append(time.perf_counter() - began)
        began = time.perf_counter()
        scores = mutual_info_classif(matrix, labels, discrete_features=True, n_jobs=arguments.threads)
        times["scikit-learn"].append(time.perf_counter() - began)
    peer = [names[i] for i in np.argsort(-scores, kind="stable")]
    plain = dict(zip(names, scores, strict=True))
    apart = max(abs(row["mi"] - plain[row["field"]]) for row in ranking.frame.to_dicts())
    result: dict[str, Any] = {
        "rows": table.n_rows,
        "threads": arguments.threads,
        "seconds": {k: statistics.median(v) for k, v in times.items()},
        "ratio": statistics.median(times["scikit-learn"]) / statistics.median(times["ctrsel"]),
        "top10_precision": {
            "ctrsel": precision(list(ranking.order), own_signal),
            "scikit-learn": precision(peer, own_signal),
        },
        "largest_mi_difference_nats": apart,
    }
    for name, seconds in result["seconds"].items():
        print(f"{name:>13}: {seconds:.3f} s (median of {arguments.repeats})")
    print(f"scikit-learn / ctrsel: {result['ratio']:.1f}")
    share = result["top10_precision"]
    print(f"signal among the first ten: ctrsel {share['ctrsel']:.1f}, scikit-learn {share['scikit-learn']:.1f}")
    print(f"largest difference of plain information: {apart:.1e} nats")
    print(ranking.frame.select("field", "score", "mi", "mi_minus_expected", "ami", "q").head(14))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
