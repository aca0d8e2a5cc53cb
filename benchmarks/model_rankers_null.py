"""How often model rankers take noise for signal: tables of one strong field and 16 of noise, drawn again and again.

    OMP_NUM_THREADS=1 python benchmarks/model_rankers_null.py [--rows 10000] [--tables 20]

Noise has 2 to 100,000 values, uniform and skewed. Printed are the share of noise fields with p at most 0.05 among those that
got a p-value, the share of tables with any noise field at q at most 0.1 (or confirmed, or stable), and how often the strong
field is found. A field that no tree uses cannot be taken for signal, and counts as not taken.
"""

from __future__ import annotations

import argparse
import statistics

from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Noise, Planted, Strong
from ctrsel.rank import Ranker, rank
from ctrsel.rank.null_importance import NullImportance
from ctrsel.rank.permutation_importance import PermutationImportance
from ctrsel.rank.shadow_features import ShadowFeatures
from ctrsel.rank.stability_selection import StabilitySelection
from ctrsel.train.boosted import BoostedLearner

TREES = BoostedLearner(rounds=200, leaves=15, monitor="log_loss", feature_share=0.5)
RANKERS: dict[str, Ranker] = {
    "permutation_importance": PermutationImportance(learner=TREES),
    "permutation_importance, apart=False": PermutationImportance(learner=TREES, apart=False),
    "shadow_features": ShadowFeatures(),
    "shadow_features, gain, 1 nearest": ShadowFeatures(importance="gain", peers=1),
    "null_importance": NullImportance(),
    "stability_selection": StabilitySelection(),
}


def main() -> None:
    """Rank and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--tables", type=int, default=20)
    arguments = parser.parse_args()

    small: dict[str, list[float]] = {name: [] for name in RANKERS}
    z: dict[str, list[float]] = {name: [] for name in RANKERS}
    taken: dict[str, list[int]] = {name: [] for name in RANKERS}
    found: dict[str, list[bool]] = {name: [] for name in RANKERS}
    for seed in range(arguments.tables):
        noise = [
            Noise(name=f"n{values}_{skew:g}", values=values, skew=skew)
            for values in (2, 5, 10, 50, 100, 1_000, 10_000, 100_000)
            for skew in (0.0, 1.05)
        ]
        planted = Planted(parts=(Strong(name="site", values=10), *noise), rows=arguments.rows, seed=seed)
        table = ingest(planted.frame(), schema=planted.schema, seed=seed).without("test")
        for name, ranker in RANKERS.items():
            (ranking,) = rank(table, [ranker], seed=seed)
            rows = ranking.frame.to_dicts()
            if "decision" in rows[0]:
                said = {row["field"] for row in rows if row["decision"] == "confirmed"}
            elif "stable" in rows[0]:
                said = {row["field"] for row in rows if row["stable"]}
            else:
                said = {row["field"] for row in rows if row["q"] <= 0.1}
                small[name] += [row["p"] <= 0.05 for row in rows if row["field"] != "site"]
                z[name] += [row["z"] for row in rows if row["field"] != "site" and row["z"]]
            found[name].append("site" in said)
            taken[name].append(len(said - {"site"}))
        print(f"table {seed + 1} of {arguments.tables}", flush=True)

    print(f"\n{arguments.rows} rows, {arguments.tables} tables")
    print(
        "| ranker | noise with p <= 0.05 | mean z of noise that is used | noise taken a table | tables with any | strong found |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name in RANKERS:
        share = f"{statistics.mean(small[name]):.3f}" if small[name] else ""
        mean = f"{statistics.mean(z[name]):.2f}" if z[name] else ""
        some = statistics.mean(count > 0 for count in taken[name])
        print(
            f"| {name} | {share} | {mean} | {statistics.mean(taken[name]):.2f} | {some:.2f} | "
            f"{statistics.mean(found[name]):.2f} |"
        )


if __name__ == "__main__":
    main()
