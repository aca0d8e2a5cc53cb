"""False discoveries and power of `knockoffs` on fields that depend on each other.

Each field repeats another one (through a fixed map of values) with a chance `--dependence`, else draws its own value: in
a chain its neighbour, which the copies' model can express; in common an unseen field of eight values that all share,
which it cannot. The first `--true` fields of a shuffled order act on the label, the others do not; those that resemble a
true one are the hard cases. Prints the share of false fields among the selected, averaged over repetitions with its
standard error, the power, and how far the copies' pairwise tables are from the fields' own.

    python benchmarks/knockoff_fdr.py --repeats 100
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ctrsel.core.seeds import generator
from ctrsel.rank import CodedRows, FieldCounts, TableCounts
from ctrsel.rank.knockoffs import Knockoffs
from ctrsel.records.feature_set import RESERVED
from ctrsel.stats.counts import label_counts


def planted(*, kind, rows, fields, true, sizes, dependence, effect, rate, seed):
    """Return counts of fields that depend on each other, and the names of the true ones."""
    rng = generator(seed, "knockoff_fdr")
    columns, of = {}, rng.choice(sizes, fields)
    before, known = (rng.integers(0, 8, rows), 8) if kind == "common" else (None, 0)
    for i, size in enumerate(of):
        weight = 1.0 / np.arange(1, size + 1)
        fresh = rng.choice(size, rows, p=weight / weight.sum())
        if before is not None:
            copied = rng.integers(0, size, known)[before]
            fresh = np.where(rng.random(rows) < dependence, copied, fresh)
        columns[f"f{i:02d}"] = fresh
        if kind == "chain":
            before, known = fresh, size
    names = list(columns)
    acting = sorted(rng.permutation(fields)[:true].tolist())
    logit = np.full(rows, np.log(rate / (1 - rate)))
    for i in acting:
        logit += rng.normal(0, effect, of[i])[columns[names[i]]]
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    coded = {n: (c + RESERVED).astype(np.uint16) for n, c in columns.items()}
    spans = {n: int(of[i]) + RESERVED for i, n in enumerate(names)}
    counted = {n: FieldCounts(train=label_counts(c, labels, size=spans[n])) for n, c in coded.items()}
    held = CodedRows(columns=coded, sizes=spans, labels=labels, row=np.arange(rows))
    return TableCounts(fields=counted, rows=held, seed=seed), {names[i] for i in acting}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("chain", "common"), default="chain")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--fields", type=int, default=40)
    parser.add_argument("--true", type=int, nargs="+", default=[0, 5, 15, 20])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 3, 5, 10, 30])
    parser.add_argument("--dependence", type=float, nargs="+", default=[0.0, 0.5, 0.8])
    parser.add_argument("--effect", type=float, default=0.6)
    parser.add_argument("--rate", type=float, default=0.3)
    args = parser.parse_args()
    print("kind    dependence  true  q    false discovery rate   power           none selected  seconds")
    for dependence in args.dependence:
        for true in args.true:
            found = {0.1: [], 0.2: []}
            began = time.perf_counter()
            for seed in range(args.repeats):
                counts, acting = planted(
                    kind=args.kind,
                    rows=args.rows,
                    fields=args.fields,
                    true=true,
                    sizes=args.sizes,
                    dependence=dependence,
                    effect=args.effect,
                    rate=args.rate,
                    seed=seed,
                )
                frame = Knockoffs().score(counts).frame
                for q, results in found.items():
                    chosen = set(frame.filter(frame["q"] <= q)["field"].to_list())
                    results.append(
                        (len(chosen - acting) / max(len(chosen), 1), len(chosen & acting) / max(true, 1), not chosen)
                    )
            spent = (time.perf_counter() - began) / args.repeats
            for q, results in found.items():
                fdr, power, none = np.array(results, dtype=float).T
                error = [x.std(ddof=1) / np.sqrt(len(x)) for x in (fdr, power)]
                print(
                    f"{args.kind:<6}  {dependence:<10g}  {true:<4}  {q:<3g}  {fdr.mean():.3f} +- {error[0]:.3f}         "
                    f"{power.mean():.3f} +- {error[1]:.3f}  {none.mean():<13.2f}  {spent:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
