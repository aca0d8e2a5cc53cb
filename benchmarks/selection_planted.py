"""What do selectors find where the truth is known? Recall and false discoveries of every selector of the catalogue.

    python benchmarks/selection_planted.py [--only gated,random] [--seeds 3] [--rows 30000] [--effects 0.4,0.8] [--out page.md]

The table has six useful fields of 200 values, of which a fifth moves the log-odds by plus or minus the effect and the rest
do nothing, whatever their frequency (Zipf, exponent 1); two decoys, which repeat a useful field in seven rows of ten and
say nothing else; and six fields of noise, drawn like the useful ones. Selectors see training and validation rows only and
search with a small DeepFM.

    at the true size    of as many values (fields) as are useful, the share that is: its complement is the false discoveries
    effect              at the true size, the share of the planted effects' variance over training rows that the codes still tell
                        apart, dropped values being one code and merged ones too; a field's dropping loses all of its variance
    decoys, noise       how many of these fields are among the best six
    on its own          what it keeps where the size allows everything, gates without closed values as a filling: how much, the
                        recall, and the share of it that is false
    rare                recall at the true size of the useful values in the less frequent half of their fields

Values of decoys and of noise fields count as false. `merge` and its like keep values by taking others together: which values
they keep says little of them, whether groups are of one effect says it: that is `effect`, for which frequent values count by
their rows. A search that wants nothing keeps nothing: no recall and no false discoveries. Means and standard deviations over the
seeds, each of which draws a table of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import polars as pl

from ctrsel.api.functions import rank_fields
from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, CtrselError
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.records.feature_set import RESERVED, FeatureSet
from ctrsel.select import CATALOG, Found, Problem, Size
from ctrsel.select.gated import Gated
from ctrsel.train.net import NetLearner

PUBLISHED = {"use": "optfs", "published": True, "penalty": 2e-9}  # the paper's lambda for Criteo
USEFUL, DECOYS, NOISE, VALUES, SHARE = 6, 2, 6, 200, 0.2
NET = NetLearner(
    backbone=DeepFM(hidden=(32, 16)), width=8, batch_size=512, learning_rate=2e-3, embedding_l2=0.01, max_epochs=8
)
RANKINGS = ("mutual_information", "boosted_shap")  # what `ranking` is shown with


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A table and its truth."""

    table: Table
    useful: frozenset[tuple[str, str]]  # (field, value)
    rare: frozenset[tuple[str, str]]  # those of them in the less frequent half
    effects: Mapping[str, np.ndarray]  # by useful field, of the training rows, log-odds


