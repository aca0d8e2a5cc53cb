"""Rounds of elimination: train, drop the least important fields, train again, and remember how good every mask was.

References: Guyon et al., "Gene selection for cancer classification using support vector machines", 2002 (recursive feature
elimination); Shi et al., "ChaosMining: a benchmark to evaluate post-hoc local attribution methods in low SNR environments",
2024, section 4 (stop by held-out loss).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.log import event, progress
from ctrsel.select._field_importance import row_losses, units
from ctrsel.select._row_mean import row_mean
from ctrsel.select.whole_fields import whole_fields

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.select.problem import Problem
    from ctrsel.select.size import Size

__all__ = ["Eliminated", "eliminate", "rounds_of", "smallest"]

Importance = Callable[["Model", "Table", int], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eliminated:
    """What the rounds showed.

    Attributes:
        scores: By field; those dropped later, and the more important ones of a round, are higher.
        best: The smallest mask whose validation loss is not worse than the lowest by more than its standard error.
        history: A round each: fields, valid_log_loss, worse (than the lowest loss), standard_error (of that), best (0 or 1).
    """

    scores: Mapping[str, float]
    best: frozenset[str]
    history: tuple[Mapping[str, float], ...]


def smallest(sizes: Sequence[Size]) -> int | None:
    """Return the smallest number of fields that will be asked for; None where none is."""
    return min((s.number for s in sizes if s.of == "fields"), default=None)


def eliminate(
    problem: Problem,
    *,
    importance: Importance,
    share: float,
    least: int | None,
    patience: int | None,
    tolerance: float,
    seed: int,
) -> Eliminated:
    """Drop fields until none is left to drop, there are few enough, or the validation loss has become worse.

    Groups go as one, by their most important member; fields of `always_keep` stay. Every round is a training of its own
    with the same seed.

    Args:
        problem: Rows, learner and wishes.
        importance: Of the fields of a model, from the (narrowed) table's validation rows and a seed.
        share: Of the fields that are left, how many a round drops; one at least.
        least: Stop when no more fields are left; a loss that becomes worse stops nothing before. None for one field.
        patience: Stop after so many rounds in a row whose loss is worse than the lowest by more than `tolerance` standard
            errors; None goes on.
        tolerance: As above, and for which mask is the best one.
        seed: Of the trainings and importances.
    """
    table = problem.table
    left = list(units(problem))
    free = [u for u in left if not set(u) & set(problem.always_keep)]
    rounds: list[tuple[tuple[str, ...], np.ndarray]] = []
    gone: list[tuple[str, ...]] = []  # worst first
    value: dict[tuple[str, ...], float] = {}
    valid = table.part("valid")
    weak = 0
    with progress("eliminate", max(len(left) - (least or 1), 1), unit="fields") as bar:
        while left:
            fields = tuple(n for n in table.schema.names if any(n in u for u in left))
            features = whole_fields(table.encoder, fields)
            model = problem.learner.fit(table, features, work=problem.work, seed=seed).model
            narrowed = table.narrow(features)
            rounds.append((fields, row_losses(model, narrowed.part("valid"))))
            found = importance(model, narrowed, seed)
            value = {u: max(found[n] for n in u) for u in left}
            losses = [row_mean(x, valid)[0] for _, x in rounds]
            worse, error = row_mean(rounds[-1][1] - rounds[int(np.argmin(losses))][1], valid)
            weak = weak + 1 if worse > tolerance * error else 0
            event("eliminate", fields=len(fields), valid_log_loss=losses[-1], worse=worse, standard_error=error)
            enough = least is not None and len(fields) <= least
            tired = patience is not None and weak >= patience and (least is None or enough)
            if not free or len(left) <= 1 or enough or tired:
                break
            dropped = sorted(free, key=lambda u: (value[u], -left.index(u)))[: max(int(share * len(free)), 1)]
            if len(dropped) == len(left):
                dropped = dropped[:-1]
            gone += dropped
            left = [u for u in left if u not in dropped]
            free = [u for u in free if u not in dropped]
            bar.advance(len(dropped))
    order = [*gone, *sorted(left, key=lambda u: (value[u], -left.index(u)))]
    scores = {n: float(i) for i, u in enumerate(order) for n in u}
    best, history = _judged(rounds, valid, tolerance)
    return Eliminated(scores=scores, best=best, history=history)


def rounds_of(fields: int, *, share: float) -> float:
    """Return how many trainings on all fields the rounds from all fields to one take, each counted by its fields.

    Examples:
        >>> rounds_of(4, share=0.5)  # of 4, 2 and 1 fields
        1.75
    """
    left, total = fields, 0
    while left > 0:
        total += left
        left -= max(int(share * left), 1)
    return total / max(fields, 1)


def _judged(
    rounds: Sequence[tuple[tuple[str, ...], np.ndarray]], valid: Table, tolerance: float
) -> tuple[frozenset[str], tuple[Mapping[str, float], ...]]:
    """Return the best mask, and the story of all rounds against the lowest loss of all."""
    if not rounds:
        return frozenset(), ()
    losses = [row_mean(x, valid)[0] for _, x in rounds]
    lowest = rounds[int(np.argmin(losses))][1]
    told = [row_mean(x - lowest, valid) for _, x in rounds]
    good = [i for i, (worse, error) in enumerate(told) if worse <= tolerance * error]
    best = max(good)
    history = tuple(
        {
            "fields": float(len(fields)),
            "valid_log_loss": loss,
            "worse": worse,
            "standard_error": error,
            "best": float(i == best),
        }
        for i, ((fields, _), loss, (worse, error)) in enumerate(zip(rounds, losses, told, strict=True))
    )
    return frozenset(rounds[best][0]), history
