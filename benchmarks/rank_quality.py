"""Which ranking of fields makes the best small models? Judges are retrained on the best k fields of every ranking.

    python benchmarks/rank_quality.py [--data FOLDER] [--only census] [--budget 3600] [--write docs/measured]

Tables: census (ships with the package); criteo and frappe are read from `--data` where they are, and left out with a word
where not. First all rankers of the catalogue that rank fields, with LightGBM, one seed and five sizes; then the default
ranker, plain information, OutRank's score, random orders and the two rankings that were best on validation, with five seeds,
LightGBM (on eight tenths of the rows, drawn by the seed) and a net. A field that a ranker refuses stands last. Rankings and
early stopping see training and validation rows; test is read once a cell. Cells (judge, seed, set of fields) are kept in a
file: a run that was stopped goes on, and equal sets are trained once. What the budget does not allow is printed as "not
run".
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev

from ctrsel.api.judging import Cell, Cells
from ctrsel.core.catalog import describe
from ctrsel.core.config import DataConfig, FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import CtrselError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.rank import CATALOG, rank
from ctrsel.records.ranking import Ranking
from ctrsel.select.whole_fields import whole_fields
from ctrsel.stats.size_curve import area_under_size_curve
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

DEFAULT, PLAIN, RANDOM = "mutual_information", "plain information", "random"
FIXED = (DEFAULT, PLAIN, "outrank", RANDOM)
ORDERS = 3  # random orders that the first stage averages over
SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table, the sizes of its curve, and its judges."""

    table: Callable[[Path], Table]
    sizes: tuple[int, ...]
    trees: BoostedLearner
    net: NetLearner


def files(folder: Path, **given: object) -> Table:
    """Ingest the three files of a folder; whole numbers named as such are categories."""
    split = {name: str(folder / f"{name}.parquet") for name in ("train", "valid", "test")}
    return ingest(DataConfig(**split), split=SplitConfig(use="files"), seed=1, **given)


def census(_: Path) -> Table:
    """Ingest the shipped data with the split of the demo."""
    schema = SchemaConfig(label=LabelConfig(name="label"), ignore=("instance_weight",))
    return ingest(DataConfig(dataset="census_income"), schema=schema, split=SplitConfig(use="hash", valid=0.1), seed=1)


def criteo(data: Path) -> Table:
    """Ingest the sample of Criteo's log; values of fewer than four training rows are taken together."""
    schema = SchemaConfig(label=LabelConfig(name="label"), ignore=("part",))
    return files(data / "criteo_137k", schema=schema, settings=IngestConfig(min_count=4))


def frappe(data: Path) -> Table:
    """Ingest Frappe: official validation and test rows, negatives of the training rows drawn again."""
    ids = {name: FieldConfig(kind="categorical") for name in ("user_id", "item_id")}
    return files(data / "frappe", schema=SchemaConfig(label=LabelConfig(name="label"), fields=ids))


def trees(**given: float) -> BoostedLearner:
    """Return the LightGBM judge."""
    return BoostedLearner(rounds=300, patience=20, leaves=31, threads=1, **given)


def net(**given: float) -> NetLearner:
    """Return the net judge: DeepFM, small."""
    return NetLearner(
        backbone=DeepFM(hidden=(64, 32), dropout=0.2), width=8, batch_size=2048, max_epochs=15, threads=1, **given
    )


CASES = {
    "census": Case(
        table=census, sizes=(3, 6, 12, 20, 30), trees=trees(), net=net(learning_rate=2e-3, embedding_l2=1e-3)
    ),
    "criteo": Case(
        table=criteo, sizes=(3, 6, 12, 20, 30), trees=trees(), net=net(learning_rate=1e-3, embedding_l2=1e-2)
    ),
    "frappe": Case(
        table=frappe,
        sizes=(1, 2, 3, 5, 8),
        trees=trees(learning_rate=0.2, category_smoothing=10.0),
        net=net(learning_rate=3e-3, embedding_l2=1e-3),
    ),
}


