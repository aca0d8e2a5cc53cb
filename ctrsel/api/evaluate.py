"""Evaluation: the only place where a model meets a split that nothing was chosen on, and the one definition of the metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Evaluation, Metric
from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.stats.auc import PairedDifference, auc, auc_statistic, delong, delong_paired, grouped_auc
from ctrsel.stats.calibration import calibration_by_segment, calibration_ratio, ece, reliability
from ctrsel.stats.intervals import Interval, bootstrap
from ctrsel.stats.losses import log_loss, normalised_entropy

__all__ = ["compare_auc", "evaluate", "row_metrics", "row_weight"]

_DRAWS = 100  # bootstrap draws for intervals that have no closed form
_SHOWN_ROWS = 20  # a segment of fewer rows is not shown


def row_weight(table: Table) -> np.ndarray | None:
    """Return each row's weight in the metrics, float64 `[N]`; None when all are equal.

    Where only a share r of the negatives was kept, each one left stands for 1 / r rows.
    """
    rate = table.schema.sampling_rate
    if rate == 1:
        return table.weight
    base = np.ones(table.n_rows) if table.weight is None else np.asarray(table.weight, dtype=np.float64)
    return np.where(table.label() > 0, base, base / rate)


def evaluate(
    model: Model,
    table: Table,
    *,
    split: str = "test",
    segments: tuple[str, ...] = (),
    segments_of: Table | None = None,
    seed: int = 1,
    keep_logits: bool = True,
) -> Evaluation:
    """Score one split of a table with the first label.

    Args:
        model: Any model.
        table: A table of the model's Encoder with this split; for a selected model the narrowed one.
        split: Which rows are read; the log says so.
        segments: Fields by whose values (20 rows or more) predicted and observed are compared; sensitive fields are left out.
        segments_of: The same rows with the fields that a selection dropped, so that all models are compared by the same
            segments; None for the table itself.
        seed: Of the bootstrap.
        keep_logits: Whether per-row scores go into the result.

    Returns:
        Metrics with intervals at 95 %: DeLong for AUC (clustered by group where one is set), else the bootstrap (over
        rows, or over groups).

    Raises:
        DataError: If the split is missing or empty, or the table is another Encoder's.
    """
    part = table.part(split)
    if not part.n_rows:
        raise DataError(f"the split {split!r} has no rows to evaluate on")
    logits = model.logits(part).astype(np.float64)[:, 0]
    labels, weight = part.label().astype(np.float64), row_weight(part)
    if weight is not None and not weight.sum() > 0:
        raise DataError(f"the rows of the split {split!r} all have weight 0")
    event("evaluate", split=split, rows=part.n_rows, model=model.digest)
    probabilities = special.expit(logits)
    metrics = row_metrics(labels, logits, weight=weight, groups=part.group, seed=seed)
    bins = reliability(labels, probabilities, weight=weight)
    return Evaluation(
        model=model.digest,
        split=split,
        rows=part.n_rows,
        label=table.schema.labels[0].name,
        metrics=metrics,
        segments=_segments(
            part if segments_of is None else segments_of.part(split), segments, labels, probabilities, weight
        ),
        reliability=tuple(
            {"predicted": float(p), "observed": float(o), "low": float(lo), "high": float(hi), "rows": float(w)}
            for p, o, lo, hi, w in zip(bins.predicted, bins.observed, bins.low, bins.high, bins.weight, strict=True)
        ),
        logits=logits.astype(np.float32) if keep_logits else None,
    )


def row_metrics(
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 1,
) -> dict[str, Metric]:
    """Return AUC, log-loss, calibration and the like of some scored rows, with intervals.

    Shape:
        All `[N]`.

    Args:
        labels: 0 or 1, float64.
        logits: float64.
        weight: What each row counts for; None if all count the same.
        groups: Rows of one group depend on each other.
        seed: Of the bootstrap.
    """
    probabilities = special.expit(logits)
    # Each row's part of a sum once, so that a draw of the bootstrap is no more than two products.
    mass = np.ones(len(labels)) if weight is None else weight
    loss = np.logaddexp(0.0, np.where(labels > 0, -logits, logits))
    sums = {"log_loss": (mass * loss, mass), "calibration_ratio": (mass * probabilities, mass * labels)}

    def interval(name: str, value: float | None) -> Metric:
        above, below = sums[name]

        def ratio(times: np.ndarray) -> float | None:
            # No matrix product: its threads cost more than they save at this size.
            total = float((times * below).sum())
            return float((times * above).sum()) / total if total > 0 else None

        return _metric(value, None if value is None else _bootstrap(ratio, len(labels), groups, seed=seed))

    metrics = {
        "auc": _auc(labels, logits, weight, groups, seed=seed),
        "log_loss": interval("log_loss", log_loss(labels, logits, weight=weight)),
        "normalised_entropy": Metric(value=normalised_entropy(labels, logits, weight=weight)),
        "calibration_ratio": interval("calibration_ratio", calibration_ratio(labels, probabilities, weight=weight)),
        "ece": Metric(value=ece(labels, probabilities, weight=weight)),
        "base_rate": Metric(value=float(np.average(labels, weights=weight))),
    }
    if groups is not None:
        by_group = grouped_auc(labels, logits, groups, weight=weight)
        metrics["grouped_auc"] = Metric(
            value=by_group.value,
            method=f"{by_group.groups_used} groups; {by_group.groups_one_class} of one class left out",
        )
    return metrics


def compare_auc(table: Table, new: np.ndarray, old: np.ndarray, *, split: str = "test", seed: int = 1) -> Metric:
    """Return AUC(new) - AUC(old) on the same rows with its paired interval.

    Args:
        table: The table.
        new: Logits of the split's rows.
        old: Logits of the other model on the same rows.
        split: Which split.
        seed: Of the bootstrap, which stands in for DeLong where rows have weights.

    Returns:
        The difference; without a value where one class is absent, without an interval where nothing repeats.
    """
    return _metric(*_difference(table.part(split), new, old, seed=seed))


def auc_difference_error(
    table: Table, new: np.ndarray, old: np.ndarray, *, split: str = "test", seed: int = 1
) -> float | None:
    """Return the standard error over rows, or groups, of what `compare_auc` returns; None where there is none."""
    _, found = _difference(table.part(split), new, old, seed=seed)
    return None if found is None else found.standard_error


def _difference(
    part: Table, new: np.ndarray, old: np.ndarray, *, seed: int
) -> tuple[float | None, Interval | PairedDifference | None]:
    labels, weight = part.label().astype(np.float64), row_weight(part)
    new, old = new.astype(np.float64), old.astype(np.float64)
    of_new, of_old = auc_statistic(labels, new), auc_statistic(labels, old)

    def difference(times: np.ndarray) -> float | None:
        w = times if weight is None else times * weight
        a, b = of_new(w), of_old(w)
        return None if a is None or b is None else a - b

    value = difference(np.ones(part.n_rows))
    if weight is not None:
        return value, None if value is None else _bootstrap(difference, part.n_rows, part.group, seed=seed)
    return value, delong_paired(labels, new, old, groups=part.group)


def _auc(
    labels: np.ndarray, logits: np.ndarray, weight: np.ndarray | None, groups: np.ndarray | None, *, seed: int
) -> Metric:
    if weight is None:
        return _metric(auc(labels, logits), delong(labels, logits, groups=groups))
    value, of = auc(labels, logits, weight=weight), auc_statistic(labels, logits)
    return _metric(
        value, None if value is None else _bootstrap(lambda times: of(times * weight), len(labels), groups, seed=seed)
    )


def _bootstrap(
    statistic: Callable[[np.ndarray], float | None], rows: int, groups: np.ndarray | None, *, seed: int
) -> Interval | None:
    """Resample rows or whole groups; one group alone does not vary, so there is no interval then."""
    if groups is not None and (groups == groups[0]).all():
        return None
    return bootstrap(statistic, rows, groups=groups, draws=_DRAWS, seed=seed)


def _metric(value: float | None, found: Interval | PairedDifference | None) -> Metric:
    if value is None or found is None:
        return Metric(value=value)
    return Metric(value=value, low=found.low, high=found.high, method=found.method)


def _segments(
    part: Table, fields: tuple[str, ...], labels: np.ndarray, probabilities: np.ndarray, weight: np.ndarray | None
) -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    for name in fields:
        field = part.schema.field(name)
        column = part.columns[name]
        if field.sensitive or field.is_float or not isinstance(column, np.ndarray):
            continue
        by = calibration_by_segment(labels, probabilities, column, weight=weight)
        rows = np.bincount(column, minlength=part.encoder.size(name))
        shown = [
            i
            for i, code in enumerate(by.segments)
            if rows[code] >= _SHOWN_ROWS and (code >= RESERVED or code == MISSING)
        ]
        shown = sorted(shown, key=lambda i: -int(rows[by.segments[i]]))[:10]
        texts = part.encoder.vocabulary(name).texts(by.segments[shown]) if shown else []
        for i, text in zip(shown, texts, strict=True):
            ratio = float(by.ratio[i])
            found.append(
                {
                    "field": name,
                    "value": text,
                    "rows": int(rows[by.segments[i]]),
                    "observed": float(by.observed[i]),
                    "predicted": float(by.predicted[i]),
                    "ratio": ratio if np.isfinite(ratio) else None,
                }
            )
    return tuple(found)
