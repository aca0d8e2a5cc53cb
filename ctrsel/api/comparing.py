"""Comparing selectors: one protocol for all, with controls at every size, and test opened after somebody was named.

Reference: Jia et al., "ERASE: benchmarking feature selection methods for deep recommender systems", 2024, for search,
retraining from scratch, several judges and the area under quality against size. Repaired: codes from training rows only
(there: all rows), selectors never see what test holds, sizes and the selector to be reported are decided on validation before
test is opened, every training is seeded and paired, and controls stand at every size.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrsel.api.compared import FULL, Figures
from ctrsel.api.comparison_run import ComparisonRun, plain
from ctrsel.api.contestants import Contest, controls
from ctrsel.api.functions import as_table
from ctrsel.api.helping import helped
from ctrsel.api.judging import Cells
from ctrsel.api.min_counts import MinCount, covered
from ctrsel.api.protocol import Protocol
from ctrsel.api.pruning import prune
from ctrsel.api.repeated_choices import stability_over_seeds
from ctrsel.api.searching import Searched, Searches
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.catalog import describe
from ctrsel.core.claims import claimed
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.table import Table
from ctrsel.records.selection_comparison import Contestant, KeptSet, Naming, SelectionComparison
from ctrsel.select import Selector, exclude

__all__ = ["compare_selectors"]

_NAMING = "naming.json"  # who was named, command by command


def compare_selectors(
    data: Any,
    *,
    selectors: Sequence[str | Selector | Mapping[str, Any]],
    protocol: Protocol,
    folder: Path,
    budget: float | None = None,
    name: str = "table",
    cells: Path | None = None,
    workers: int = 1,
) -> SelectionComparison:
    """Compare selectors with each other and with the controls; what was done before in the folder is not done again.

    First stage: all selectors with the first judge, the first seed and a few sizes. Second: the best of them on
    validation, and the controls, with all judges, seeds and sizes, seed by seed, so that a budget that ends leaves all
    with as many seeds. Then a selector is named by validation, and that is written down; only then the test rows are
    read, once for each model of the second stage.

    Args:
        data: A Table, or anything that `ingest` takes.
        selectors: Selectors, their names, or `{"use": name, ...}`; a name whose selector refuses the table or the sizes
            is told of and takes no further part.
        protocol: What is compared how.
        folder: Where everything is kept: searches, models until their test is read, the naming, the outcome.
        budget: Seconds; no training begins that would not fit, a search apart ends with it. None = no limit.
        name: Of the table, for people.
        cells: The file of cells; None for one in the folder.
        workers: How many processes train and search at once.

    Raises:
        ConfigError: If a name is not known, nothing could be run, there is no worker, or another comparison is at work in
            the folder; if every selector refuses the table or the sizes.
        DataError: If what earlier commands left in the folder is damaged.
    """
    if workers < 1:
        raise ConfigError(f"compare: workers must be at least 1, got {workers}")
    until = None if budget is None else time.monotonic() + budget
    contest = Contest.of(selectors, controls=controls(protocol.ranking))
    whole = as_table(data)
    known = exclude(whole.without("test") if "test" in whole.splits else whole, protocol.never_use)
    with _alone_in(folder):
        run = ComparisonRun(
            protocol=protocol,
            contest=contest,
            known=known,
            cells=Cells.open(cells or folder / "cells.jsonl", models=folder / "models"),
            searches=Searches(folder=folder / "searches", apart=protocol.apart),
            claims=folder / "claims",
            until=until,
        )
        _namings(folder / _NAMING)  # what cannot be read is told of before the work, not after it
        run.searches.tidy()
        fewest = run.min_count()
        run.known = known.narrow(fewest.features) if fewest.chosen > 1 else known
        with helped(run, helpers=workers - 1, folder=folder / "helpers"):
            finalists = run.stages()
        return _decided(run, whole, finalists, fewest=fewest, folder=folder, name=name)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a comparison's folder: its models, claims and naming are those of one command at a time."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(claimed(folder / ".comparing"))
        except OSError as error:
            raise ConfigError(f"compare: the folder {folder} cannot be written: {error.strerror}") from error
        if not mine:
            raise ConfigError(
                f"compare: another comparison is at work in {folder}; wait for it, or name another folder"
            )
        yield


def _decided(
    run: ComparisonRun, whole: Table, finalists: tuple[str, ...], *, fewest: MinCount, folder: Path, name: str
) -> SelectionComparison:
    """Name a selector, read test where it is time, and keep the record."""
    protocol = run.protocol
    prune(run, finalists)
    figures = run.figures(finalists)
    naming = figures.naming(finalists, screened=run.screened)
    complete = all(c.run for c in figures.cells.values())
    due = protocol.test == "end" or (protocol.test == "complete" and complete)
    opened = "test" in whole.splits and due and naming.selector is not None
    notes = _remember(folder / _NAMING, naming, opened=opened, of={"table": run.known.digest, "unit": protocol.unit})
    if opened:
        usable = exclude(whole, protocol.never_use)
        run.read_test(usable.narrow(fewest.features) if fewest.chosen > 1 else usable, finalists, folder=folder)
        figures = run.figures(finalists)
        if complete:  # what waits there now was left behind in the first stage
            for done in ("models", "claims", "helpers"):
                shutil.rmtree(folder / done, ignore_errors=True)
    elif "test" in whole.splits:
        notes = (
            *notes,
            "the test rows have not been read: figures are those of validation, which flatter who was named by them",
        )
    else:
        notes = ("the table has no test rows: figures are those of validation, which flatter who was named by them",)
    found = _told(run, name, figures, finalists, naming, fewest=fewest, notes=notes, test=opened)
    found.save(folder / "comparison")
    return found


def _remember(path: Path, naming: Naming, *, opened: bool, of: dict[str, str]) -> tuple[str, ...]:
    """Write down who is named before test is read; return what is to be said of namings after which it was read.

    Namings `of` another table, or other units, are kept and not told: an earlier command may have used the folder for them.
    """
    before = _namings(path)
    now = {"selector": naming.selector, "cells": naming.cells, "basis": naming.basis, "opened": opened, **of}
    if not before or before[-1] != now:
        atomic_text(path, to_json([*before, now]))
    told = (
        f"an earlier command named {b['selector'] or 'nobody'} with {b['cells']} trainings run, and read the test rows then"
        for b in before
        if b.get("opened", True) and b["cells"] and b != now and all(b.get(k, v) == v for k, v in of.items())
    )
    return tuple(dict.fromkeys(told))


def _namings(path: Path) -> list[dict[str, Any]]:
    """Return who was named by the commands before this one."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(b, dict) and {"selector", "cells"} <= b.keys() for b in found):
        return found
    raise DataError(f"{path}: must hold who was named so far, a JSON list of objects; mend it, or name another folder")


