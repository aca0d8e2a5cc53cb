"""ValueLoss: values by the nats that a trained net saves with their rows, against the row of "other", on rows held out.

References: Breiman, "Random forests", 2001 (what a model loses without a field); Morris, "Parametric empirical Bayes inference:
theory and applications", 1983 (a value's saving from few rows is drawn to those of its field).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.ranges import choose, search
from ctrsel.core.seeds import derive
from ctrsel.data.encoder import Encoder
from ctrsel.explain import sample_rows
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select._contract import Found, Selector
from ctrsel.select._drop_rounds import drop_in_rounds
from ctrsel.select._shrink import shrunken_means
from ctrsel.select._ward import ward_path
from ctrsel.select._whiten import full_weights, whitened
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredValues
from ctrsel.select.size import Size

__all__ = ["ValueLoss"]

_STARTS = 12  # groups of alike rows that are tried as what is dropped first


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLoss(Selector):
    """Train the net once with a trained row of "other"; score a value by its training rows times the shrunken mean saving.

    A pass over validation rows per field puts one row in the place of every value of the field. What a value saves on few rows
    says little: its mean is drawn to a line in the logarithm of its training count, by as much as the field's values differ
    beyond chance. In rounds the cheapest values are dropped, "other" becomes their mean row, and the rest is asked again.

    Attributes:
        other_share: Share of the value occurrences that train "other", where the learner's own is smaller.
        share: Of the values left, how many go in a round; 1 scores all of them in one round, against the trained "other".
        bound: Standard deviations of the posterior that are taken off the mean.
        rows: Validation rows at most, each class in proportion.
    """

    other_share: float = field(default=0.02, metadata=search(0.002, 0.1, log=True))
    share: float = field(default=0.3, metadata=choose(0.1, 0.3, 1.0))
    bound: float = 0.0
    rows: int = 100_000

    def __post_init__(self) -> None:
        if not 0 < self.other_share < 1 or not 0 < self.share <= 1 or self.rows < 2:
            raise ConfigError(
                "value_loss: needs 0 < other_share < 1, 0 < share <= 1 and rows >= 2, got "
                f"{self.other_share}, {self.share}, {self.rows}"
            )

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on the training split, and score on validation rows.

        Raises:
            ConfigError: If the learner has no share of "other" to raise, or makes no net.
            DataError: If there are no validation rows.
        """
        from ctrsel.explain.row_curvature import row_curvature
        from ctrsel.explain.row_moves import loss_moves

        began = time.perf_counter()
        table, encoder = problem.table, problem.table.encoder
        if "other_share" not in getattr(problem.learner, "__dataclass_fields__", {}):
            raise ConfigError(
                f"value_loss: needs a learner that trains 'other', such as net; got {describe(problem.learner)['use']!r}"
            )
        learner: Any = problem.learner
        if "valid" not in table.splits or table.span("valid").stop - table.span("valid").start < 2:
            raise DataError("value_loss: asks validation rows, and there are none")
        raised = replace(learner, other_share=max(learner.other_share, self.other_share))
        fit = raised.fit(table, work=problem.work, seed=seed)
        picked = sample_rows(table, self.rows, split="valid", seed=derive(seed, "select", "value_loss", "rows"))
        part = table.take(picked)
        curvature = row_curvature(fit.model, part)
        starts: Mapping[str, np.ndarray] | None = None
        if self.share < 1:
            starts = {
                name: _start(
                    c.rows,
                    whitened(c.rows, c.matrix, damping=1e-3),
                    full_weights(c.weight, c.occurrences, encoder.vocabularies[name].counts),
                )
                for name, c in curvature.items()
            }

        def cost(gone: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            given = {}
            for name, c in curvature.items():
                counts = encoder.vocabularies[name].counts
                given[name] = _other(c.rows, counts, gone[name], None if starts is None else starts[name])
            return self._nats(encoder, loss_moves(fit.model, part, given))

        scores = drop_in_rounds(
            cost,
            {name: v.size for name, v in encoder.vocabularies.items()},
            share=self.share,
            least=min((s.number for s in sizes if s.of == "values"), default=1),
        )
        return ScoredValues(
            problem=problem,
            method="value_loss",
            params=describe(self),
            scores=scores,
            history=fit.history,
            seconds=time.perf_counter() - began,
        )

    def _nats(self, encoder: Encoder, moves: Any) -> dict[str, np.ndarray]:
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


def _other(rows: np.ndarray, counts: np.ndarray, gone: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """Return the row of "other": the mean of what is gone by count, as a narrowed net has it, or what to begin with."""
    if not gone.any():
        return rows[OTHER] if start is None else start
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
