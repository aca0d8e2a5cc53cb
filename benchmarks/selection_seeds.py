"""Does a part of the fields or values lose anything, seen by more seeds than a comparison can afford?

    python benchmarks/selection_seeds.py [--data FOLDER] [--only census] [--gate autofield] [--shares 0.5] [--seeds 40]
    python benchmarks/selection_seeds.py --unit values [--selector net_merge] [--shares 0.2 0.35 0.5]

A comparison by benchmarks/selection.py names a selector on validation with five seeds, in which the difference to the full
model scatters by about as much as the margin of non-inferiority. This takes one selector that was named there, some sizes, and
seeds that the comparison has not seen (`--first` on): for each a search, the full model and the retrained small ones before
each judge, paired. How many seeds is said beforehand, and all are told. Cells are kept: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from selection import CASES, Case

from ctrsel.api.comparison_run import plain
from ctrsel.api.judges import judges_of
from ctrsel.api.judging import Cell, Cells
from ctrsel.api.min_counts import counted
from ctrsel.api.searching import Search, Searches
from ctrsel.core.catalog import describe
from ctrsel.select import Problem, Size
from ctrsel.stats.paired import paired_mean

MIN_COUNTS = {"census": 2, "frappe": 4}  # what the comparison chose on validation


def study(name: str, case: Case, given: argparse.Namespace) -> list[str]:
    """Search and retrain with each seed; return the lines of a table."""
    whole = case.table(given.data)
    whole = whole.narrow(counted(whole.without("test"), MIN_COUNTS[name]))
    known = whole.without("test")
    judges = judges_of({"net": case.net, "trees": case.trees}, names=given.judge or ("DeepFM", "LightGBM"))
    everything = plain(Problem(table=known, learner=case.net).everything())
    total = len(known.schema.names) if given.unit == "fields" else everything.n_values
    sizes = tuple(Size(number=int(total * share + 1e-9), of=given.unit) for share in given.shares)
    cells = Cells.open(given.cells / f"{name}.jsonl")
    searches = Searches(folder=given.work / name)
    full: dict[str, list[float]] = {j: [] for j in judges}
    small: dict[tuple[str, Size], list[float]] = {(j, s): [] for j in judges for s in sizes}
    for seed in range(given.first, given.first + given.seeds):
        search = Search(selector=selector(given), learner=describe(case.net), sizes=sizes, seed=seed)
        found = searches.get(known, search)
        assert found is not None, "a search without a limit ends"
        for judge, learner in judges.items():
            full[judge].append(test_auc(cells.judge(whole, everything, learner, seed=seed)))
            for size in sizes:
                auc = test_auc(cells.judge(whole, plain(found.sets[size]), learner, seed=seed))
                small[judge, size].append(auc)
                base = full[judge][-1]
                told = f"{name}, seed {seed}, {judge}: full {base:.5f}, {size.number} {size.of} {auc:.5f}: {auc - base:+.5f}"
                print(told, flush=True)
    lines = []
    for (judge, size), aucs in small.items():
        mean = paired_mean(aucs, full[judge])
        assert mean is not None
        assert mean.low is not None
        assert mean.high is not None
        verdict = "non-inferior" if mean.non_inferior(case.margin) else "not shown"
        lines.append(
            f"| {name} | {judge} | {size.number} of {total} | {mean.n} | {fmean(full[judge]):.4f} | "
            f"{mean.value:+.5f} [{mean.low:+.5f}, {mean.high:+.5f}] | {verdict} (margin {case.margin}) |"
        )
    return lines


def selector(given: argparse.Namespace) -> Mapping[str, Any]:
    """Return `{use: ..., parameters}` of the selector that is asked about."""
    if given.unit == "values" or given.selector is not None:
        return {"use": given.selector or "net_merge"}
    of_gates: dict[str, Any] = {"use": "gated_fields", "gate": {"use": given.gate}}
    return of_gates | ({"searches": given.searches, "resplit": True} if given.searches > 1 else {})


def test_auc(cell: Cell) -> float:
    """Return what a cell read on the test rows."""
    assert cell.test_auc is not None, "the table has test rows"
    return cell.test_auc


def main() -> None:
    """Run the seeds of every table that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds frappe, three files")
    parser.add_argument("--only", action="append", choices=list(MIN_COUNTS))
    parser.add_argument("--unit", choices=("fields", "values"), default="fields")
    parser.add_argument("--selector", help="instead of gated_fields, or of net_merge for values")
    parser.add_argument("--gate", default="autofield", help="of gated_fields")
    parser.add_argument(
        "--searches", type=int, default=1, help="gated_fields with a say, each with validation rows of its own"
    )
    parser.add_argument("--shares", type=float, nargs="+", default=(0.5,), help="the sizes")
    parser.add_argument("--first", type=int, default=6, help="the first seed")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--judge", action="append", help="instead of DeepFM and LightGBM")
    parser.add_argument("--cells", type=Path, default=Path("runs/selection_seeds/cells"))
    parser.add_argument("--work", type=Path, default=Path("runs/selection_seeds/searches"))
    given = parser.parse_args()
    lines = [line for name in given.only or MIN_COUNTS for line in study(name, CASES[name], given)]
    print("\n| table | judge | kept | seeds | full model | small less full, test AUC | |\n" + "| --- " * 7 + "|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
