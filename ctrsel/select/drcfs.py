"""DRCFS: fields without which the label is predicted worse, on rows that no model saw, beside a null of permuted fields.

Reference: Quinzan, Soleymani, Jaillet, Rojas and Bauer, "DRCFS: doubly robust causal feature selection", 2023, section 4. The
debiased score of a field is the mean of ``(Y - h)^2 - (Y - g)^2``, where g has all fields and h has all but this one: from
``theta = E[Y E[Y | .]]`` with the efficient correction, ``2 Y g - g^2``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event, progress
from ctrsel.core.ranges import search
from ctrsel.core.seeds import derive, generator
from ctrsel.data.table import Ragged
from ctrsel.explain import sample_rows
from ctrsel.rank._resampled import SHUFFLES, Shuffle, givers, resolved, subset
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import units
from ctrsel.select._row_mean import row_mean
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit
from ctrsel.stats.folds import folds_of
from ctrsel.stats.multiple import benjamini_yekutieli

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["DRCFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DRCFS(Selector):
    """Score = how many standard errors the squared error rises without a field; only significant fields are wanted.

    A field is taken away by permuting it before the training, so that g and h have as many values to learn; groups are
    permuted together. Each field is permuted `refits` times: that two permutations of it differ by chance alone says how much
    a difference means, and the standard errors over rows are widened by what all fields show of that.

    The history has of each field the `rise`, its widened standard error, `p` (one-sided) and `q` (Benjamini-Yekutieli).

    Attributes:
        folds: Of the training rows; each is predicted by models that were trained on the others. Validation rows stop the
            trainings and are not tested on.
        refits: Permutations a field, two at least; folds x (1 + fields x refits) models are trained.
        rows: Training rows at most, each class in proportion.
        max_q: Fields whose false discovery rate is above this are not wanted.
        shuffle: How fields are permuted. "rows": freely; "shift": all rows move on in the order of group and time; "within":
            within groups or blocks of time; "auto": "shift" where the table has a group or time, else "rows".
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    folds: int = 2
    refits: int = 2
    rows: int = 20_000
    max_q: float = field(default=0.05, metadata=search(0.01, 0.2, log=True))
    shuffle: Shuffle = "auto"

    def __post_init__(self) -> None:
        if self.folds < 2 or self.refits < 2 or self.rows < 4:
            raise ConfigError(
                f"drcfs: needs folds >= 2, refits >= 2 and rows >= 4, got {self.folds}, {self.refits}, {self.rows}"
            )
        if not 0 < self.max_q <= 1:
            raise ConfigError(f"drcfs.max_q: must be in (0, 1], got {self.max_q}")
        if self.shuffle not in SHUFFLES:
            raise ConfigError(f"drcfs.shuffle: must be one of {', '.join(SHUFFLES)}, got {self.shuffle!r}")

    def fits(self, *, fields: int, rows: int) -> float:
        """One a fold for the whole table, and for each field and refit, on a sample of the rows."""
        return (1 + fields * self.refits) * (self.folds - 1) * min(self.rows / max(rows, 1), 1.0)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train with every field as it is, and with each one permuted.

        DEVIATION(DRCFS): g and h are fits of the problem's learner, not of nets with a Riesz head: the representer of this
        score is g itself.

        DEVIATION(DRCFS): fields are permuted, not removed, so that g and h have as many values to learn; each several times.

        DEVIATION(DRCFS): no paired t-test over rows by itself: where a field says nothing g and h are nearly the same, and
        what they differ by is the chance of their trainings, which is the same for all rows.

        Raises:
            ConfigError: If rows shall stay within groups or blocks of time, and the table has neither.
            DataError: If a class has fewer than two training rows.
        """
        from scipy.stats import t as student

        began = time.perf_counter()
        full = problem.table
        shuffle, _ = resolved(self.shuffle, full, place="drcfs.shuffle")
        drawn = [
            sample_rows(full, self.rows, split=split, seed=derive(seed, "select", "drcfs", split))
            for split in ("train", "valid")
        ]
        table = subset(full, *drawn)
        train = table.part("train")
        folds = folds_of(
            train.label() > 0, train.row, folds=self.folds, seed=derive(seed, "select", "drcfs"), groups=train.group
        )
        tested = units(problem)
        z, rise, error = np.zeros((3, len(tested)))
        null: list[float] = []
        with progress("drcfs", 1 + len(tested) * self.refits, unit="cross-fits") as bar:
            whole = self._losses(problem, table, folds, seed=seed)
            bar.advance(1)
            for i, unit in enumerate(tested):
                without = np.empty((self.refits, len(whole)))
                for r in range(self.refits):
                    rng = generator(seed, "select", "drcfs", *unit, r)
                    without[r] = self._losses(problem, _permuted(table, unit, shuffle, rng), folds, seed=seed)
                    bar.advance(1)
                    if r:
                        mean, sd = row_mean(without[r] - without[:r].mean(axis=0), train)
                        null += [mean / sd] if sd > 0 else []
                rise[i], error[i] = row_mean(without.mean(axis=0) - whole, train)
                z[i] = rise[i] / error[i] if error[i] > 0 else 0.0
        wider = max(1.0, float(np.sqrt(np.mean(np.square(null))))) if null else 1.0
        score = z / wider
        p = np.where(error > 0, student.sf(score, df=max(len(null), 1)), 1.0)
        q = benjamini_yekutieli(p)
        event("drcfs", fields=len(tested), wider=wider, wanted=int((q <= self.max_q).sum()))
        told = {
            f"{name}: {what}": float(values[i])
            for i, unit in enumerate(tested)
            for name in unit
            for what, values in (("rise", rise), ("error", wider * error), ("p", p), ("q", q))
        }
        return ScoredFields(
            problem=problem,
            method="drcfs",
            params=describe(self),
            scores={n: float(score[i]) for i, unit in enumerate(tested) for n in unit},
            wanted=frozenset(n for i, unit in enumerate(tested) for n in unit if q[i] <= self.max_q),
            history=({"wider": wider, **told},),
            seconds=time.perf_counter() - began,
        )

    def _losses(self, problem: Problem, table: Table, folds: np.ndarray, *, seed: int) -> np.ndarray:
        """Return the squared error `[N]` of every training row, by a model of the other folds."""
        valid = np.arange(table.n_rows)[table.span("valid")]
        out = np.empty(len(folds))
        for k in range(int(folds.max()) + 1):
            here = np.flatnonzero(folds == k)
            fitted = subset(table, np.flatnonzero(folds != k), valid)
            # The same seed for all: what a training draws is no difference between fields.
            model = problem.learner.fit(fitted, seed=derive(seed, "select", "drcfs", "fit", k)).model
            part = table.take(here)
            z = model.predictor.logits(part)[:, 0].astype(np.float64)
            out[here] = (part.label() - np.exp(-np.logaddexp(0.0, -z))) ** 2
        return out


def _permuted(table: Table, names: Sequence[str], shuffle: Shuffle, rng: np.random.Generator) -> Table:
    """Return a table whose rows have other rows' values of some fields, all of one row, within each split."""
    at = np.arange(table.n_rows)
    for split, (start, stop) in table.splits.items():
        at[start:stop] = start + givers(table.part(split), shuffle=shuffle, rng=rng)
    columns = dict(table.columns)
    for name in names:
        column = columns[name]
        columns[name] = column.take(at) if isinstance(column, Ragged) else column[at]
    return replace(table, columns=columns)
