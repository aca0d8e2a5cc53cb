"""Whether the nulls of single fields keep their promises: noise of every cardinality, on rows that depend on each other or not.

    python benchmarks/null_calibration.py [--rows 20000] [--repeats 200] [--draws 199] [--seed 1] [--kinds time,group] [--skip-large]

Five kinds of rows. "independent": labels are drawn row by row. "weighted": so they are, and a row's weight is 1/4, 1 or 4.
"kept": so they are, and negative rows weigh ten times as much, as where one in ten was kept. "time": the label's log-odds
wander (a first-order autoregression with a memory of 100 rows), and a field keeps its value for 50 rows on average. "group":
rows come in groups of 5 to 80 rows with a common addend to the log-odds, and a field has one value in nine tenths of the
rows of a group.
Each repetition has fourteen noise fields (2 to 1,000,000 values, uniform and skewed as 1 / place) and six fields with an
effect on the log-odds, and ranks them against each null. The million values are more than the rows; they mean that a
row's value is hardly ever seen again.

Printed per null, of the noise fields: the mean of `mi_minus_expected` over the repetitions in its standard errors, the
standard deviation of `z`, the share of |z| above 4, and the largest normal quantile of 1 - p; then the false discovery
rate at q = 0.1 (mean share of noise among the discoveries), how often any noise field is discovered when the signal is
left out, and the share of signal fields found. Where the null does not fit the rows, it is the contrast. At the end, ten
tables of 1,000,000 independent rows (exact null), and how often the effect's 95 % interval holds the true information.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy import special
from scipy.signal import lfilter

from ctrsel.core.seeds import generator
from ctrsel.rank import CodedRows, FieldCounts, TableCounts
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.stats.counts import label_counts, weighted_label_counts
from ctrsel.stats.multiple import benjamini_hochberg

VALUES = (2, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
SIGNAL = (2, 10, 50, 200, 1_000, 3_000)
BASE = -2.0
NULLS = {
    "independent": ("exact",),
    "weighted": ("shuffled",),
    "kept": ("shuffled",),
    "time": ("shift", "exact"),
    "group": ("group", "exact"),
}


def drawn(rng: np.random.Generator, rows: int, values: int, *, skewed: bool) -> np.ndarray:
    """Draw values of a field, uniform or with popularity 1 / place."""
    if not skewed:
        return rng.integers(0, values, rows)
    mass = np.cumsum(1.0 / np.arange(1, values + 1))
    return np.minimum(np.searchsorted(mass / mass[-1], rng.random(rows)), values - 1)


def held(rng: np.random.Generator, fresh: np.ndarray, kind: str, group: np.ndarray) -> np.ndarray:
    """Make a field of independent rows stay as it is for a while, or in a group."""
    if kind == "time":
        last = np.where(rng.random(len(fresh)) < 1 / 50, np.arange(len(fresh)), 0)
        return fresh[np.maximum.accumulate(last)]
    if kind == "group":
        first = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
        common = fresh[first][np.cumsum(np.append(False, group[1:] != group[:-1]))]
        return np.where(rng.random(len(fresh)) < 0.9, common, fresh)
    return fresh


def table(kind: str, rows: int, *, seed: int, values: tuple[int, ...] = VALUES) -> TableCounts:
    """Draw a table of one kind of rows, as counts."""
    rng = generator(seed, "null_calibration", kind)
    group = np.repeat(np.arange(rows), rng.integers(5, 81, rows))[:rows]
    fields = {
        f"noise_{k}_{shape}": held(rng, drawn(rng, rows, k, skewed=shape == "skewed"), kind, group)
        for k in values
        for shape in ("uniform", "skewed")
    }
    logit = np.full(rows, BASE)
    for k in SIGNAL:
        fields[f"signal_{k}"] = held(rng, drawn(rng, rows, k, skewed=True), kind, group)
        logit += rng.normal(0, 0.4, k)[fields[f"signal_{k}"]]
    if kind == "time":
        memory = np.exp(-1 / 100)
        logit += 0.8 * lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=rows))
    if kind == "group":
        logit += rng.normal(0, 0.8, rows)[group]
    labels = (rng.random(rows) < special.expit(logit)).astype(np.uint8)
    weight = {"weighted": rng.choice([0.25, 1.0, 4.0], rows), "kept": np.where(labels == 1, 1.0, 10.0)}.get(kind)
    columns = {name: np.unique(c, return_inverse=True)[1].astype(np.uint32) + 3 for name, c in fields.items()}
    sizes = {name: int(c.max()) + 1 for name, c in columns.items()}
    coded = CodedRows(
        columns=columns,
        sizes=sizes,
        labels=labels,
        row=np.arange(rows),
        weight=weight,
        time=np.arange(rows) if kind == "time" else None,
        group=group if kind == "group" else None,
    )
    counts = {
        n: FieldCounts(
            train=label_counts(c, labels, size=sizes[n]),
            weighted_train=None if weight is None else weighted_label_counts(c, labels, size=sizes[n], weight=weight),
        )
        for n, c in columns.items()
    }
    return TableCounts(fields=counts, rows=coded, seed=seed, threads=1)


def repetition(
    seed: int, *, rows: int, draws: int, kinds: tuple[str, ...]
) -> dict[tuple[str, str], dict[str, tuple[float, float, float]]]:
    """Return effect, z and p of every field, by kind of rows and null."""
    found = {}
    for kind in kinds:
        counts = table(kind, rows, seed=seed)
        for null in NULLS[kind]:
            frame = MutualInformation(null=null, draws=draws).score(counts).frame
            found[kind, null] = {
                row["field"]: (row["mi_minus_expected"], row["z"], row["p"]) for row in frame.to_dicts()
            }
    return found


def discoveries(results: list[dict[str, tuple[float, float, float]]]) -> tuple[float, float, float, float]:
    """Return the false discovery rate at 0.1 with its standard error, any discovery without signal, and the power."""
    shares, alone, power = [], [], []
    for result in results:
        names = list(result)
        noise = np.array([n.startswith("noise") for n in names])
        p = np.array([result[n][2] for n in names])
        hits = benjamini_hochberg(p) <= 0.1
        shares.append((hits & noise).sum() / max(hits.sum(), 1))
        alone.append(bool((benjamini_hochberg(p[noise]) <= 0.1).any()))
        power.append((hits & ~noise).sum() / (~noise).sum())
    error = float(np.std(shares, ddof=1) / np.sqrt(len(shares)))
    return float(np.mean(shares)), error, float(np.mean(alone)), float(np.mean(power))


def lines(results: list[dict[str, tuple[float, float, float]]]) -> Iterator[str]:
    """Describe the noise fields of all repetitions."""
    for name in (f"noise_{k}_{shape}" for k in VALUES for shape in ("uniform", "skewed")):
        effect, z, p = np.array([r[name] for r in results]).T
        error = effect.std(ddof=1) / np.sqrt(len(effect))
        off = effect.mean() / error if error > 0 else 0.0
        quantile = float(-special.ndtri(max(p.min(), 1e-300)))
        yield (
            f"  {name.removeprefix('noise_'):>16}: mean effect {off:+5.1f} standard errors, sd of z {z.std():5.2f}, "
            f"|z| > 4 {np.mean(abs(z) > 4):6.1%}, largest normal quantile {quantile:5.1f}, p < 0.01 {np.mean(p < 0.01):6.1%}"
        )


def coverage(rows: int, repeats: int) -> None:
    """Print how often the interval of the effect holds the information of the population, by cardinality and effect."""
    print(
        f"share of 95 % intervals (low, high) that hold the information of the population, {rows} rows, {repeats} times:"
    )
    for spread in (0.0, 0.1, 0.3):
        cells = []
        for k in (2, 10, 100, 1_000):
            rng = generator(k, "null_calibration", "coverage", int(spread * 10))
            rate = special.expit(BASE + rng.normal(0, spread, k))
            share = np.full(k, 1 / k)
            base = float(share @ rate)
            nats = special.xlogy(rate, rate / base) + special.xlogy(1 - rate, (1 - rate) / (1 - base))
            true = round(float(share @ nats), 15)  # 0 in all digits where there is no effect
            hits = 0
            for _ in range(repeats):
                totals = rng.multinomial(rows, share)
                yes = rng.binomial(totals, rate)
                counts = FieldCounts(
                    train=label_counts(
                        np.repeat(np.tile(np.arange(k), 2), np.concatenate([yes, totals - yes])),
                        np.repeat([1, 0], [yes.sum(), (totals - yes).sum()]),
                        size=k,
                    )
                )
                row = MutualInformation().score(TableCounts(fields={"x": counts})).frame.row(0, named=True)
                hits += row["low"] <= true <= row["high"]
            cells.append(f"{k} values {hits / repeats:.3f}")
        print(f"  effects of sd {spread}: {', '.join(cells)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--draws", type=int, default=199)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kinds", default=",".join(NULLS))
    parser.add_argument("--skip-large", action="store_true")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    kinds = tuple(arguments.kinds.split(","))
    one = partial(repetition, rows=arguments.rows, draws=arguments.draws, kinds=kinds)
    with ProcessPoolExecutor(arguments.processes) as pool:
        found = list(pool.map(one, seeds, chunksize=4))
    print(f"{arguments.rows} rows, {arguments.repeats} repetitions, {arguments.draws} draws")
    for kind in kinds:
        for null in NULLS[kind]:
            results = [f[kind, null] for f in found]
            rate, error, alone, power = discoveries(results)
            print(f"{kind} rows, null {null!r}:")
            print("\n".join(lines(results)))
            print(
                f"  false discovery rate at 0.1: {rate:.3f} +- {error:.3f}; any discovery without signal: {alone:.3f}; "
                f"signal found: {power:.2f}",
                flush=True,
            )
    coverage(arguments.rows, arguments.repeats)
    if not arguments.skip_large:
        large = [
            row
            for seed in list(seeds)[:10]
            for row in MutualInformation().score(table("independent", 1_000_000, seed=seed)).frame.to_dicts()
            if row["field"].startswith("noise")
        ]
        z, p = (np.array([row[key] for row in large]) for key in ("z", "p"))
        print(
            f"1,000,000 independent rows, {len(large)} noise fields: mean z {z.mean():+.2f} +- {z.std() / np.sqrt(len(z)):.2f}, "
            f"|z| > 4 {np.mean(abs(z) > 4):.1%}, p < 0.01 {np.mean(p < 0.01):.1%}, smallest p {p.min():.5f}"
        )


if __name__ == "__main__":
    main()
