"""What do selectors of whole fields cost, and which fields do they put first?

    OMP_NUM_THREADS=1 python benchmarks/field_selectors.py [--rows 20000] [--only shark,lasso] [--seed 1] [--judge 10,20]

The census table, with so many training and validation rows drawn from it. Every selector searches once with a small DeepFM or
LightGBM, as the line says; seconds are those of the processor. With `--judge`, LightGBM is trained anew on the best fields of
every order, and its validation AUC is told.
"""

from __future__ import annotations

import argparse
import time

from ctrsel.core.config import DataConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.rank._resampled import subset
from ctrsel.select import Problem, Selector, Size
from ctrsel.select.drcfs import DRCFS
from ctrsel.select.elimination import Elimination
from ctrsel.select.lasso import Lasso
from ctrsel.select.permutation import Permutation
from ctrsel.select.random import RandomValues
from ctrsel.select.ranking import ByRanking
from ctrsel.select.sfs import SFS
from ctrsel.select.shadowed import Shadowed
from ctrsel.select.shark import Shark
from ctrsel.select.stable import Stable
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(32,)), width=8, max_epochs=8, learning_rate=2e-3)
TREES = BoostedLearner(rounds=60, patience=10, leaves=15, monitor="log_loss")
JUDGE = BoostedLearner(rounds=200, patience=20, leaves=31)
SELECTORS: dict[str, tuple[Selector, Learner]] = {
    "random": (RandomValues(), TREES),
    "ranking by mutual_information": (ByRanking(), TREES),
    "ranking by boosted_gain": (ByRanking(ranking="boosted_gain"), TREES),
    "lasso": (Lasso(), NET),
    "lasso by values": (Lasso(form="values"), NET),
    "shark, net": (Shark(), NET),
    "sfs, net": (SFS(), NET),
    "permutation, net": (Permutation(), NET),
    "permutation, trees": (Permutation(), TREES),
    "elimination by gain": (Elimination(importance="gain"), TREES),
    "elimination by permutation": (Elimination(), TREES),
    "stable lasso": (Stable(selector=Lasso(steps=20)), NET),
    "shadowed permutation": (Shadowed(selector=Permutation(repeats=1, rows=5000)), TREES),
    "drcfs": (DRCFS(), TREES),
    "shark in rounds, net": (Shark(share=0.2), NET),
}


def table(rows: int) -> Table:
    """Return so many training rows of the census table, and a quarter as many validation rows."""
    schema = SchemaConfig(label=LabelConfig(name="label"), ignore=("instance_weight",))
    full = ingest(DataConfig(dataset="census_income"), schema=schema, split=SplitConfig(use="hash", valid=0.1), seed=1)
    rng = generator(1, "field_selectors")
    drawn = []
    for split, count in (("train", rows), ("valid", rows // 4)):
        span = full.span(split)
        size = span.stop - span.start
        drawn.append(rng.permutation(size)[: min(count, size)] + span.start)
    return subset(full, *drawn)


def main() -> None:
    """Search, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--judge", default="")
    given = parser.parse_args()
    known = table(given.rows)
    sizes = [int(s) for s in given.judge.split(",") if s]
    for name, (selector, learner) in SELECTORS.items():
        if given.only and not any(part in name for part in given.only.split(",")):
            continue
        began = time.process_time()
        found = selector.search(Problem(table=known, learner=learner), sizes=(), seed=given.seed)
        seconds = time.process_time() - began
        fields = found.at(Size(number=len(known.schema.names), of="fields")).field_scores
        order = sorted(fields, key=lambda n: -fields[n]) if fields else []
        wanted = getattr(found, "wanted", None)
        judged = []
        for k in sizes:
            features = found.at(Size(number=k, of="fields"))
            judged.append(f"{len(features.fields)}: {JUDGE.fit(known, features, seed=1).valid['auc']:.4f}")
        told = "all" if wanted is None else str(len(wanted))
        print(f"{name} | {seconds:.1f} | {told} | {', '.join(order[:4])} | {' '.join(judged)}", flush=True)


if __name__ == "__main__":
    main()
