"""What a fitted model makes of each field: loss when it is permuted, size of its contributions, gain of its splits.

References: Breiman, "Random forests", 2001, section 10; Fisher, Rudin and Dominici, "All models are wrong, but many are
useful", 2019, section 3 (reliance on permuted inputs as a U-statistic); Lundberg et al., 2020 (contributions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import progress
from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged
from ctrsel.models.boosted import BoostedPredictor
from ctrsel.rank._resampled import Shuffle
from ctrsel.rank._resampled import givers as moved_rows
from ctrsel.records.ranking import Ranking

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model

__all__ = [
    "KINDS",
    "UNITS",
    "Importance",
    "Kind",
    "constant_fields",
    "importance",
    "loss_increase",
    "ranked",
    "split_gain",
]

Kind = Literal["permutation", "shap", "gain"]
UNITS: Mapping[Kind, str] = {"permutation": "sd", "shap": "log-odds", "gain": "gain"}
KINDS = tuple(UNITS)

Scorer = Callable[[Sequence[str], np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Numbers of I items, fields or groups of fields.

    Attributes:
        value: float64 `[I]`.
        error: Standard error `[I]`; 0 where an item makes no difference to any row.
        repeat_sd: Standard deviation `[I]` of the repeats' own values.
    """

    value: np.ndarray
    error: np.ndarray
    repeat_sd: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """Value over standard error `[I]`; 0 where an item makes no difference."""
        out = np.zeros_like(self.value)
        np.divide(self.value, self.error, out=out, where=self.error > 0)
        return out


def importance(model: Model, part: Table, *, kind: Kind, seed: int, repeats: int = 1) -> np.ndarray:
    """Return the importance of all fields `[F]` for the first label, never negative but for "permutation".

    Args:
        model: What is asked; "gain" and "shap" need one of trees.
        part: Rows that the model was not fitted on, with labels; "gain" does not read them.
        kind: "permutation": rise of the log-loss over its standard error, in sd; "shap": mean |contribution|, log-odds;
            "gain": sum over the splits, in LightGBM's unit.
        seed: Of the permutations.
        repeats: Permutations a field.
    """
    if kind == "permutation":
        items = [(name,) for name in part.schema.names]
        return loss_increase(model, part, items=items, repeats=repeats, seed=seed).z
    trees = _trees(model, "this importance")
    if kind == "gain":
        return split_gain(model)[0]
    return np.asarray(np.abs(trees.contributions(part)[:, :-1]).mean(axis=0))


def split_gain(model: Model, *, ranker: str = "gain") -> tuple[np.ndarray, np.ndarray]:
    """Return the summed gain `[F]` (LightGBM's units) and the number of splits `[F]` of the first label's trees.

    Raises:
        ConfigError: If the model does not consist of trees.
    """
    predictor = _trees(model, ranker)
    names = [f.name for f in model.encoder.fields]
    places = [names.index(owner) for owner in predictor.columns.owners]
    booster = predictor.boosters[0]
    return (
        np.bincount(places, weights=booster.feature_importance("gain"), minlength=len(names)),
        np.bincount(places, weights=booster.feature_importance("split"), minlength=len(names)).astype(np.int64),
    )


def _trees(model: Model, what: str) -> BoostedPredictor:
    if not isinstance(model.predictor, BoostedPredictor):
        raise ConfigError(f"{what}: needs a model of kind 'boosted', got {model.predictor.kind!r}")
    return model.predictor


def loss_increase(
    model: Model,
    part: Table,
    *,
    items: Sequence[tuple[str, ...]],
    repeats: int,
    seed: int,
    shuffle: Shuffle = "rows",
) -> Importance:
    """Return by how much the log-loss of the first label rises, nats a row, when items take other rows' values.

    A row counts for the standard error both as the receiver of values and as their giver, and rows of one group as
    one. Where rows have weights, givers are drawn in proportion to them (with replacement), and the loss is weighted,
    so that a weight of 2 is the row twice.

    Args:
        model: What is asked; its offset for sampled negatives is left out, since `part` is sampled alike.
        part: Rows that the model was not fitted on, with labels.
        items: Names of the fields that move together, each item by itself.
        repeats: Permutations an item.
        seed: Of the permutations; an item's do not depend on the other items.
        shuffle: Which rows may give to which; see `givers`, which knows no weights. "rows": any to any, by weight.

    Raises:
        DataError: If the table is another Encoder's, or has no rows.
    """
    n = part.n_rows
    if n < 2:
        raise DataError(f"permuting rows needs at least 2 of them, got {n}")
    model.logits(part.take(np.arange(0)))  # refuses another Encoder's table
    labels = part.label() > 0
    weight = np.ones(n) if part.weight is None else np.asarray(part.weight, dtype=np.float64)
    share = None if part.weight is None else weight / weight.sum()
    base, scorer = _scorer(model, part)
    loss = _loss(labels, base)
    value, error, sd = np.zeros((3, len(items)))
    with progress("permute", len(items) * repeats, unit="permutations") as bar:
        for i, names in enumerate(items):
            found, givers = np.empty((repeats, n)), np.empty((repeats, n), dtype=np.int64)
            for r in range(repeats):
                rng = generator(seed, "rank", "permutation", *names, r)
                if shuffle != "rows":
                    givers[r] = moved_rows(part, shuffle=shuffle, rng=rng)
                else:
                    givers[r] = rng.permutation(n) if share is None else rng.choice(n, size=n, p=share)
                found[r] = _loss(labels, scorer(names, givers[r]))
                bar.advance(1)
            each = (found - loss) @ weight / weight.sum()
            value[i], sd[i] = each.mean(), each.std(ddof=1) if repeats > 1 else 0.0
            error[i] = _standard_error(found - loss, givers, weight=weight, group=part.group)
    return Importance(value=value, error=error, repeat_sd=sd)


