"""Rank a planted table of 40 fields: seconds and precision beside numpy's counts and scikit-learn, in one run.

    python benchmarks/rank_synth.py [--rows 1000000] [--repeats 3] [--threads 1] [--draws 99] [--no-peer] [--json out.json]

numpy is the plain information only: `np.bincount(2 * code + label)` per column and the sum over its cells. Ours is all
columns of the ranking, counting included: exact null, q-values, interval, held-out gain; and once more with labels that are
shifted along the rows. Seconds are those of the processor, over all threads. Compiling is timed apart, in processes of
their own that start with an empty cache and a full one.

Signal that a field shows alone: 6 strong fields, 2 weak ones, 2 copies of strong ones. Signal in pairs only: 4 pairs
whose parities are combined by exclusive or. Noise: 20 fields of 2 to 1,000,000 values, a constant, a row number. The ten
fields with signal of their own should be the first ten.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import count, rank
from ctrsel.rank.mutual_information import MutualInformation

clock = time.process_time  # of all threads: other work on the machine does not count


def precision(order: list[str], own_signal: list[str]) -> float:
    """Return the share of the first ten that has signal of its own."""
    return sum(name in own_signal for name in order[:10]) / 10


def plain_numpy(columns: list[np.ndarray], sizes: list[int], labels: np.ndarray) -> list[float]:
    """Return the plug-in information of every column, as one writes it in numpy."""
    found = []
    for codes, size in zip(columns, sizes, strict=True):
        cells = np.bincount(2 * codes.astype(np.int64) + labels, minlength=2 * size).reshape(-1, 2)
        share = cells / len(labels)
        expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0)
        filled = cells > 0
        found.append(float((share[filled] * np.log(share[filled] / expected[filled])).sum()))
    return found


def first_ranking() -> dict[str, float]:
    """Return the seconds of the first ranking of a process, on a tiny table: with nothing compiled before, then with it."""
    code = (
        "import time; from ctrsel.testing.tables import tiny_table; from ctrsel.rank import rank;"
        "from ctrsel.rank.mutual_information import MutualInformation; t = tiny_table(); b = time.process_time();"
        "rank(t, [MutualInformation()], seed=1); print(time.process_time() - b)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        run = [sys.executable, "-c", code]
        seconds = [
            float(subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout)
            for _ in range(2)
        ]
    return dict(zip(("compiling", "compiled"), seconds, strict=True))


def main() -> None:
    """Time all and print."""
    from sklearn.feature_selection import mutual_info_classif

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=99)
    parser.add_argument("--no-peer", action="store_true", help="leave out scikit-learn, which takes minutes")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    planted = peers_table(rows=arguments.rows, seed=arguments.seed, texts="integers")
    frame, own_signal = planted.frame(), planted.truth.named("strong", "weak", "redundant")
    names = frame.columns[1:]
    began = clock()
    # All but a few rows are training rows, so that both count the same.
    split = SplitConfig(use="hash", valid=1e-4, test=1e-4)
    table = ingest(frame, schema=planted.schema, split=split, seed=arguments.seed).without("test")
    print(f"{table.n_rows} rows, {len(names)} fields, {table.encoder.n_values} values; ingest {clock() - began:.1f} s")
    table.digest  # noqa: B018  # a table on disk has it
    train = table.part("train")
    matrix = np.stack([train.columns[n] for n in names]).astype(np.int32).T  # column by column, as it reads them
    labels = train.label().astype(np.int8)
    rank(table, [MutualInformation()], seed=1)  # compiles the loops

    codes = [np.asarray(train.columns[n]) for n in names]
    sizes = [table.encoder.size(n) for n in names]
    whole = labels.astype(np.int64)
    moved = MutualInformation(null="shift", draws=arguments.draws)
    rank(train, [MutualInformation(null="shift", draws=20)], seed=1, threads=arguments.threads)  # likewise
    peers = [] if arguments.no_peer else ["scikit-learn"]
    times: dict[str, list[float]] = {name: [] for name in ("count", "numpy", "ctrsel", *peers)}
    for _ in range(arguments.repeats):
        began = clock()
        by_numpy = plain_numpy(codes, sizes, whole)
        times["numpy"].append(clock() - began)
        began = clock()
        count(table, threads=arguments.threads)
        times["count"].append(clock() - began)
        began = clock()
        (ranking,) = rank(table, [MutualInformation()], seed=1, threads=arguments.threads)
        times["ctrsel"].append(clock() - began)
        if arguments.no_peer:
            scores = np.array(by_numpy)
            continue
        began = clock()
        scores = mutual_info_classif(matrix, labels, discrete_features=True, n_jobs=arguments.threads)
        times["scikit-learn"].append(clock() - began)
    began = clock()
    rank(table, [moved], seed=1, threads=arguments.threads)
    times[f"shift, {arguments.draws} draws"] = [clock() - began]
    peer = [names[i] for i in np.argsort(-scores, kind="stable")]
    plain = dict(zip(names, scores, strict=True))
    apart = max(abs(row["mi"] - plain[row["field"]]) for row in ranking.frame.to_dicts())
    result: dict[str, Any] = {
        "rows": table.n_rows,
        "threads": arguments.threads,
        "seconds": {k: statistics.median(v) for k, v in times.items()},
        "ratio_to_numpy": statistics.median(times["ctrsel"]) / statistics.median(times["numpy"]),
        "ratio": None
        if arguments.no_peer
        else statistics.median(times["scikit-learn"]) / statistics.median(times["ctrsel"]),
        "first_ranking": first_ranking(),
        "top10_precision": {
            "ctrsel": precision(list(ranking.order), own_signal),
            "plain": precision(peer, own_signal),
        },
        "largest_mi_difference_nats": apart,
    }
    for name, seconds in result["seconds"].items():
        print(f"{name:>17}: {seconds:.3f} processor s (median of {len(times[name])})")
    print(f"ctrsel / numpy: {result['ratio_to_numpy']:.2f}")
    if result["ratio"] is not None:
        print(f"scikit-learn / ctrsel: {result['ratio']:.1f}")
    first = result["first_ranking"]
    print(
        f"first ranking of a process: {first['compiling']:.1f} s with nothing compiled, then {first['compiled']:.2f} s"
    )
    share = result["top10_precision"]
    print(f"signal among the first ten: ctrsel {share['ctrsel']:.1f}, plain information {share['plain']:.1f}")
    print(f"largest difference of plain information: {apart:.1e} nats")
    print(ranking.frame.select("field", "score", "mi", "mi_minus_expected", "ami", "q").head(14))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