def planted(*, rows: int, effect: float, seed: int) -> Planted:
    """Draw a table."""
    rng = np.random.default_rng([seed, round(1000 * effect)])
    share = 1 / np.arange(1, VALUES + 1)
    share /= share.sum()
    columns: dict[str, np.ndarray] = {}
    logit = np.full(rows, -1.0)
    useful: set[tuple[str, str]] = set()
    rare: set[tuple[str, str]] = set()
    effects: dict[str, np.ndarray] = {}
    for f in range(USEFUL):
        codes = rng.choice(VALUES, size=rows, p=share)
        chosen = rng.choice(VALUES, size=round(SHARE * VALUES), replace=False)
        moves = np.zeros(VALUES)
        moves[chosen] = effect * rng.choice([-1.0, 1.0], size=len(chosen))
        effects[f"useful{f}"] = moves[codes]
        logit += effects[f"useful{f}"]
        columns[f"useful{f}"] = codes
        useful |= {(f"useful{f}", f"v{v}") for v in chosen}
        rare |= {(f"useful{f}", f"v{v}") for v in chosen if v >= VALUES // 2}
    for f in range(DECOYS):
        same = rng.random(rows) < 0.7
        columns[f"decoy{f}"] = np.where(same, columns[f"useful{f}"], rng.choice(VALUES, size=rows, p=share))
    for f in range(NOISE):
        columns[f"noise{f}"] = rng.choice(VALUES, size=rows, p=share)
    label = rng.random(rows) < 1 / (1 + np.exp(-logit))
    order = rng.permutation(len(columns))  # no selector gains by the order of the fields
    names = [list(columns)[i] for i in order]
    frame = pl.DataFrame({"click": label.astype(np.int8), **{n: [f"v{c}" for c in columns[n]] for n in names}})
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click")), seed=seed).without("test")
    trained = table.row[table.span("train")]
    return Planted(
        table=table,
        useful=frozenset(useful),
        rare=frozenset(rare),
        effects={name: of_rows[trained] for name, of_rows in effects.items()},
    )


def told_apart(truth: Planted, features: FeatureSet | None) -> float:
    """Return the share of the effects' variance that lies between the codes which are left."""
    if features is None:
        return 0.0
    left, total = truth.table.narrow(features).part("train"), 0.0
    between = 0.0
    for name, effect in truth.effects.items():
        total += effect.var()
        if name in left.columns:
            codes = np.asarray(left.columns[name])
            rows = np.bincount(codes)
            means = np.bincount(codes, effect) / np.maximum(rows, 1)
            between += float(rows @ (means - effect.mean()) ** 2) / len(codes)
    return between / total


def kept_values(table: Table, features: FeatureSet | None) -> set[tuple[str, str]]:
    """Return what is kept, as field and value."""
    found: set[tuple[str, str]] = set()
    if features is None:
        return found
    for name in features.fields:
        v = table.encoder.vocabularies[table.schema.field(name).vocabulary]
        kept = features.kept(table.schema.field(name).vocabulary)
        found |= {
            (name, t) for t, c in zip(v.values.to_list(), v.codes.tolist(), strict=True) if c >= RESERVED and kept[c]
        }
    return found


def specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every selector of the catalogue as it comes, and one by ranking for each ranking."""
    from ctrsel.models.gates import CATALOG as GATES

    for name in CATALOG.names():
        if name == "none":
            continue
        if name == "ranking":
            yield from ((f"ranking: {r}", {"use": name, "ranking": r}) for r in RANKINGS)
        elif name in ("random", "frequent"):
            yield from ((f"{name} {of}", {"use": name}) for of in ("values", "fields"))
        elif name in ("gated", "gated_fields"):
            site = "value" if name == "gated" else "field"
            yield from (
                (f"{name}: {g}", {"use": name, "gate": {"use": g}}) for g in GATES.names() if GATES.load(g).site == site
            )
            if site == "value":
                yield f"{name}: lpfs, alpha 0", {"use": name, "gate": {"use": "lpfs", "alpha": 0.0}}
                yield f"{name}: optfs as published", {"use": name, "gate": PUBLISHED}
        else:
            yield name, {"use": name}


def measure(name: str, spec: dict[str, Any], truth: Planted, *, seed: int) -> dict[str, float]:
    """Search, cut, and compare with the truth."""
    table = truth.table
    selector = CATALOG.create(spec)
    wanted = getattr(selector, "ranking", None)
    rankings = {wanted: rank_fields(table, by=wanted, seed=seed)} if isinstance(wanted, str) else {}
    problem = Problem(table=table, learner=NET, rankings=rankings)
    by_field = "fields" in selector.units and not name.endswith(" values")
    size = Size(number=USEFUL, of="fields") if by_field else Size(number=len(truth.useful))
    everything = Size(number=len(table.schema.names), of="fields") if by_field else Size(number=problem.n_values)
    cpu = time.process_time()
    found = selector.search(problem, sizes=(size, everything), seed=seed)
    facts = {"cpu": time.process_time() - cpu}
    wanting = found
    if isinstance(selector, Gated):  # the same search, of which closed values are no part
        wanting = replace(selector, fill=False).search(problem, sizes=(everything,), seed=seed)
    return counted(truth, cut(found, size), cut(wanting, everything), by_field=by_field) | facts


def cut(found: Found, size: Size) -> FeatureSet | None:
    """Return what is kept; None where nothing passes what the method asks for, as there are no wishes to contradict."""
    try:
        return found.at(size)
    except ConfigError:
        return None


def counted(truth: Planted, best: FeatureSet | None, own: FeatureSet | None, *, by_field: bool) -> dict[str, float]:
    """Compare what is kept at the true size, and of the method's own accord, with the truth."""
    facts: dict[str, float] = {}
    if by_field:
        useful = {f"useful{f}" for f in range(USEFUL)}
        kept = set() if best is None else set(best.fields)
        mine = set() if own is None else set(own.fields)
        facts["hit"] = len(useful & kept) / USEFUL
        facts["decoys"] = sum(f.startswith("decoy") for f in kept)
        facts["noise"] = sum(f.startswith("noise") for f in kept)
    else:
        useful = truth.useful
        kept, mine = kept_values(truth.table, best), kept_values(truth.table, own)
        facts["hit"] = len(useful & kept) / max(len(kept), 1)
        facts["effect"] = told_apart(truth, best)
        facts["rare"] = len(truth.rare & kept) / len(truth.rare)
    right = len(useful & mine)
    facts["own"] = len(mine)
    facts["own recall"] = right / len(useful)
    facts["own false"] = (len(mine) - right) / max(len(mine), 1)
    return facts


def cell(values: list[float]) -> str:
    """Return the mean over the seeds, and their standard deviation where there are several."""
    return f"{fmean(values):.2f}" + (f" +- {stdev(values):.2f}" if len(values) > 1 else "")


def main() -> None:
    """Run all selectors and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names with commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--effects", default="0.4,0.8")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    chosen = [(n, s) for n, s in specs() if arguments.only is None or n in arguments.only.split(",")]
    columns = ("at the true size", "effect", "rare", "decoys", "noise", "own", "own recall", "own false", "cpu")
    lines = []
    for effect in (float(e) for e in arguments.effects.split(",")):
        truths = [planted(rows=arguments.rows, effect=effect, seed=s) for s in range(1, arguments.seeds + 1)]
        lines += [f"Effect {effect} in log-odds, {arguments.rows:,} rows, {arguments.seeds} seeds:", ""]
        lines += [f"| selector | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
        print("\n".join(lines[-4:]), flush=True)
        for name, spec in chosen:
            try:
                found = [measure(name, spec, truth, seed=s) for s, truth in enumerate(truths, 1)]
                keys = ("hit", "effect", "rare", "decoys", "noise", "own", "own recall", "own false", "cpu")
                cells = [cell([f[k] for f in found]) if k in found[0] else "" for k in keys]
            except CtrselError as error:
                cells = [f"refused: {error}"]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        lines.append("")
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
