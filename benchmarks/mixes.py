"""What mixing a net and trees gains, how its weights are best found, and what calibration adds; the test split is read.

    CTRSEL_DATA=/data python benchmarks/mixes.py configs/frappe.yaml [--seeds 2] [--keep FOLDER]

Trains the config's learners `net` (as often as --seeds says) and `boosted` (once), one after the other, and prints AUC,
log-loss (nats per row) and predicted over observed of every member, of averages, of weights by least log-loss (one a
learner or one a training; one slope or two) and of greedy selection (Caruana et al., 2004, 50 steps, by log-loss or AUC), each with its
cross-fitted figures on validation and those on the very rows it was fitted on; then log-loss on test after each
calibration. Last, size and speed of the net, the trees and their mix. With --keep, what members said is stored in a
folder and read from there the next time: a folder for one config and one version of the code.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ctrsel.api.assemble import milliseconds_per_1000
from ctrsel.api.plan import plan
from ctrsel.core.config import load_config
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.example import example_rows
from ctrsel.data.ingest import ingest
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.model import Model
from ctrsel.stats.auc import auc
from ctrsel.stats.calibration import calibration_ratio
from ctrsel.stats.folds import cross_fitted, folds_of
from ctrsel.stats.losses import log_loss
from ctrsel.stats.mixing import mix
from ctrsel.stats.recalibration import METHODS, cross_fitted_losses, recalibrate

STEPS = 50  # of the greedy selection


def trained(table, config, *, seeds, keep):
    """Per member its Model, and its first label's log-odds on valid and test."""
    learners, known, found = plan(config).learners, table.without("test"), {}
    for key, seed in [("boosted", 1), *(("net", s) for s in range(1, seeds + 1))]:
        name, file = f"{key} {seed}", None if keep is None else keep / f"{key}_{seed}"
        if file is not None and file.is_dir():
            model = Model.load(file)
        else:
            began = time.process_time()
            fit = learners[key].fit(known, seed=seed)
            print(f"trained {name}: {time.process_time() - began:.0f} CPU s, {len(fit.history)} epochs or trees")
            model = fit.model
            if file is not None:
                model.save(file)
        scored = {p: model.predictor.logits(table.part(p))[:, 0].astype(float) for p in ("valid", "test")}
        found[name] = (model, scored)
    return found


def greedy(labels, columns, *, by):
    """Caruana et al., algorithm with replacement: the best bag of members seen in a number of steps, as weights."""

    def worth(z):
        return auc(labels, z) if by == "AUC" else -log_loss(labels, z)

    times, total, best, weights = np.zeros(columns.shape[1]), np.zeros(len(columns)), -np.inf, None
    for step in range(1, STEPS + 1):
        scores = [worth((total + columns[:, j]) / step) for j in range(columns.shape[1])]
        j = int(np.argmax(scores))
        times[j], total = times[j] + 1, total + columns[:, j]
        if scores[j] > best:
            best, weights = scores[j], times / step
    return lambda z: z @ weights


def sides(z):
    """Return ln p and -ln(1 - p) of every column, which add up to it."""
    return np.concatenate([-np.logaddexp(0.0, -z), np.logaddexp(0.0, z)], axis=1)


class Bench:
    """Prints one row a model."""

    def __init__(self, table):
        self.labels = {p: table.part(p).label() for p in ("valid", "test")}
        self.folds = folds_of(self.labels["valid"], table.part("valid").row, folds=5, seed=1)
        print("\n| model | valid AUC | valid log-loss | on its own rows | test AUC | test log-loss | pred / obs |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")

    def row(self, name, valid, test, own=None):
        y, t = self.labels["valid"], self.labels["test"]
        seen = "" if own is None else f"{log_loss(y, own):.5f}"
        ratio = calibration_ratio(t, 1 / (1 + np.exp(-test)))
        scores = f"{auc(t, test):.5f} | {log_loss(t, test):.5f} | {ratio:.3f}"
        print(f"| {name} | {auc(y, valid):.5f} | {log_loss(y, valid):.5f} | {seen} | {scores} |", flush=True)

    def fitted(self, name, fit, columns):
        y, valid = self.labels["valid"], columns["valid"]
        whole = fit(y, valid)
        unseen = cross_fitted(lambda rows: fit(y[rows], valid[rows]), valid, self.folds)
        self.row(name, unseen, whole(columns["test"]), whole(valid))
        return whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    config = load_config(args.config)
    try:
        table = ingest(config.data, schema=config.schema, split=config.split, settings=config.ingest, seed=config.seed)
    except (ConfigError, DataError) as error:
        sys.exit(f"{args.config}: nothing measured: {error}")
    found = trained(table, config, seeds=args.seeds, keep=args.keep)
    bench = Bench(table)
    scores = {name: scored for name, (_, scored) in found.items()}
    for name, scored in scores.items():
        bench.row(name, scored["valid"], scored["test"])
    nets = [n for n in scores if n.startswith("net")]
    pairs = {"net 1 + trees": [nets[:1], ["boosted 1"]]}
    if len(nets) > 1:
        pairs |= {f"{len(nets)} nets": [nets], f"{len(nets)} nets + trees": [nets, ["boosted 1"]]}
        pairs["the same, a weight each"] = [[n] for n in scores]
    for name, groups in pairs.items():
        both = {
            p: np.column_stack([np.mean([scores[n][p] for n in g], axis=0) for g in groups]) for p in ("valid", "test")
        }
        bench.row(f"{name}: average", both["valid"].mean(axis=1), both["test"].mean(axis=1))
        made = bench.fitted(f"{name}: least log-loss", mix, both)
        bench.fitted(f"{name}: least log-loss, two slopes", mix, {p: sides(z) for p, z in both.items()})
        for by in ("log-loss", "AUC"):
            bench.fitted(f"{name}: greedy by {by}", lambda y, z, by=by: greedy(y, z, by=by), both)
        if name == "net 1 + trees":
            first = made
            scores["the mix of the two"] = {p: made(both[p]) for p in both}
    print("\n| calibrated | " + " | ".join(METHODS) + " | auto takes |")
    print("| --- |" + " ---: |" * (len(METHODS) + 1))
    for name, scored in scores.items():
        y, z = bench.labels["valid"], scored["valid"]
        losses = cross_fitted_losses(y, z, bench.folds)
        after = [log_loss(bench.labels["test"], recalibrate(m, y, z)(scored["test"])) for m in METHODS]
        print(f"| {name} | " + " | ".join(f"{x:.5f}" for x in after) + f" | {min(losses, key=losses.get)} |")
    members = (found["net 1"][0], found["boosted 1"][0])
    whole = Model(
        encoder=table.encoder,
        predictor=EnsemblePredictor(
            members=tuple(m.predictor for m in members),
            weights=first.weights[:, None],
            intercept=np.array([first.intercept]),
        ),
    )
    print(f"\nweights of net 1 + trees {first.weights.round(3).tolist()}, intercept {first.intercept:.3f}")
    models = {"net 1": members[0], "boosted 1": members[1], "mix": whole}
    times = milliseconds_per_1000(list(models.values()), example_rows(table.encoder, 1000, seed=1))
    for (name, model), ms in zip(models.items(), times, strict=True):
        print(f"{name}: {ms:.1f} ms per 1,000 raw rows, {model.bytes_on_disk:,} bytes on disk")


if __name__ == "__main__":
    main()
