"""Automatic size: the smallest set whose validation loss is within one standard error of the best over a grid of sizes.

One search serves the whole grid. At each size the learner is retrained on the narrowed table and scores the validation
rows; the log-loss of every row is paired with the same row's at the best size, so the standard error is that of the
difference. With one seed it knows the rows' luck only; with several it adds that of the trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctrsel.api.evaluate import row_weight
from ctrsel.api.saved import load_selection, save_selection
from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.size_choice import SizeChoice, TriedSize
from ctrsel.select import Problem, Selection, Selector, Size, retrain
from ctrsel.select.size import Unit
from ctrsel.stats.one_standard_error import one_standard_error

__all__ = ["SHARES", "AutoSelection", "auto_select", "grid"]

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSelection:
    """A selection at the size that was found, and how."""

    selection: Selection
    choice: SizeChoice

    def save(self, path: Path) -> None:
        """Save as a folder with the selection and the choice."""
        with atomic_folder(path, manifest={"format": "ctrsel.auto_selection", "version": 1}) as folder:
            save_selection(self.selection, folder / "selection")
            self.choice.save(folder / "choice")

    @staticmethod
    def load(path: Path) -> AutoSelection:
        """Load what `save` wrote."""
        read_manifest(path, format="ctrsel.auto_selection", version=1)
        return AutoSelection(
            selection=load_selection(Path(path) / "selection"), choice=SizeChoice.load(Path(path) / "choice")
        )


def grid(problem: Problem, unit: Unit, shares: Sequence[float] = SHARES) -> tuple[Size, ...]:
    """Return sizes of these shares of the values or fields, smallest first, each once."""
    total = problem.n_values if unit == "values" else len(problem.table.schema.names)
    return tuple(Size(number=n, of=unit) for n in sorted({max(1, int(s * total + 1e-9)) for s in shares}))


def auto_select(
    problem: Problem,
    selector: Selector,
    *,
    unit: Unit | None = None,
    sizes: Sequence[Size] | None = None,
    seeds: Sequence[int] | None = None,
    seed: int,
) -> AutoSelection:
    """Search once, retrain at every size, and take the smallest that is within one standard error of the best.

    Args:
        problem: Rows, learner and wishes.
        selector: What chooses.
        unit: What sizes are counted in; None for values where the selector can be cut in them, else fields.
        sizes: The grid; None for `SHARES` of the values or fields.
        seeds: Of the retrainings, paired over sizes; None for the search's only.
        seed: Of the search.

    Raises:
        ConfigError: If the selector cannot be cut in this unit, or no size of the grid leaves anything.
    """
    found_unit: Unit = unit or ("values" if "values" in selector.units else "fields")
    wanted = tuple(sizes) if sizes is not None else grid(problem, found_unit)
    selector.check(wanted[0])
    found = selector.search(problem, sizes=wanted, seed=seed)
    sets, refused = _cut(found.at, wanted)
    if not sets:
        raise refused or ConfigError("size: auto: a grid needs at least one size")
    used = tuple(seeds) if seeds is not None else (seed,)
    valid = problem.table.part("valid")
    losses = np.stack(
        [
            np.stack([_losses(problem, Selection(features=f, snapshot=found.snapshot), seed=s) for s in used])
            for f in sets.values()
        ]
    )
    ruled = one_standard_error(losses, weight=row_weight(valid), groups=valid.group)
    tried = tuple(
        TriedSize(number=size.number, fields=f.n_fields, values=f.n_values, loss=loss, above=above, error=error)
        for (size, f), loss, above, error in zip(sets.items(), ruled.loss, ruled.above, ruled.error, strict=True)
    )
    choice = SizeChoice(
        unit=found_unit,
        tried=tried,
        best=tried[ruled.best].number,
        chosen=tried[ruled.chosen].number,
        seeds=used,
    )
    event("auto", chosen=choice.chosen, best=choice.best, of=found_unit, tried=len(tried))
    features = list(sets.values())[ruled.chosen]
    return AutoSelection(
        selection=Selection(
            features=features, snapshot=found.snapshot, history=found.told(features), seconds=found.seconds
        ),
        choice=choice,
    )


def _cut(at: object, sizes: Sequence[Size]) -> tuple[dict[Size, FeatureSet], ConfigError | None]:
    """Cut every size; a set that a smaller size gives too stands once, and a size that leaves nothing is passed over."""
    assert callable(at)
    sets: dict[Size, FeatureSet] = {}
    seen: set[str] = set()
    refused = None
    for size in sizes:
        try:
            features = at(size)
        except ConfigError as error:
            refused = error
            continue
        if features.digest not in seen:
            seen.add(features.digest)
            sets[size] = features
    # A set may grow more slowly than its size: what counts as smaller is what is kept.
    order = sorted(sets, key=lambda s: (sets[s].n_fields if s.of == "fields" else sets[s].n_values, s.number))
    return {s: sets[s] for s in order}, refused


def _losses(problem: Problem, selection: Selection, *, seed: int) -> np.ndarray:
    """Return the log-loss of each validation row after a retraining, nats, float64 `[N]`."""
    fit = retrain(replace(problem, work=None), selection, snapshot=selection.snapshot, seed=seed).fit
    part = problem.table.narrow(selection.features).part("valid")
    logits = (fit.model.logits(part) if fit.unseen is None else fit.unseen).astype(np.float64)[:, 0]
    if not len(logits):
        raise DataError("size: auto needs validation rows")
    return np.logaddexp(0.0, np.where(part.label() > 0, -logits, logits))
