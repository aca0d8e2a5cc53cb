"""How well scores of single fields tell signal from noise: ten planted fields among twenty, over several seeds.

    python benchmarks/rank_detection.py [--rows 50000] [--seeds 20] [--base -2.9] [--spread 0.25]

Ten fields of 2 to 3,000 values have an effect of their own on the log-odds, ten of 2 to 30,000 values have none; all are
skewed (popularity 1 / place). Printed per score, scikit-learn's adjusted_mutual_info_score and OutRank's own (all rows in its
minibatches; all rows at once) among them: how many of the first ten are true (mean and standard error over seeds), and the
place of the best noise field; then the mean difference of the default to each peer, seed by seed.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

from ctrsel.core.seeds import generator
from ctrsel.data.synthetic import Noise, Planted, Signal
from ctrsel.rank import CodedRows, CountRanker, FieldCounts, TableCounts
from ctrsel.rank.chi_square import ChiSquare
from ctrsel.rank.g_test import GTest
from ctrsel.rank.information_value import InformationValue
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.outrank import Outrank
from ctrsel.stats.counts import label_counts

TRUE = (2, 3, 5, 10, 30, 100, 300, 1_000, 2_000, 3_000)
NOISE = (2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 30_000)


RANKERS: dict[str, CountRanker] = {
    "effect (default)": MutualInformation(),
    "z": MutualInformation(by="z"),
    "ami": MutualInformation(by="ami"),
    "g_test": GTest(),
    "chi_square": ChiSquare(),
    "information_value": InformationValue(),
    "information_value, z": InformationValue(by="z"),
    "OutRank's": Outrank(subsampling=1),
    "OutRank's, one batch": Outrank(subsampling=1, minibatch_size=10**9),
}


def counted(rows: int, *, base: float, spread: float, seed: int) -> tuple[TableCounts, float, dict[str, float]]:
    """Draw a table and count it; a true field's name starts with "true".

    Also return the share of positive rows, and scikit-learn's adjusted information by field.
    """
    rng = generator(seed, "benchmarks", "rank_detection")

    def effect(values: int) -> float:
        # What independent normal effects of the values come to over the rows: sometimes little, where values are few.
        shares, drawn = 1.0 / np.arange(1, values + 1), rng.normal(0.0, spread, values)
        mean = np.average(drawn, weights=shares)
        return float(np.sqrt(np.average((drawn - mean) ** 2, weights=shares)))

    table = Planted(
        parts=(
            *(Signal(name=f"true_{v}", values=v, effect=effect(v), skew=1.0) for v in TRUE),
            *(Noise(name=f"noise_{v}", values=v, skew=1.0) for v in NOISE),
        ),
        rows=rows,
        seed=seed,
        base=base,
        texts="integers",
    )
    frame = table.frame()
    label = frame["label"].to_numpy().astype(np.uint8)
    columns = {name: (frame[name].to_numpy() + 3).astype(np.uint32) for name in table.truth.fields}
    sizes = {name: field.values + 3 for name, field in table.truth.fields.items()}
    fields = {name: FieldCounts(train=label_counts(c, label, size=sizes[name])) for name, c in columns.items()}
    coded = CodedRows(columns=columns, sizes=sizes, labels=label, row=np.arange(rows))
    peer = {name: float(adjusted_mutual_info_score(label, frame[name].to_numpy())) for name in fields}
    return TableCounts(fields=fields, rows=coded), float(label.mean()), peer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--base", type=float, default=-2.9)
    parser.add_argument("--spread", type=float, default=0.25)
    arguments = parser.parse_args()
    hits: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}
    rates = []
    for seed in range(arguments.seeds):
        counts, rate, peer = counted(arguments.rows, base=arguments.base, spread=arguments.spread, seed=seed)
        rates.append(rate)
        orders = {name: list(ranker.score(counts).order) for name, ranker in RANKERS.items()}
        orders["scikit-learn's ami"] = sorted(peer, key=lambda name: -peer[name])
        frame = MutualInformation().score(counts).frame
        for column in ("mi_minus_expected", "mi"):
            orders[column] = frame.sort(column, descending=True)["field"].to_list()
        for score, order in orders.items():
            hits.setdefault(score, []).append(sum(name.startswith("true") for name in order[:10]))
            places.setdefault(score, []).append(1 + next(i for i, n in enumerate(order) if n.startswith("noise")))
    print(f"{arguments.rows} rows, {np.mean(rates):.1%} positive, spread {arguments.spread}, {arguments.seeds} seeds")
    for score, found in hits.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        print(f"{score:>20}: {np.mean(found):.2f} +- {error:.2f} of 10, best noise at {np.mean(places[score]):.1f}")
    for peer_score in ("scikit-learn's ami", "OutRank's", "OutRank's, one batch"):
        apart = np.subtract(hits["effect (default)"], hits[peer_score])
        error = np.std(apart, ddof=1) / np.sqrt(len(apart))
        print(f"default less {peer_score}: {apart.mean():+.2f} +- {error:.2f}")


if __name__ == "__main__":
    main()
