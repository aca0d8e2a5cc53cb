"""ValueLoss: values by the nats that a net saves with their rows, against the row of "other", on training rows held out.

References: Breiman, "Random forests", 2001 (what a model loses without a field); Morris, "Parametric empirical Bayes inference:
theory and applications", 1983 (a value's saving from few rows is drawn to those of its field).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.core.seeds import derive
from ctrsel.data.encoder import Encoder
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select._contract import Found, Selector
from ctrsel.select._drop_rounds import drop_in_rounds
from ctrsel.select._shrink import shrunken_means
from ctrsel.select._ward import ward_path
from ctrsel.select._whiten import full_weights, whitened
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredValues
from ctrsel.select.size import Size
from ctrsel.stats.folds import folds_of

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.explain.row_moves import Moves
    from ctrsel.models.model import Model

__all__ = ["ValueLoss"]

_STARTS = 12  # groups of alike rows that are tried as what is dropped first


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLoss(Selector):
    """Train the net on part of the training rows, with a trained row of "other", and ask the other part what each value saves.

    A pass over the rows held out per field puts one row in the place of every value of the field. What a value saves on few
    rows says little: its mean is drawn to a line in the logarithm of its training count, by as much as the field's values
    differ beyond chance. In rounds the cheapest values are dropped, "other" becomes their mean row, and the rest is asked
    again. Validation rows stop the training; they are not asked, so that they can judge what was chosen.

    Attributes:
        folds: Of the training rows, each class in proportion (or whole groups): one is held out at a time.
        trainings: How many of them are held out in turn, a training each.
        other_share: Share of the value occurrences that train "other", where the learner's own is smaller.
        share: Of the values left, how many go in a round; 1 scores all of them in one round, against the trained "other".
        bound: Standard deviations of the posterior that are taken off the mean.
    """

    folds: int = 4
    trainings: int = 1
    other_share: float = field(default=0.02, metadata=search(0.002, 0.1, log=True))
    share: float = field(default=0.3, metadata=choose(0.1, 0.3, 1.0))
    bound: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.other_share < 1 or not 0 < self.share <= 1 or not 1 <= self.trainings <= self.folds > 1:
            raise ConfigError(
                "value_loss: needs 0 < other_share < 1, 0 < share <= 1 and 1 <= trainings <= folds of at least 2, got "
                f"{self.other_share}, {self.share}, {self.trainings} and {self.folds}"
            )

    def fits(self, *, fields: int, rows: int) -> float:
        """One a fold that is asked, on the rows of the others."""
        return self.trainings * (1 - 1 / self.folds)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on folds of the training split, and score on the fold that was left out.

        Raises:
            ConfigError: If the learner has no share of "other" to raise, or makes no net.
            DataError: If a class has fewer than two training rows.
        """
        began = time.perf_counter()
        table, encoder = problem.table, problem.table.encoder
        if "other_share" not in getattr(problem.learner, "__dataclass_fields__", {}):
            raise ConfigError(
                f"value_loss: needs a learner that trains 'other', such as net; got {describe(problem.learner)['use']!r}"
            )
        learner: Any = problem.learner
        learner = replace(learner, other_share=max(learner.other_share, self.other_share))
        asked, history = [], []
        for number, (part, rest) in enumerate(self._parts(table, seed=seed)):
            work = None if problem.work is None else problem.work / f"fold_{number}"
            fit = learner.fit(rest, work=work, seed=derive(seed, "select", "value_loss", number))
            asked.append(_Asked.of(fit.model, part, groups=self.share < 1))
            history += fit.history
        scores = drop_in_rounds(
            lambda gone: self._nats(encoder, [moves for a in asked for moves in a.moves(gone)]),
            {name: v.size for name, v in encoder.vocabularies.items()},
            share=self.share,
            least=min((s.number for s in sizes if s.of == "values"), default=1),
        )
        return ScoredValues(
            problem=problem,
            method="value_loss",
            params=describe(self),
            scores=scores,
            history=tuple(history),
            seconds=time.perf_counter() - began,
        )

    def _parts(self, table: Table, *, seed: int) -> Iterator[tuple[Table, Table]]:
        """Yield the rows that are asked, and a table of the other training rows and the validation rows."""
        train = table.part("train")
        of = folds_of(
            train.label(),
            train.row,
            folds=self.folds,
            seed=derive(seed, "select", "value_loss", "folds"),
            groups=train.group,
        )
        span = table.span("valid")
        valid = np.arange(span.start, span.stop)
        first = table.span("train").start
        for fold in range(min(self.trainings, int(of.max()) + 1)):
            held, rest = (np.flatnonzero(which) + first for which in (of == fold, of != fold))
            splits = {"train": (0, len(rest)), "valid": (len(rest), len(rest) + len(valid))}
            yield table.take(held), replace(table.take(np.concatenate([rest, valid])), splits=splits)

    def _nats(self, encoder: Encoder, moves: Sequence[Moves]) -> dict[str, np.ndarray]:
        """Return the posterior mean of the nats that each value saves over all its training rows, less the bound."""
        told = {name: np.zeros((3, v.size)) for name, v in encoder.vocabularies.items()}
        for name, codes, rise, mass in moves:
            for k, power in enumerate((mass, mass * rise, mass * rise**2)):
                told[name][k] += np.bincount(codes, power, minlength=told[name].shape[1])
        scores = {}
        for name, (rows, sums, squares) in told.items():
            counts = encoder.vocabularies[name].counts.astype(np.float64)
            found = shrunken_means(rows[RESERVED:], sums[RESERVED:], squares[RESERVED:], counts[RESERVED:])
            scores[name] = np.zeros(len(counts))
            scores[name][RESERVED:] = counts[RESERVED:] * (found.mean - self.bound * found.deviation)
        return scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A net, and rows that it was not trained on.

    Attributes:
        model: The net.
        part: The rows.
        rows: By vocabulary the embedding rows `[V, K]`.
        starts: By vocabulary the row that stands for "other" before any value has gone `[K]`.
    """

    model: Model
    part: Table
    rows: Mapping[str, np.ndarray]
    starts: Mapping[str, np.ndarray]

    @staticmethod
    def of(model: Model, part: Table, *, groups: bool) -> _Asked:
        """Take a net's rows; "other" is at first the trained one, or the centre of a group of rows if that is better."""
        from ctrsel.explain.row_curvature import row_curvature

        rows, starts = {}, {}
        for name, c in row_curvature(model, part).items():
            rows[name] = c.rows
            points = whitened(c.rows, c.matrix, damping=1e-3)
            weight = full_weights(c.weight, c.occurrences, part.encoder.vocabularies[name].counts)
            starts[name] = _start(c.rows, points, weight) if groups else c.rows[OTHER]
        return _Asked(model=model, part=part, rows=rows, starts=starts)

    def moves(self, gone: Mapping[str, np.ndarray]) -> Iterator[Moves]:
        """Return what every value would cost if it went as well."""
        from ctrsel.explain.row_moves import loss_moves

        vocabularies = self.part.encoder.vocabularies
        given = {n: _other(r, vocabularies[n].counts, gone[n], self.starts[n]) for n, r in self.rows.items()}
        return loss_moves(self.model, self.part, given)


