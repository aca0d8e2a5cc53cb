"""Lasso: fields in the order in which they enter a logistic regression on their values as the L1 penalty falls.

References: Tibshirani, "Regression shrinkage and selection via the lasso", 1996; Meier, van de Geer and Buehlmann, "The group
lasso for logistic regression", 2008; Simon and Tibshirani, "Standardization and the group lasso penalty", 2012.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.seeds import derive
from ctrsel.data.table import Ragged
from ctrsel.explain import sample_rows
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.select._contract import Found, Selector
from ctrsel.select._field_importance import units
from ctrsel.select._group_path import Point, path
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

if TYPE_CHECKING:
    import scipy.sparse

    from ctrsel.data.table import Table

__all__ = ["Lasso"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasso(Selector):
    """Score = the penalty at which a field enters; for one that never does, how near it came at the end of the path.

    Every value that enough training rows have is a column of mean 0 and variance 1, and so is every float. The learner is not
    used.

    Attributes:
        form: "group": all columns of a field enter at once, its penalty times the root of their number, so that a field of
            noise is as far from entering whatever its number of values; "values": the lasso itself, where a field enters with
            its first column, and many columns are many tickets.
        min_count: Rows that a value needs for a column of its own among those used; the others of its field share one.
        rows: Training rows used at most, each class in proportion.
        steps: Penalties, evenly on a log scale.
        smallest: Last penalty as a share of the first.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")

    form: Literal["group", "values"] = "group"
    min_count: int = 10
    rows: int = 20_000
    steps: int = 40
    smallest: float = 0.02

    def __post_init__(self) -> None:
        if self.form not in ("group", "values"):
            raise ConfigError(f"lasso.form: must be 'group' or 'values', got {self.form!r}")
        if self.min_count < 1 or self.rows < 2 or self.steps < 2 or not 0 < self.smallest < 1:
            raise ConfigError(
                "lasso: needs min_count >= 1, rows >= 2, steps >= 2 and 0 < smallest < 1, got "
                f"{self.min_count}, {self.rows}, {self.steps}, {self.smallest}"
            )

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Follow the path on training rows.

        Raises:
            DataError: If the training rows drawn have one class only.
        """
        began = time.perf_counter()
        table = problem.table
        names = tuple(n for unit in units(problem) for n in unit)
        train = table.take(sample_rows(table, self.rows, split="train", seed=derive(seed, "select", "lasso", "rows")))
        y = (train.label() > 0).astype(np.float64)
        if y.min() == y.max():
            raise DataError("lasso: needs training rows of both classes")
        x, owner, mean = _columns(train, names, min_count=self.min_count)
        columns = np.bincount(owner, minlength=len(names))
        if self.form == "group":
            group, factor = np.unique(owner, return_inverse=True)[1], np.sqrt(columns[columns > 0])
        else:
            group, factor = np.arange(len(owner)), np.ones(len(owner))
        points = path(
            x,
            y,
            group,
            factor=factor,
            mean=mean,
            row_weight=train.weight,
            steps=self.steps,
            smallest=self.smallest,
            tolerance=1e-3,  # of the penalty: an entry is not told more exactly than by the distance of two penalties
        )
        # Each group is of one field's columns.
        field = np.zeros(len(factor), dtype=np.int64)
        field[group] = owner
        scores, history = self._entries(points if len(owner) else iter(()), owner, field, len(names))
        event("lasso", rows=len(y), columns=len(owner), seconds=time.perf_counter() - began)
        return ScoredFields(
            problem=problem,
            method="lasso",
            params=describe(self),
            scores=dict(zip(names, scores.tolist(), strict=True)),
            history=history,
            seconds=time.perf_counter() - began,
        )

    def _entries(
        self, points: Iterator[Point], owner: np.ndarray, field: np.ndarray, fields: int
    ) -> tuple[np.ndarray, tuple[dict[str, float], ...]]:
        """Return the penalties at which the fields enter `[F]`, and the story of the path."""
        scores, entered = np.zeros(fields), np.zeros(fields, dtype=bool)
        history = []
        pull, limit = np.zeros(fields), 0.0
        with progress("path", self.steps, unit="penalties") as bar:
            for point in points:
                inside = np.bincount(owner, weights=point.weights != 0, minlength=fields) > 0
                new = inside & ~entered
                # Where between two penalties a field entered is told by how strongly it pulled at the larger one.
                scores[new] = np.clip(pull[new], point.penalty, max(limit, point.penalty))
                entered |= inside
                pull, limit = np.zeros(fields), point.penalty
                np.maximum.at(pull, field, point.pull)
                history.append(
                    {
                        "penalty": point.penalty,
                        "fields": float(entered.sum()),
                        "columns": float(np.count_nonzero(point.weights)),
                        "iterations": float(point.iterations),
                    }
                )
                bar.advance(1)
                if entered.all():
                    break
        scores[~entered] = np.minimum(pull, limit)[~entered]
        return scores, tuple(history)


def _columns(
    part: Table, names: tuple[str, ...], *, min_count: int
) -> tuple[scipy.sparse.csr_array, np.ndarray, np.ndarray]:
    """Return columns of variance 1 `[N, C]`, the place of each one's field in `names`, and their means.

    A list counts as the mean of its values. Columns that are the same in all rows are left out.
    """
    import scipy.sparse

    n = part.n_rows
    blocks, owners = [], []
    for j, name in enumerate(names):
        block = _of_field(part, name, min_count=min_count)
        blocks.append(block)
        owners.append(np.full(block.shape[1], j))
    x = scipy.sparse.hstack(blocks, format="csr") if blocks else scipy.sparse.csr_array((n, 0))
    share = np.full(n, 1.0 / n) if part.weight is None else np.asarray(part.weight, np.float64) / np.sum(part.weight)
    mean = np.asarray(x.T @ share)
    spread = np.sqrt(np.maximum(np.asarray(x.multiply(x).T @ share) - mean**2, 0.0))
    used = np.flatnonzero(spread > 1e-9)  # what rounding leaves of no variance
    x = x[:, used] @ scipy.sparse.diags_array(1.0 / spread[used])
    return x.tocsr(), np.concatenate(owners or [np.zeros(0, int)])[used], mean[used] / spread[used]


def _of_field(part: Table, name: str, *, min_count: int) -> scipy.sparse.csr_array:
    """Return a field's columns: a float itself, or one of each frequent value and one of all others."""
    import scipy.sparse

    column, n = part.columns[name], part.n_rows
    if part.schema.field(name).is_float:
        values = np.asarray(column, dtype=np.float64)
        mean = np.nanmean(values) if not np.isnan(values).all() else 0.0
        return scipy.sparse.csr_array(np.where(np.isnan(values), 0.0, values - mean)[:, None])
    if isinstance(column, Ragged):
        lengths = np.diff(column.offsets)
        rows = np.concatenate([np.repeat(np.arange(n), lengths), np.flatnonzero(lengths == 0)])
        codes = np.concatenate([column.codes, np.full(np.count_nonzero(lengths == 0), MISSING)]).astype(np.int64)
        values = 1.0 / np.maximum(lengths, 1)[rows]
    else:
        rows, codes, values = np.arange(n), np.asarray(column).astype(np.int64), np.ones(n)
    counts = np.bincount(codes, minlength=part.encoder.size(name))
    place = np.full(len(counts), -1, dtype=np.int64)
    frequent = np.flatnonzero(counts >= min_count)
    place[frequent] = np.arange(len(frequent))
    place[place < 0] = place[OTHER] if place[OTHER] >= 0 else len(frequent)
    at = place[codes]
    return scipy.sparse.coo_array((values, (rows, at)), shape=(n, int(at.max(initial=0)) + 1)).tocsr()
