"""Knockoffs: which fields tell something about the label that the other fields do not, with few false discoveries.

References: Candes, Fan, Janson and Lv, "Panning for gold: model-X knockoffs", 2018, algorithm 1 and theorem 3.4;
    Barber and Candes, "Controlling the false discovery rate via knockoffs", 2015 (knockoff+).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import derive, generator
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._knockoff_copies import knockoff_copies
from ctrsel.records.feature_set import RESERVED
from ctrsel.records.ranking import Ranking
from ctrsel.stats.knockoffs import knockoff_q_values, knockoff_threshold
from ctrsel.stats.sampling import stratified_sample

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["Knockoffs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knockoffs(CountRanker):
    """Each field against a copy of it that knows the other fields but not the label (a Model-X knockoff).

    One penalised logistic model sees the values of all fields and of all copies. It is fitted on one half of the rows and
    asked on the other, and the other way round: a field's gain is the log-loss that it saves there. The score W is the
    gain of the field minus that of its copy, in its standard errors. For a field that tells nothing given the others the
    sign of W is a fair coin, whatever its number of values, so the mirror image of the scores shows how many of the
    chosen are false.

    Columns of the ranking: `selected` (at `q`), `q` (the smallest rate at which the field would be selected), `gain` and
    `copy_gain` (nats a row), `values` (that occur), `parents` (fields that its copy was drawn given), `same` (share of
    rows where the copy equals the field; a field that others determine has a copy like itself, and no score).

    Attributes:
        q: Share of false discoveries that the selected fields may contain on average. At least 1/q fields are selected,
            or none.
        rows: Training rows used at most, each class in proportion.
        max_values: Fields with more values are refused.
        parents: Other fields that a copy is drawn given at most, those that tell most about the field.
        smooth: Rows at a field's own frequencies that are added to each value of another field.
        ridge: Penalty on squared effects in the model; the number of rows a value needs to be heard.
    """

    needs: ClassVar[Literal["field", "rows"]] = "rows"

    q: float = 0.1
    rows: int = 100_000
    max_values: int = 1000
    parents: int = 8
    smooth: float = 1.0
    ridge: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.q < 1:
            raise ConfigError(f"knockoffs.q: must be between 0 and 1, got {self.q}")
        for name, least in (("rows", 10), ("max_values", 2), ("parents", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"knockoffs.{name}: must be at least {least}, got {getattr(self, name)}")
        for name in ("smooth", "ridge"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"knockoffs.{name}: must be above 0, got {getattr(self, name)}")

    def score(self, counts: TableCounts) -> Ranking:
        """Draw the copies, fit the model, and rank the fields of few enough values."""
        import polars as pl

        held = counts.need_rows("knockoffs")
        values = {n: int(np.count_nonzero(c.train.totals[RESERVED:])) for n, c in counts.fields.items()}
        refused = dict(counts.refused) | {
            n: f"has {v:,} values; knockoffs are drawn for fields of at most {self.max_values:,}"
            for n, v in values.items()
            if v > self.max_values
        }
        names = [n for n in held.names if n not in refused]
        rows = stratified_sample(held.labels, self.rows, seed=derive(counts.seed, "rank", "knockoffs", "rows"))
        labels = np.asarray(held.labels[rows], dtype=np.float64)
        columns, sizes = [], []
        for name in names:
            present, codes = np.unique(np.asarray(held.column(name)[rows]), return_inverse=True)
            columns.append(codes.astype(np.int64))
            sizes.append(len(present))
        halves = generator(counts.seed, "rank", "knockoffs", "halves").random(len(rows)) < 0.5
        copies = knockoff_copies(
            columns,
            sizes,
            halves=halves,
            rng=generator(counts.seed, "rank", "knockoffs", "copies"),
            parents=self.parents,
            smooth=self.smooth,
        )
        gains = _gains([*columns, *copies.columns], [*sizes, *sizes], labels, halves=halves, ridge=self.ridge)
        own, copied = gains[: len(names)], gains[len(names) :]
        w = _standardised(own - copied)
        rates = knockoff_q_values(w)
        chosen = w >= knockoff_threshold(w, q=self.q)
        order = np.lexsort((np.array(names, dtype=str), -w))
        frame = pl.DataFrame(
            {
                "field": [names[i] for i in order],
                "score": w[order],
                "rank": np.arange(1, len(names) + 1),
                "selected": chosen[order],
                "q": rates[order],
                "gain": own.mean(axis=1)[order],
                "copy_gain": copied.mean(axis=1)[order],
                "values": [values[names[i]] for i in order],
                "parents": [copies.parents[i] for i in order],
                "same": [copies.same[i] for i in order],
            },
            schema_overrides={"field": pl.String, "score": pl.Float64, "rank": pl.Int64},
        )
        return Ranking(
            method="knockoffs",
            params=describe(self),
            unit="sd",
            null="a copy of the field drawn given the other fields, without the label (Model-X knockoff)",
            frame=frame,
            refused=refused,
            notes=(*counts.notes, *self._notes(len(rows), held.n_rows, len(names), int(chosen.sum()), len(refused))),
            table=counts.table,
        )

    def _notes(self, *given: int) -> tuple[str, ...]:
        used, of, fields, chosen, refused = given
        least = int(np.ceil(1 / self.q - 1e-9))
        notes = []
        if used < of:
            notes.append(f"from {used:,} of {of:,} training rows, each class in proportion")
        notes.append(
            f"{chosen} of {fields} fields selected at a false discovery rate of {self.q:g}; "
            f"no fewer than {least} can be: with fewer true fields nothing is selected, however clear they are"
        )
        if refused:
            notes.append(
                "a field tells something if it does so given the other ranked fields; refused ones are not known"
            )
        return tuple(notes)


def _standardised(difference: np.ndarray) -> np.ndarray:
    """Return the mean in standard errors per field, 0 where nothing differs: ``[F, N]`` to ``[F]``."""
    mean = difference.mean(axis=1)
    error = difference.std(axis=1) / np.sqrt(difference.shape[1])
    w: np.ndarray = np.divide(mean, error, out=np.zeros_like(mean), where=error > 0)
    return w


def _gains(
    columns: Sequence[np.ndarray], sizes: Sequence[int], labels: np.ndarray, *, halves: np.ndarray, ridge: float
) -> np.ndarray:
    """Return per column and row the log-loss that the column's effect saves, by the model of the row's other half.

    Without its effect means: with the mean of its effects over the rows that the model was fitted on.
    """
    places = np.cumsum([0, *sizes])
    out = np.zeros((len(columns), len(labels)))
    for half in (False, True):
        fitted, asked = halves == half, halves != half
        weights, intercept = _fit([c[fitted] for c in columns], places, labels[fitted], ridge=ridge)
        effects = []
        for i, column in enumerate(columns):
            own = weights[places[i] : places[i + 1]]
            effects.append((own[column[asked]], own[column[fitted]].mean()))
        logit = intercept + np.sum([e for e, _ in effects], axis=0)
        loss = _log_loss(logit, labels[asked])
        for i, (effect, mean) in enumerate(effects):
            out[i, asked] = _log_loss(logit - effect + mean, labels[asked]) - loss
    return out


def _log_loss(logit: np.ndarray, labels: np.ndarray) -> np.ndarray:
    loss: np.ndarray = np.logaddexp(0.0, logit) - labels * logit
    return loss


def _fit(
    columns: Sequence[np.ndarray], places: np.ndarray, labels: np.ndarray, *, ridge: float
) -> tuple[np.ndarray, float]:
    """Return the effect of every value of every column, and the intercept, which is not penalised."""
    from scipy.optimize import minimize
    from scipy.sparse import csr_array

    n, f = len(labels), len(columns)
    at = np.stack([c + p for c, p in zip(columns, places[:-1], strict=True)], axis=1).reshape(-1)
    values = np.ones(n * f)
    design = csr_array((values, at, np.arange(0, n * f + 1, f)), shape=(n, int(places[-1])))
    turned = design.T.tocsr()

    rate = float(np.clip(labels.mean(), 1.0 / (n + 1.0), n / (n + 1.0)))
    # In units of each effect's own error the loss is nearly round, which takes a quarter of the steps.
    scale = np.concatenate([[1.0 / n], 1.0 / (design.sum(axis=0) * rate * (1.0 - rate) + ridge)]) ** 0.5

    def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        w = scaled * scale
        logit = design @ w[1:] + w[0]
        residual = 1.0 / (1.0 + np.exp(-logit)) - labels
        value = float(_log_loss(logit, labels).sum() + 0.5 * ridge * (w[1:] @ w[1:]))
        return value, scale * np.concatenate([[residual.sum()], turned @ residual + ridge * w[1:]])

    def curvature(scaled: np.ndarray, along: np.ndarray) -> np.ndarray:
        w, step = scaled * scale, along * scale
        p = 1.0 / (1.0 + np.exp(-(design @ w[1:] + w[0])))
        bent = p * (1.0 - p) * (design @ step[1:] + step[0])
        bend: np.ndarray = scale * np.concatenate([[bent.sum()], turned @ bent + ridge * step[1:]])
        return bend

    start = np.zeros(int(places[-1]) + 1)
    start[0] = np.log(rate / (1.0 - rate)) / scale[0]
    found = minimize(loss, start, jac=True, hessp=curvature, method="trust-ncg", options={"gtol": 1e-3})
    w = found.x * scale
    return w[1:], float(w[0])