def _other(rows: np.ndarray, counts: np.ndarray, gone: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the row of "other": the mean of what is gone by count, as a narrowed net has it, or what to begin with."""
    if not gone.any():
        return start
    weight = np.where(gone, counts, 0.0)
    weight[OTHER] = counts[OTHER]
    return np.asarray(weight @ rows / max(float(weight.sum()), 1e-300))


def _start(rows: np.ndarray, points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the row against which half of the values could be dropped at least cost: trained "other", or a group's centre."""
    values, mass = points[RESERVED:], weight[RESERVED:]
    if len(values) < 2:
        return np.asarray(rows[OTHER])
    owner = ward_path(values, mass).groups(min(_STARTS, len(values)))
    half = max(len(values) // 2, 1)
    best, least = np.asarray(rows[OTHER]), np.inf
    tried = [points[OTHER]]
    found = [rows[OTHER]]
    for group in np.unique(owner):
        here = owner == group
        share = np.where(here, mass + 1e-300, 0.0)
        tried.append(share @ values / share.sum())
        found.append(share @ rows[RESERVED:] / share.sum())
    for centre, row in zip(tried, found, strict=True):
        cost = mass * ((values - centre) ** 2).sum(1)
        total = float(np.partition(cost, half - 1)[:half].sum())
        if total < least:
            best, least = row, total
    return best