def _told(
    run: ComparisonRun,
    name: str,
    figures: Figures,
    finalists: tuple[str, ...],
    naming: Naming,
    *,
    fewest: MinCount,
    notes: tuple[str, ...],
    test: bool,
) -> SelectionComparison:
    """Return the record."""
    p, sizes = run.protocol, run.sizes()
    second = (*run.contest.controls, *finalists)
    splits = ("valid", "test") if test else ("valid",)
    missing = sum(not c.run for c in figures.cells.values())
    if missing:
        notes = (
            *notes,
            f"{missing} of {len(figures.cells)} trainings were not run; the same command goes on with them",
        )
    sets = [s for n in (*second, *run.contest.selectors) for s in _sets(run, n, n in second)]
    return SelectionComparison(
        name=name,
        table=run.known.digest,
        unit=p.unit,
        total=run.total,
        min_count=fewest.chosen,
        min_counts={str(k): v for k, v in fewest.losses.items()},
        shares=tuple(sizes),
        numbers=tuple(s.number for s in sizes.values()),
        judges={n: describe(j) for n, j in p.judges.items()},
        seeds=p.seeds,
        margin=p.margin,
        contestants=tuple(_contestant(run, n, finalists) for n in (FULL, *run.contest.names)),
        sets=tuple(dict.fromkeys(sets)),
        cells=tuple(figures.cells.values()),
        curves=tuple(figures.curves((FULL, *second), splits)),
        pairs=tuple(figures.pairs(second, (FULL, *run.contest.controls), splits)),
        naming=naming,
        notes=notes,
    )


def _contestant(run: ComparisonRun, name: str, finalists: Sequence[str]) -> Contestant:
    if name == FULL:
        return Contestant(name=name, spec={"use": "none"}, role="full", final=True)
    searched = {} if name in run.contest.refused else {s: run.search(name, s, begin=False) for s in run.protocol.seeds}
    found = {s: f for s, f in searched.items() if f is not None}
    refused = run.contest.refused.get(name) or next((f.refused for f in found.values() if f.refused), None)
    if refused is None and found and not any(f.sets for f in found.values()):
        refused = next(why for f in found.values() for why in f.refusals.values())
    return Contestant(
        name=name,
        spec=run.contest.specs.get(name, {"use": name}),
        role="control" if name in run.contest.controls else "selector",
        final=name in finalists or name in run.contest.controls,
        refused=refused,
        screened=run.screened.get(name),
        seconds={str(s): f.seconds for s, f in found.items() if not f.refused},
        peak={str(s): f.peak for s, f in found.items() if not f.refused},
        stability=_stability(run, list(found.values())),
    )


def _stability(run: ComparisonRun, found: Sequence[Searched]) -> dict[str, float]:
    """Return by size how much the choices of one contestant agree over seeds."""
    told = {}
    for share, size in run.sizes().items():
        sets = [f.sets[size] for f in found if size in f.sets]
        value = stability_over_seeds(sets, unit=run.protocol.unit, fields=run.known.schema.names)
        if value is not None:
            told[str(share)] = value
    return told


def _sets(run: ComparisonRun, name: str, final: bool) -> list[KeptSet]:
    made = []
    for seed in run.protocol.seeds if final else run.protocol.seeds[:1]:
        found = None if name in run.contest.refused else run.search(name, seed, begin=False)
        if found is None:
            continue
        for share, size in run.sizes().items():
            features = found.sets.get(size)
            if features is None:
                why = found.refused or found.refusals.get(size, "")
                made.append(KeptSet(contestant=name, share=share, seed=seed, refused=why))
                continue
            made.append(
                KeptSet(
                    contestant=name,
                    share=share,
                    seed=seed,
                    digest=plain(features).digest,
                    fields=features.n_fields,
                    values=features.n_values,
                    covered=covered(run.known.encoder, features),
                )
            )
    return made