def _standard_error(rises: np.ndarray, givers: np.ndarray, *, weight: np.ndarray, group: np.ndarray | None) -> float:
    """Return the error of the mean rise: each row's influence as receiver and as giver, summed by group.

    A rise is r_ik = mean + a_i + b_k + e_ik of receiver i and giver k. The sums by row hold the noise e of their cells
    twice over, and a and b once more each: that is the sum of the cells' squares, which is taken off again.

    Shape:
        rises, givers: `[R, N]`, R repeats.
    """
    repeats, n = rises.shape
    total = weight.sum()
    # A receiver's own loss does not depend on its giver: the rise says the same as the loss, with less noise.
    cells = weight * (rises - (rises @ weight / total)[:, None]) / repeats
    influence = cells.sum(axis=0)
    for given, by in zip(cells, givers, strict=True):
        influence += np.bincount(by, weights=given, minlength=n)
    if group is not None:
        _, places = np.unique(group, return_inverse=True)
        influence = np.bincount(places, weights=influence)
    m, square = len(influence), (influence**2).sum()
    variance = max(square - (cells**2).sum(), square / 4)  # few rows may leave nothing
    return float(np.sqrt(variance * m / max(m - 1, 1)) / total)


def _loss(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, np.where(labels, -logits, logits))


def _scorer(model: Model, part: Table) -> tuple[np.ndarray, Scorer]:
    """Return the logits `[N]` as they are, and what gives them when some fields take the values of other rows."""
    predictor = model.predictor
    if not isinstance(predictor, BoostedPredictor):

        def by_table(names: Sequence[str], givers: np.ndarray) -> np.ndarray:
            moved = {name: _of_rows(part.columns[name], givers) for name in names}
            return predictor.logits(replace(part, columns={**part.columns, **moved}))[:, 0].astype(np.float64)

        return predictor.logits(part)[:, 0].astype(np.float64), by_table
    x, booster = predictor.columns.matrix(part), predictor.boosters[0]
    used = booster.feature_importance("split") > 0

    def raw(rows: np.ndarray) -> np.ndarray:
        return np.asarray(booster.predict(rows, raw_score=True, num_threads=predictor.threads), dtype=np.float64)

    base = raw(x)

    def by_matrix(names: Sequence[str], givers: np.ndarray) -> np.ndarray:
        # Rows whose value stays what it was, and columns that no tree splits on, need no score.
        places = [j for j, owner in enumerate(predictor.columns.owners) if owner in names and used[j]]
        old = x[:, places]
        new = old[givers]
        rows = np.flatnonzero(((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=1))
        out = base.copy()
        if len(rows):
            moved = x[rows]
            moved[:, places] = new[rows]
            out[rows] = raw(moved)
        return out

    return base, by_matrix


def _of_rows(column: np.ndarray | Ragged, rows: np.ndarray) -> np.ndarray | Ragged:
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def constant_fields(table: Table) -> dict[str, str]:
    """Return the fields that hold one thing in all training rows, with the reason why a model cannot rank them."""
    span = table.span("train")
    return {
        name: "the same in all training rows, so there is nothing that a model could use"
        for name, column in table.columns.items()
        if _constant(column.between(span) if isinstance(column, Ragged) else column[span])
    }


def _constant(column: np.ndarray | Ragged) -> bool:
    if isinstance(column, Ragged):
        lengths = np.diff(column.offsets)
        if not len(lengths) or (lengths != lengths[0]).any():
            return not len(lengths)
        codes = np.asarray(column.codes).reshape(len(lengths), -1)
        return bool((codes == codes[0]).all())
    if column.dtype.kind == "f":
        return bool(np.isnan(column).all() or (column == column[0]).all()) if len(column) else True
    return bool((column == column[0]).all()) if len(column) else True


def ranked(
    method: str,
    scores: Mapping[str, float],
    *,
    columns: Mapping[str, Mapping[str, Any]],
    params: Mapping[str, Any],
    unit: str,
    null: str | None,
    refused: Mapping[str, str],
    notes: tuple[str, ...],
    table: str,
    ties: Mapping[str, float] | None = None,
) -> Ranking:
    """Put fields in the order of their score, then of `ties` (larger first), then of their names.

    Args:
        method: Name of the ranker.
        scores: By field.
        columns: By name of the column a value by field.
        params: Of the ranker.
        unit: Of the score.
        null: What the score was compared with.
        refused: Fields without a score, with the reason.
        notes: For the reader.
        table: Its digest.
        ties: What decides between equal scores.
    """
    import polars as pl

    second = ties or dict.fromkeys(scores, 0.0)
    order = sorted(scores, key=lambda name: (-scores[name], -second[name], name))
    frame = pl.DataFrame(
        {
            "field": pl.Series(order, dtype=pl.String),
            "score": pl.Series([float(scores[name]) for name in order], dtype=pl.Float64),
            "rank": pl.Series(range(1, len(order) + 1), dtype=pl.Int64),
            **{column: [values[name] for name in order] for column, values in columns.items()},
        }
    )
    return Ranking(
        method=method,
        params=dict(params),
        unit=unit,
        null=null,
        frame=frame,
        refused=dict(refused),
        notes=notes,
        table=table,
    )
