"""Does half of the fields lose anything, seen by more seeds than a comparison can afford?

    python benchmarks/selection_seeds.py [--data FOLDER] [--only census] [--selector autofield] [--share 0.5] [--seeds 40]

A comparison by benchmarks/selection.py names a selector on validation with five seeds, in which the difference to the full
model scatters by about as much as the margin of non-inferiority. This takes one selector that was named there, one size, and
seeds that the comparison has not seen (`--first` on): for each a search, the full model and the retrained small one before
each judge, paired. How many seeds is said beforehand, and all are told. Cells are kept: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

from selection import CASES, Case

from ctrsel.api.comparison_run import plain
from ctrsel.api.judges import judges_of
from ctrsel.api.judging import Cells
from ctrsel.api.min_counts import counted
from ctrsel.api.searching import Search, Searches
from ctrsel.core.catalog import describe
from ctrsel.select import Problem, Size
from ctrsel.stats.paired import paired_mean

MIN_COUNTS = {"census": 2, "frappe": 4}  # what the comparison chose on validation


def study(name: str, case: Case, given: argparse.Namespace) -> list[str]:
    """Search and retrain with each seed; return the lines of a table."""
    whole = case.table(given.data)
    fewest = counted(whole.without("test"), MIN_COUNTS[name])
    whole = whole.narrow(fewest)
    known = whole.without("test")
    judges = judges_of({"net": case.net, "trees": case.trees}, names=given.judge or ("DeepFM", "LightGBM"))
    everything = plain(Problem(table=known, learner=case.net).everything())
    size = Size(number=int(len(known.schema.names) * given.share + 1e-9), of="fields")
    selector: dict[str, Any] = {"use": "gated_fields", "gate": {"use": given.selector}}
    if given.searches > 1:
        selector |= {"searches": given.searches, "resplit": True}
    cells = Cells.open(given.cells / f"{name}.jsonl")
    searches = Searches(folder=given.work / name)
    aucs: dict[tuple[str, str], list[float]] = {(j, which): [] for j in judges for which in ("full", "small")}
    for seed in range(given.first, given.first + given.seeds):
        search = Search(
            selector=selector,
            learner=describe(case.net),
            sizes=(size,),
            seed=seed,
        )
        found = searches.get(known, search)
        assert found is not None, "a search without a limit ends"
        for judge, learner in judges.items():
            for which, features in (("full", everything), ("small", plain(found.sets[size]))):
                auc = cells.judge(whole, features, learner, seed=seed).test_auc
                assert auc is not None, "the table has test rows"
                aucs[judge, which].append(auc)
            full, small = aucs[judge, "full"][-1], aucs[judge, "small"][-1]
            print(f"{name}, seed {seed}, {judge}: full {full:.5f}, small {small:.5f}: {small - full:+.5f}", flush=True)
    lines = []
    for judge in judges:
        mean = paired_mean(aucs[judge, "small"], aucs[judge, "full"])
        assert mean is not None
        assert mean.low is not None
        assert mean.high is not None
        verdict = "non-inferior" if mean.non_inferior(case.margin) else "not shown"
        lines.append(
            f"| {name} | {judge} | {size.number} of {len(known.schema.names)} | {mean.n} | {fmean(aucs[judge, 'full']):.4f} | "
            f"{mean.value:+.5f} [{mean.low:+.5f}, {mean.high:+.5f}] | {verdict} (margin {case.margin}) |"
        )
    return lines


def main() -> None:
    """Run the seeds of every table that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds frappe, three files")
    parser.add_argument("--only", action="append", choices=list(MIN_COUNTS))
    parser.add_argument("--selector", default="autofield", help="a gate over fields")
    parser.add_argument("--searches", type=int, default=1, help="with a say, each with validation rows of its own")
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--first", type=int, default=6, help="the first seed")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--judge", action="append", help="instead of DeepFM and LightGBM")
    parser.add_argument("--cells", type=Path, default=Path("runs/selection_seeds/cells"))
    parser.add_argument("--work", type=Path, default=Path("runs/selection_seeds/searches"))
    given = parser.parse_args()
    lines = [line for name in given.only or MIN_COUNTS for line in study(name, CASES[name], given)]
    print("\n| table | judge | fields | seeds | full model | small less full, test AUC | |\n" + "| --- " * 7 + "|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