def orders(table: Table, work: Path, trees: Learner, until: float) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield every ranking's order of all fields, with the seconds it took; a saved ranking is not made again.

    A ranker that trains once does so with the judge's parameters; those that train often have smaller trees of their own.
    """
    known = table.without("test")
    for name in sorted(CATALOG.names(), key=lambda n: n != DEFAULT):
        ranker = CATALOG.load(name)()
        if "learner" in {f.name for f in fields(ranker)} and not getattr(ranker, "fits", 0):
            ranker = replace(ranker, learner=trees)
        place = work / f"{table.digest}_{name}"
        seconds = place.with_suffix(".seconds")
        if (place / "manifest.json").is_file() and Ranking.load(place).params == describe(ranker):
            ranking = Ranking.load(place)
        elif time.monotonic() > until:
            print(f"{name}: not run", flush=True)
            continue
        else:
            began = time.perf_counter()
            try:
                (ranking,) = rank(known, (ranker,), seed=1, threads=1)
            except CtrselError as error:
                print(f"{name}: {error}", flush=True)
                continue
            seconds.parent.mkdir(parents=True, exist_ok=True)
            seconds.write_text(f"{time.perf_counter() - began:.1f}")
            ranking.save(place)
        if ranking.item != "field":
            continue
        took = float(seconds.read_text())
        yield name, whole(ranking.order, table), took
        if name == DEFAULT:
            plain = ranking.frame.sort("mi", "field", descending=[True, False])["field"].to_list()
            yield PLAIN, whole(plain, table), took


def whole(order: Sequence[str], table: Table) -> tuple[str, ...]:
    """Return an order with the fields that it lacks at its end."""
    return (*order, *(name for name in table.schema.names if name not in order))


def shuffled(table: Table, seed: int) -> tuple[str, ...]:
    """Return a random order of the fields."""
    return tuple(generator(seed, "benchmarks", "rank_quality").permutation(table.schema.names).tolist())


class Judging:
    """Cells within a budget of seconds."""

    def __init__(self, table: Table, case: Case, cells: Cells, until: float) -> None:
        self.table, self.case, self.cells, self.until = table, case, cells, until

    def cell(self, fields: Sequence[str], judge: Learner, *, seed: int) -> Cell | None:
        """Return the cell of some fields, None where it is not known and the budget is spent."""
        features = whole_fields(self.table.encoder, fields)
        if time.monotonic() < self.until:
            return self.cells.judge(self.table, features, judge, seed=seed)
        return self.cells.find(self.table, features, judge, seed=seed)

    def curve(self, order: Sequence[str], judge: Learner, *, seed: int) -> list[Cell | None]:
        """Return a cell for each size of the curve."""
        return [self.cell(order[:k], judge, seed=seed) for k in self.case.sizes]

    def area(self, curves: Sequence[Sequence[Cell | None]], split: str) -> list[float]:
        """Return the area under each whole curve."""
        return [
            area_under_size_curve(self.case.sizes, [getattr(c, f"{split}_auc") for c in curve if c is not None])
            for curve in curves
            if all(c is not None for c in curve)
        ]


def told(curves: Sequence[Sequence[Cell | None]], place: int) -> str:
    """Return the mean (and deviation) of test AUC at one size."""
    found = [c[place].test_auc for c in curves if c[place] is not None]
    if not found:
        return "not run"
    return f"{fmean(found):.4f}" + (f" +- {stdev(found):.4f}" if len(found) > 1 else "")


def spread(values: Sequence[float]) -> str:
    """Return mean and deviation of some areas."""
    if not values:
        return "not run"
    return f"{fmean(values):.4f}" + (f" +- {stdev(values):.4f}" if len(values) > 1 else "")


def lines(
    judging: Judging, results: Mapping[str, Sequence[Sequence[Cell | None]]], took: Mapping[str, float]
) -> list[str]:
    """Return a Markdown table, best area on test first."""
    sizes = judging.case.sizes
    made = [f"| ranking | area, valid | area, test | {' | '.join(f'k = {k}' for k in sizes)} | seconds to rank |"]
    made.append("| --- |" + " --- |" * (len(sizes) + 3))
    area = {name: judging.area(curves, "test") for name, curves in results.items()}
    for name in sorted(results, key=lambda n: (not area[n], -fmean(area[n] or [0.0]))):
        curves = results[name]
        cells = [
            spread(judging.area(curves, "valid")),
            spread(area[name]),
            *(told(curves, i) for i in range(len(sizes))),
        ]
        made.append(f"| {name} | {' | '.join(cells)} | {f'{took[name]:.1f}' if name in took else '-'} |")
    return made


def study(
    name: str, case: Case, arguments: argparse.Namespace, until: float
) -> tuple[list[str], dict[str, object]] | None:
    """Run both stages on one table; return the text, and the curves for the plot."""
    try:
        table = case.table(arguments.data)
    except CtrselError as error:
        print(f"{name}: left out: {error}", flush=True)
        return None
    cells = Cells.open(arguments.cells / f"{name}.jsonl")
    judging = Judging(table, case, cells, until)
    found = list(orders(table, arguments.rankings, case.trees, until))
    took = {ranker: seconds for ranker, _, seconds in found}
    all_orders = {ranker: order for ranker, order, _ in found}
    first = {ranker: [judging.curve(order, case.trees, seed=1)] for ranker, order in all_orders.items()}
    first[RANDOM] = [judging.curve(shuffled(table, s), case.trees, seed=1) for s in range(1, ORDERS + 1)]
    start, stop = table.splits["test"]
    text = [
        f"## {name}",
        "",
        f"{table.n_rows:,} rows ({stop - start:,} of them test), {len(table.schema.names)} fields.",
        "",
    ]
    text += ["### All rankings: LightGBM, one seed", "", *lines(judging, first, took), ""]
    valid = {r: area[0] for r, curves in first.items() if r != RANDOM and (area := judging.area(curves, "valid"))}
    best = [r for r in sorted(valid, key=lambda r: -valid[r]) if r not in FIXED][:2]
    plot: dict[str, object] = {}
    # Each seed draws its rows anew: LightGBM on all rows and columns is the same whatever its seed.
    for judge, learner in (("LightGBM", replace(case.trees, row_share=0.8)), ("net", case.net)):
        second: dict[str, list[list[Cell | None]]] = {}
        chosen = [r for r in (*FIXED, *best) if r in all_orders or r == RANDOM]
        for seed in SEEDS:  # seed by seed, so that a spent budget leaves all rankings with as many seeds
            for ranker in chosen:
                order = shuffled(table, seed) if ranker == RANDOM else all_orders[ranker]
                second.setdefault(ranker, []).append(judging.curve(order, learner, seed=seed))
        text += [f"### {judge}, up to {len(SEEDS)} seeds (mean and deviation)", ""]
        if any(c is not None for curves in second.values() for curve in curves for c in curve):
            text += [*lines(judging, second, took), ""]
        everything = judging.cell(table.schema.names, learner, seed=1)
        text += [
            f"No selection, seed 1: test AUC {everything.test_auc:.4f}." if everything else "No selection: not run.",
            "",
        ]
        # Until the seeds have been run, LightGBM is drawn as the first stage has it.
        drawn = {
            r: curves if judge == "net" or judging.area(curves, "test") else first[r] for r, curves in second.items()
        }
        plot[judge] = {
            r: [[c.test_auc if c is not None else None for c in curve] for curve in curves]
            for r, curves in drawn.items()
        }
    return text, {"sizes": case.sizes, "curves": plot}


def draw(plots: Mapping[str, dict[str, object]], path: Path) -> None:
    """Draw test AUC against the number of fields, a panel for each table and judge."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ctrsel"
    import matplotlib.pyplot as plt

    panels = {
        (judge, name): (
            plot["sizes"],
            {r: full for r, runs in curves.items() if (full := [c for c in runs if None not in c])},
        )
        for name, plot in plots.items()
        for judge, curves in plot["curves"].items()
    }
    panels = {place: panel for place, panel in panels.items() if panel[1]}
    judges = list(dict.fromkeys(judge for judge, _ in panels))
    colours = {r: f"C{i}" for i, r in enumerate(dict.fromkeys(r for _, curves in panels.values() for r in curves))}
    figure, axes = plt.subplots(len(judges), len(plots), figsize=(4.2 * len(plots), 3.5 * len(judges)), squeeze=False)
    for (judge, name), (sizes, curves) in panels.items():
        axis = axes[judges.index(judge)][list(plots).index(name)]
        for ranker, full in curves.items():
            mean = [fmean(values) for values in zip(*full, strict=True)]
            axis.plot(sizes, mean, marker="o", markersize=3, label=ranker, linewidth=1.2, color=colours[ranker])
        axis.set(title=f"{name}, {judge}", xlabel="fields kept", ylabel="test AUC")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run what the budget allows and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="holds criteo_137k and frappe, three files each"
    )
    parser.add_argument("--only", action="append", choices=list(CASES))
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds after which no new cell starts")
    parser.add_argument("--cells", type=Path, default=Path("docs/measured/rank_quality"), help="folder of the cells")
    parser.add_argument("--rankings", type=Path, default=Path("runs/rank_quality"), help="folder of finished rankings")
    parser.add_argument("--write", type=Path, help="folder for rank_quality.md and rank_quality.svg")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.budget
    text, plots = [], {}
    for name in arguments.only or CASES:
        done = study(name, CASES[name], arguments, until)
        if done is not None:
            text += done[0]
            plots[name] = done[1]
    head = __doc__.split("\n\n")[2]
    page = "\n".join(
        ["# Quality against the number of fields", "", head, "", "![Test AUC](rank_quality.svg)", "", *text]
    )
    print(page)
    if arguments.write is not None:
        (arguments.write / "rank_quality.md").write_text(page.rstrip() + "\n", encoding="utf-8")
        draw(plots, arguments.write / "rank_quality.svg")
        judges = {name: [describe(case.trees), describe(case.net)] for name, case in CASES.items()}
        (arguments.write / "rank_quality_judges.json").write_text(json.dumps(judges, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
