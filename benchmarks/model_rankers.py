"""Model rankers on the planted table of 40 fields: signal among the first ten, noise let through, CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/model_rankers.py [--rows 50000] [--seeds 3] [--only shadow] [--json out.json]

Ten fields have signal of their own (6 strong, 2 weak, 2 copies) and should be the first ten; eight count in pairs only;
the others are noise of 2 to 1,000,000 values, a constant and a row number. "Let through" is what a ranker itself calls
signal: q at most 0.1, decision "confirmed", or `stable`. Splits are those of `ctrsel.ingest` (8 : 1 : 1 by hash).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import peers_table
from ctrsel.rank import rank
from ctrsel.rank.boosted_gain import BoostedGain
from ctrsel.rank.boosted_shap import BoostedShap
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.null_importance import NullImportance
from ctrsel.rank.permutation_importance import PermutationImportance
from ctrsel.rank.shadow_features import ShadowFeatures
from ctrsel.rank.stability_selection import StabilitySelection
from ctrsel.records.ranking import Ranking
from ctrsel.train.boosted import BoostedLearner

SMALL = BoostedLearner(rounds=200, leaves=15, monitor="log_loss", feature_share=0.5)

RANKERS = {
    "mutual_information": MutualInformation(),
    "boosted_gain": BoostedGain(),
    "boosted_gain, small trees": BoostedGain(learner=SMALL),
    "boosted_shap": BoostedShap(),
    "permutation_importance": PermutationImportance(),
    "permutation_importance, small trees": PermutationImportance(learner=SMALL),
    "shadow_features": ShadowFeatures(),
    "shadow_features, shap": ShadowFeatures(importance="shap"),
    "shadow_features, gain, all shadows": ShadowFeatures(importance="gain"),
    "shadow_features, gain, 5 nearest": ShadowFeatures(importance="gain", peers=5),
    "null_importance": NullImportance(),
    "stability_selection": StabilitySelection(),
    "stability_selection, top 10": StabilitySelection(top=10),
}


def let_through(ranking: Ranking) -> list[str] | None:
    """Return the fields that the ranker itself calls signal; None if it says nothing."""
    frame = ranking.frame
    if "decision" in frame.columns:
        frame = frame.filter(pl.col("decision") == "confirmed")
    elif "stable" in frame.columns:
        frame = frame.filter(pl.col("stable"))
    elif "q" in frame.columns:
        frame = frame.filter(pl.col("q") <= 0.1)
    else:
        return None
    return frame["field"].to_list()


def main() -> None:
    """Rank and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="rankers whose name holds this")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(1, arguments.seeds + 1):
        planted = peers_table(rows=arguments.rows, seed=seed)
        table = ingest(planted.frame(), schema=planted.schema, seed=seed).without("test")
        own = set(planted.truth.named("strong", "weak", "redundant"))
        pairs = {n for n in table.schema.names if n.startswith("x")}
        rank(table, [MutualInformation()], seed=seed)  # compiles the loops
        for name, ranker in RANKERS.items():
            if arguments.only not in name:
                continue
            began = time.process_time()
            (ranking,) = rank(table, [ranker], seed=seed)
            seconds = time.process_time() - began
            said = let_through(ranking)
            result: dict[str, Any] = {
                "precision": sum(f in own for f in ranking.order[:10]) / 10,
                "seconds": seconds,
                "own": None if said is None else sorted(own & set(said)),
                "noise": None if said is None else sorted(set(said) - own - pairs),
                "pairs": None if said is None else sorted(pairs & set(said)),
                "order": ranking.order[:12],
            }
            if "decision" in ranking.frame.columns:
                rejected = ranking.frame.filter(pl.col("decision") == "rejected")["field"].to_list()
                result["own_rejected"] = sorted(own & set(rejected))
            found.setdefault(name, []).append(result)
            print(seed, name, {k: v for k, v in result.items() if k != "order"}, flush=True)

    print(f"\n{arguments.rows} rows, seeds 1-{arguments.seeds}; means, and the worst precision")
    print("| ranker | of first ten | worst | signal let through (of 10) | noise let through (of 22) | CPU seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, runs in found.items():
        precision = [r["precision"] for r in runs]
        tells = all(r["own"] is not None for r in runs)
        kept = f"{statistics.mean(len(r['own']) for r in runs):.1f}" if tells else ""
        noise = f"{statistics.mean(len(r['noise']) for r in runs):.1f}" if tells else ""
        print(
            f"| {name} | {statistics.mean(precision):.2f} | {min(precision):.1f} | {kept} | {noise} | "
            f"{statistics.median(r['seconds'] for r in runs):.1f} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
