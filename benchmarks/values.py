"""What the ranking of values and their merging are worth: on planted effects, and retrained on real rows.

python benchmarks/values.py effects    # intervals, false discoveries and recall of value_log_odds against planted truth
python benchmarks/values.py merge      # values, held-out loss and retrained trees of merge, beside frequent values
python benchmarks/values.py speed      # seconds for a field of a million values
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import special
from sklearn.metrics import adjusted_rand_score

import ctrsel
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic import peers_table, value_table
from ctrsel.select import Problem, retrain
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.merge import Merge
from ctrsel.select.none import NoSelection
from ctrsel.stats.merging import merge_path
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.stats.value_effects import value_effects
from ctrsel.train.boosted import BoostedLearner


def effects(seeds: int) -> None:
    """Normal effects of 1,000 Zipf values in 100,000 rows: cover of the intervals and error, per base rate and spread."""
    print(
        "| base rate | spread | estimated spread | cover of 95 % intervals | error, shrunken | error, plain log-odds |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    share = 1.0 / np.arange(1, 1_001)
    for rate in (0.05, 0.25, 0.5):
        for spread in (0.1, 0.3, 1.0):
            rows_of = []
            for seed in range(seeds):
                rng = generator(seed, "effects", str(rate), str(spread))
                rows = rng.multinomial(100_000, share / share.sum())
                true = special.logit(rate) + rng.normal(0.0, spread, 1_000)
                yes = rng.binomial(rows, special.expit(true))
                found = value_effects(yes, rows)
                seen = rows > 0
                case, true = found.case[seen], (true - special.logit(found.base))[seen]
                plain = np.log((yes + 0.5) / (rows - yes + 0.5))[seen] - special.logit(found.base)
                inside = (found.low[case] <= true) & (true <= found.high[case])
                errors = [np.mean((guess - true) ** 2) for guess in (found.log_odds[case], plain)]
                rows_of.append([found.deviation, inside.mean(), *errors])
            deviation, cover, shrunken, plain_error = np.mean(rows_of, axis=0)
            print(
                f"| {rate} | {spread} | {deviation:.2f} | {cover:.3f} | {np.sqrt(shrunken):.2f} | {np.sqrt(plain_error):.2f} |"
            )
    print()
    print("50 of 2,000 values with an effect of +-0.7, 100 to 2,000 rows each, base rate 0.05, q at most 0.05:")
    told = []
    for seed in range(seeds * 5):
        rng = generator(seed, "discoveries")
        rows = np.rint(np.exp(rng.uniform(np.log(100), np.log(2_000), 2_000))).astype(np.int64)
        effect = np.zeros(2_000)
        effect[:50] = rng.choice([-0.7, 0.7], 50)
        found = value_effects(rng.binomial(rows, special.expit(special.logit(0.05) + effect)), rows)
        yes = benjamini_hochberg(found.p_value[found.case]) <= 0.05
        told.append([yes[:50].mean(), yes[50:].sum() / max(yes.sum(), 1)])
        noise = value_effects(rng.binomial(rows, 0.05), rows)
        told[-1].append(float((benjamini_hochberg(noise.p_value[noise.case]) <= 0.05).any()))
    recall, false, any_ = np.mean(told, axis=0)
    print(
        f"recall {recall:.2f}, false discoveries {false:.3f}, noise fields with any discovery {any_:.3f} ({len(told)} draws)"
    )
    print()
    for rows in (50_000, 200_000, 800_000):
        planted = value_table(rows=rows, seed=1)
        table = ctrsel.ingest(planted.frame(), schema=planted.schema, seed=1)
        frame = ctrsel.rank_fields(table, by={"use": "value_log_odds", "top": 20_000}).frame
        line = []
        for name in ("few", "few_of_many", "all", "noise"):
            known = planted.truth.value_frame(name) if name != "noise" else None
            found = frame.filter((frame["field"] == name) & (frame["q"] <= 0.05))
            wrong = found.height
            if known is not None:
                base = float(special.logit(planted.truth.rate))
                sign = {v: np.sign(special.logit(r) - base) for v, r in zip(known["value"], known["rate"], strict=True)}
                wrong = sum(
                    np.sign(d) != sign.get(v, 0) for v, d in zip(found["value"], found["log_odds"], strict=True)
                )
            line.append(
                f"{name} {found.height} found, {wrong} of the wrong sign" if known is not None else f"{name} {wrong}"
            )
        print(f"planted values table, {rows:,} rows: {'; '.join(line)}")


def merge(seeds: int) -> None:
    """Merge planted groups, planted tables and the census; retrain trees on the smaller tables, test rows at the end."""
    print("| values in groups | rows | groups found | adjusted Rand index |")
    print("| --- | --- | --- | --- |")
    for values, groups, rows in ((100, 1, 100_000), (100, 4, 100_000), (100, 4, 1_000_000), (500, 20, 1_000_000)):
        found = []
        for seed in range(seeds * 4):
            rng = generator(seed, "groups", values, groups, rows)
            share = 1.0 / np.arange(1, values + 1)
            counts = rng.multinomial(rows, share / share.sum())
            group = rng.integers(0, groups, values)
            effect = rng.normal(0.0, 0.6, groups) * (groups > 1)
            path = merge_path(rng.binomial(counts, special.expit(-2.5 + effect[group])), counts)
            found.append([path.best, adjusted_rand_score(group, path.groups(path.best))])
        mean = np.mean(found, axis=0)
        print(f"| {values} in {groups} | {rows:,} | {mean[0]:.1f} | {mean[1]:.2f} |")
    print()
    print("| table | selection | values | held-out loss of single fields | trees' valid AUC | test AUC | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    config = ctrsel.load_config("configs/census_income.yaml")
    planted, peers = value_table(rows=200_000, seed=1), peers_table(rows=100_000, seed=1)
    tables = {
        "census": ctrsel.ingest(config.data, schema=config.schema, split=config.split, settings=config.ingest, seed=1),
        "planted values": ctrsel.ingest(planted.frame(), schema=planted.schema, seed=1),
        "planted peers": ctrsel.ingest(peers.frame(), schema=peers.schema, seed=1),
    }
    learner = BoostedLearner()
    for name, table in tables.items():
        problem = Problem(table=table.without("test"), learner=learner)
        plain = Merge().select(problem, size=problem.n_values, seed=1)
        size = plain.features.n_values
        half = Merge().select(problem, size=size // 2, seed=1)
        contenders = {
            "all values": NoSelection().select(problem, size=size, seed=1),
            "merge": plain,
            "frequent, same size": MostFrequent().select(problem, size=size, seed=1),
            "merge, half of that": half,
            "frequent, half": MostFrequent().select(problem, size=size // 2, seed=1),
        }
        for how, selection in contenders.items():
            outcome = retrain(problem, selection, seed=1)
            test = ctrsel.evaluate(outcome.fit.model, table.narrow(selection.features)).metrics["auc"]
            loss = "-"
            if selection.history:
                history = selection.history[0]
                loss = f"{history['held_out_loss']:+.4f} of {history['held_out_gain']:.4f}"
            print(
                f"| {name} | {how} | {selection.features.n_values:,} | {loss} | {outcome.fit.valid['auc']:.4f} | "
                f"{test.value:.4f} ({test.low:.4f} to {test.high:.4f}) | {selection.seconds:.1f} |",
                flush=True,
            )


def speed() -> None:
    """Time one field of a million values, uniform and Zipf, from its counts."""
    for skew in (0.0, 1.05):
        rng = generator(1, "speed", str(skew))
        share = 1.0 / np.arange(1, 1_000_001) ** skew
        rows = rng.multinomial(20_000_000, share / share.sum())
        yes = rng.binomial(rows, special.expit(rng.normal(-3.0, 0.3, rows.size)))
        value_effects(yes[:99], rows[:99])
        merge_path(yes[:99], rows[:99])  # compiled
        for function in (value_effects, merge_path):
            began = time.perf_counter()
            function(yes, rows)
            print(f"{function.__name__}, skew {skew}: {time.perf_counter() - began:.2f} s")


def main() -> None:
    """Read the arguments and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("effects", "merge", "speed"))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if given.part == "speed":
        speed()
    else:
        {"effects": effects, "merge": merge}[given.part](given.seeds)


if __name__ == "__main__":
    main()
