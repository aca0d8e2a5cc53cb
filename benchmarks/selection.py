"""Which selector makes the best small models, and is any of them better than its controls?

    python benchmarks/selection.py [--data FOLDER] [--only census] [--unit values] [--budget 3600] [--write docs/measured]

Tables: census (ships with the package); criteo and frappe are read from `--data` where they are, and left out with a word
where not. Every gate takes part, and every selector of the kind of size; one that refuses a table says why. The protocol is
that of `ctrsel select --compare` (docs/how-to/compare-selectors.md): codes, searches, sizes and the naming of a selector see
training and validation rows only, every set is retrained from scratch with paired seeds before several judges, and test is
read once, after the naming. Cells are kept in a file: a run that was stopped goes on, and equal sets are trained once. What
the budget does not allow is printed as "not run", and test stays closed until all has been run, unless `--open` is given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rank_quality import census, files, frappe, net, trees

from ctrsel.api.comparing import compare_selectors
from ctrsel.api.judges import judges_of
from ctrsel.api.min_counts import COUNTS
from ctrsel.api.protocol import SHARES, Protocol
from ctrsel.core.artifact import atomic_text
from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import CtrselError
from ctrsel.data.table import Table
from ctrsel.records.selection_comparison import SelectionComparison
from ctrsel.report.selection_comparison import comparison_chart, comparison_page
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table, its judges' settings, and the margin of non-inferiority in AUC."""

    table: Callable[[Path], Table]
    net: NetLearner
    trees: BoostedLearner
    margin: float


def criteo(data: Path) -> Table:
    """Ingest the sample of Criteo's log with every value; the comparison finds the minimum count."""
    schema = SchemaConfig(label=LabelConfig(name="label"), ignore=("part",))
    return files(data / "criteo_137k", schema=schema)


def gated(use: str, *gates: str) -> list[Mapping[str, Any]]:
    """Return one selector for each gate."""
    return [{"use": use, "gate": {"use": gate}} for gate in gates]


SELECTORS: Mapping[str, Sequence[str | Mapping[str, Any]]] = {
    "values": [
        *gated("gated", "optfs", "calibrated_optfs", "lpfs", "pep", "optembed"),
        {"use": "gated", "gate": {"use": "lpfs", "alpha": 0.0}},  # LPFS; by default it is LPFS++
        "net_merge",
        "merge",
        "value_test",
        "value_loss",
    ],
    "fields": [
        *gated("gated_fields", "autofield", "lpfs_fields", "adafs", "mvfs", "sequential_attention"),
        {"use": "gated_fields", "gate": {"use": "autofield"}, "searches": 3, "resplit": True},
        "shark",
        "sfs",
        "permutation",
        "lasso",
        "elimination",
        "drcfs",
        {"use": "stable", "selector": {"use": "lasso"}},
        "shadowed",
    ],
}

CASES = {
    "census": Case(table=census, net=net(learning_rate=2e-3, embedding_l2=1e-3), trees=trees(), margin=0.0005),
    "criteo": Case(table=criteo, net=net(learning_rate=1e-3, embedding_l2=1.0), trees=trees(), margin=0.002),
    "frappe": Case(
        table=frappe,
        net=net(learning_rate=3e-3, embedding_l2=1e-3),
        trees=trees(learning_rate=0.2, category_smoothing=10.0),
        margin=0.0005,
    ),
}


def study(name: str, case: Case, arguments: argparse.Namespace, until: float) -> SelectionComparison | None:
    """Compare on one table."""
    try:
        table = case.table(arguments.data)
        return compare_selectors(
            table,
            selectors=arguments.selector or SELECTORS[arguments.unit],
            protocol=Protocol(
                judges=judges_of({"net": case.net, "trees": case.trees}, names=arguments.judge or ()),
                learner=case.net,
                seeds=tuple(range(1, arguments.seeds + 1)),
                unit=arguments.unit,
                margin=case.margin,
                min_counts=tuple(arguments.min_counts),
                shares=tuple(arguments.shares),
                best=arguments.best,
                test="end" if arguments.open else "complete",
            ),
            folder=arguments.work / f"{name}_{arguments.unit}",
            budget=max(until - time.monotonic(), 1e-3),
            name=f"{name}, {arguments.unit}",
            cells=arguments.cells / f"{name}.jsonl",
            workers=arguments.workers,
        )
    except CtrselError as error:
        print(f"{name}: left out: {error}", flush=True)
        return None


def main() -> None:
    """Run what the budget allows and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="holds criteo_137k and frappe, three files each"
    )
    parser.add_argument("--only", action="append", choices=list(CASES))
    parser.add_argument("--unit", choices=("values", "fields"), default="values")
    parser.add_argument("--selector", action="append", help="instead of all of the catalogue; repeatable")
    parser.add_argument(
        "--judge", action="append", help="instead of DeepFM, DCN-V2 and LightGBM; the first one screens"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--min-counts", type=int, nargs="*", default=COUNTS, help="to choose from")
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES, help="the sizes")
    parser.add_argument("--best", type=int, default=4, help="how many selectors go on after the first stage")
    parser.add_argument("--workers", type=int, default=1, help="trainings and searches at once")
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds after which nothing new starts")
    parser.add_argument("--open", action="store_true", help="read test although not all has been run")
    parser.add_argument("--cells", type=Path, default=Path("docs/measured/selection"), help="folder of the cells")
    parser.add_argument("--work", type=Path, default=Path("runs/selection"), help="folder of searches and models")
    parser.add_argument("--write", type=Path, help="folder for the page and its drawings")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.budget
    name = "selection" if arguments.unit == "values" else "selection_fields"
    head = __doc__.split("\n\n")[2]
    page = [f"# Quality against the number of {arguments.unit}", "", head, ""]
    for case in arguments.only or CASES:
        found = study(case, CASES[case], arguments, until)
        if found is None:
            continue
        page += [comparison_page(replace(found, name=case), drawing=f"{name}_{case}.svg", heading="##"), ""]
        if arguments.write is not None:
            atomic_text(arguments.write / f"{name}_{case}.svg", comparison_chart(found) + "\n")
    text = "\n".join(page).rstrip() + "\n"
    print(text)
    if arguments.write is not None:
        atomic_text(arguments.write / f"{name}.md", text)


if __name__ == "__main__":
    main()
