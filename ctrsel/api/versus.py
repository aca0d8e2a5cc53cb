"""Versus: champion and challenger scored on the same rows, overall and by segment, with drift of inputs and of scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from ctrsel.api.window import Window
from ctrsel.core.artifact import digest_arrays
from ctrsel.core.errors import DataError, unknown_name
from ctrsel.core.log import event
from ctrsel.core.seeds import generator
from ctrsel.data.canonical import canonical_text
from ctrsel.data.encoder import Encoder
from ctrsel.data.table import Ragged, Table
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Metric
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.records.window import Delta, FieldDrift, ScoreDrift, SegmentDelta, WindowComparison
from ctrsel.report.redact import MINIMUM_ROWS, salted_hash
from ctrsel.report.wording import shorten
from ctrsel.stats.auc import auc_statistic, delong_paired
from ctrsel.stats.drift import jensen_shannon, psi
from ctrsel.stats.intervals import Interval, bootstrap

__all__ = ["compare_models", "field_drift", "score_drift", "score_edges"]

_DRAWS = 200
_SHOWN = 10  # segments of a field
_NULL = 100  # draws of a null of a distance
_CELLS = 1000  # values that are counted on their own for a distance; the rarer ones are one


def compare_models(
    champion: Model,
    challenger: Model,
    window: Window,
    *,
    segments: Sequence[str] = (),
    edges: Mapping[str, tuple[Sequence[float], int]] | None = None,
    interval: Literal["delong", "bootstrap"] = "delong",
    seed: int = 1,
) -> WindowComparison:
    """Score both models on the same rows.

    Args:
        champion: The one in place.
        challenger: The one that may follow it.
        window: The rows; each model reads the columns that it knows.
        segments: Columns by whose values of 20 rows or more both are compared; of a field that either model knows as
            sensitive only salted hashes are told.
        edges: Of "champion" and "challenger", what `score_edges` told of their test rows, and how many those were.
        interval: Of the AUC; rows with weights are always drawn again.
        seed: Of the draws.

    Returns:
        Differences are challenger minus champion.

    Raises:
        ConfigError: If a segment is no column of the rows.
        DataError: If neither model finds a column that it reads.
    """
    for model, name in ((champion, "champion"), (challenger, "challenger")):
        if not {f.name for f in model.encoder.schema.inputs} & set(window.rows.columns):
            raise DataError(f"{window.source}: has no column that the {name} reads")
    tables = {"champion": champion.encoder.encode(window.rows), "challenger": challenger.encoder.encode(window.rows)}
    old = champion.logits(tables["champion"]).astype(np.float64)[:, 0]
    new = challenger.logits(tables["challenger"]).astype(np.float64)[:, 0]
    event("compare", rows=len(window.labels))
    scores = {"champion": old, "challenger": new}
    return WindowComparison(
        source=shorten(window.source, 200),
        rows=len(window.labels),
        positives=int(window.labels.sum()),
        first=window.first,
        last=window.last,
        young=window.young,
        metrics={
            "auc": _auc(window.labels, new, old, window, interval=interval, seed=seed),
            "log_loss": _mean(_loss, window, new, old, seed=seed),
            "calibration_ratio": _calibration(window, new, old, seed=seed),
        },
        segments=_segments(window, new, old, segments, encoders=(champion.encoder, challenger.encoder), seed=seed),
        drift=field_drift(tables["challenger"], challenger.encoder, seed=seed),
        scores=tuple(
            score_drift(name, scores[name], *given, seed=seed) for name, given in (edges or {}).items() if given[0]
        ),
        notes=window.notes,
    )


def score_edges(logits: np.ndarray, *, bins: int = 10) -> tuple[float, ...]:
    """Return the inner edges of bins of equal mass, by which later scores are compared with these.

    Examples:
        >>> score_edges(np.arange(101.0), bins=4)
        (25.0, 50.0, 75.0)
    """
    return tuple(float(q) for q in np.quantile(logits.astype(np.float64), np.arange(1, bins) / bins))


def _auc(labels: np.ndarray, new: np.ndarray, old: np.ndarray, window: Window, *, interval: str, seed: int) -> Delta:
    of_new, of_old = auc_statistic(labels, new), auc_statistic(labels, old)
    weight = np.ones(len(labels)) if window.weight is None else window.weight
    if window.weight is None and interval == "delong":
        found = delong_paired(labels, new, old, groups=window.group)
        limits = None if found is None else (found.low, found.high, found.method)
    else:

        def difference(times: np.ndarray) -> float | None:
            a, b = of_new(times * weight), of_old(times * weight)
            return None if a is None or b is None else a - b

        limits = _limits(_bootstrap(difference, window, seed=seed))
    return _delta(of_old(weight), of_new(weight), limits)


def _loss(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, np.where(labels > 0, -logits, logits))


def _mean(
    of: Callable[[np.ndarray, np.ndarray], np.ndarray], window: Window, new: np.ndarray, old: np.ndarray, *, seed: int
) -> Delta:
    weight = np.ones(len(new)) if window.weight is None else window.weight
    a, b = of(window.labels, new), of(window.labels, old)
    apart = weight * (a - b)

    def difference(times: np.ndarray) -> float | None:
        total = float((times * weight).sum())
        return float((times * apart).sum()) / total if total > 0 else None

    limits = _limits(_bootstrap(difference, window, seed=seed))
    return _delta(float(np.average(b, weights=weight)), float(np.average(a, weights=weight)), limits)


def _calibration(window: Window, new: np.ndarray, old: np.ndarray, *, seed: int) -> Delta:
    weight = np.ones(len(new)) if window.weight is None else window.weight
    p_new, p_old, hits = (weight * x for x in (special.expit(new), special.expit(old), window.labels))

    def difference(times: np.ndarray) -> float | None:
        seen = float((times * hits).sum())
        return float((times * (p_new - p_old)).sum()) / seen if seen > 0 else None

    seen = float(hits.sum())
    limits = _limits(_bootstrap(difference, window, seed=seed))
    before, after = ((float(p.sum()) / seen if seen > 0 else None) for p in (p_old, p_new))
    return _delta(before, after, limits)


def _bootstrap(statistic: Callable[[np.ndarray], float | None], window: Window, *, seed: int) -> Interval | None:
    if window.group is not None and (window.group == window.group[0]).all():
        return None  # one group alone does not vary
    return bootstrap(statistic, len(window.labels), groups=window.group, draws=_DRAWS, seed=seed)


def _limits(found: Interval | None) -> tuple[float, float, str] | None:
    return None if found is None else (found.low, found.high, found.method)


def _delta(old: float | None, new: float | None, limits: tuple[float, float, str] | None) -> Delta:
    value = None if old is None or new is None else new - old
    if value is None or limits is None:
        return Delta(champion=old, challenger=new, difference=Metric(value=value))
    low, high, method = limits
    return Delta(champion=old, challenger=new, difference=Metric(value=value, low=low, high=high, method=method))


def _segments(
    window: Window,
    new: np.ndarray,
    old: np.ndarray,
    names: Sequence[str],
    *,
    encoders: tuple[Encoder, ...],
    seed: int,
) -> tuple[SegmentDelta, ...]:
    sensitive = {f.name for e in encoders for f in (*e.schema.inputs, *e.schema.fields) if f.sensitive}
    found: list[SegmentDelta] = []
    for name in names:
        if name not in window.rows.columns:
            raise unknown_name("segment", name, window.rows.columns, place=window.source)
        texts = _texts(window.rows[name])
        groups = pl.DataFrame({"value": texts}).with_row_index().group_by("value", maintain_order=True).agg("index")
        # Who may print the hash may not know its salt: it is made of the rows themselves.
        salt = digest_arrays({name: window.labels, "scores": new}) if name in sensitive else ""
        several = groups.filter(pl.col("index").list.len() >= MINIMUM_ROWS)
        for value, rows in several.sort(pl.col("index").list.len(), descending=True).head(_SHOWN).iter_rows():
            at = np.asarray(rows)
            shown = value if value is None else salted_hash(value, salt=salt) if salt else shorten(value, 60)
            found.append(_segment(name, shown, window, new, old, at=at, seed=seed))
    return tuple(found)


def _texts(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.List):
        return column.list.eval(pl.element().cast(pl.String)).list.join(" ")
    return canonical_text(column)


def _segment(
    name: str, shown: str | None, window: Window, new: np.ndarray, old: np.ndarray, *, at: np.ndarray, seed: int
) -> SegmentDelta:
    weight = None if window.weight is None else window.weight[at]
    part = Window(
        rows=window.rows.head(0),
        labels=window.labels[at],
        source=window.source,
        weight=weight,
        group=None if window.group is None else window.group[at],
    )
    mass = np.ones(len(at)) if weight is None else weight
    hits = float((mass * part.labels).sum())
    ratio = [float((mass * special.expit(z[at])).sum()) / hits if hits > 0 else None for z in (old, new)]
    both = 0 < part.labels.sum() < len(at)
    return SegmentDelta(
        field=name,
        value=shown,
        rows=len(at),
        observed=hits / float(mass.sum()) if mass.sum() > 0 else 0.0,
        champion_ratio=ratio[0],
        challenger_ratio=ratio[1],
        auc=_auc(part.labels, new[at], old[at], part, interval="delong", seed=seed) if both else None,
    )


def field_drift(table: Table, encoder: Encoder, *, seed: int) -> tuple[FieldDrift, ...]:
    """Return how far each field's values are from those that an Encoder was fitted on, farthest first.

    Args:
        table: The rows, coded by the Encoder.
        encoder: With the counts of its training rows.
        seed: Of the draws that say what chance does.
    """
    users = [f.vocabulary for f in encoder.fields if not f.is_float]
    found = []
    for field in encoder.fields:
        column = table.columns[field.name]
        if field.is_float:
            missing = float(np.isnan(np.asarray(column)).mean())
            found.append(_field_drift(field.name, other=0.0, missing=missing))
            continue
        listed = isinstance(column, Ragged)
        codes = np.asarray(column.codes if isinstance(column, Ragged) else column)
        vocabulary = encoder.vocabulary(field.name)
        counts = np.bincount(codes, minlength=vocabulary.size).astype(np.int64)
        total = max(int(counts.sum()), 1)
        other, missing = int(counts[OTHER]) / total, int(counts[MISSING]) / total
        if isinstance(column, Ragged):
            missing = float((np.diff(column.offsets) == 0).mean())
        trained = np.asarray(vocabulary.counts, dtype=np.int64)
        # Counts of a vocabulary are over all its fields, and a merged code's lie with one of its values.
        if users.count(field.vocabulary) > 1 or trained.sum() == 0:
            found.append(_field_drift(field.name, other=other, missing=missing))
            continue
        distance, limit = _distance(trained, counts, seed=seed, name=field.name)
        found.append(
            FieldDrift(
                field=field.name,
                other=other,
                other_trained=int(trained[OTHER]) / int(trained.sum()),
                missing=missing,
                missing_trained=None if listed else int(trained[MISSING]) / int(trained.sum()),
                distance=distance,
                limit=limit,
            )
        )
    return tuple(sorted(found, key=lambda d: -((d.distance or 0.0) - (d.limit or 0.0))))


def _field_drift(name: str, *, other: float, missing: float) -> FieldDrift:
    return FieldDrift(
        field=name, other=other, other_trained=None, missing=missing, missing_trained=None, distance=None, limit=None
    )


def _distance(then: np.ndarray, now: np.ndarray, *, seed: int, name: str) -> tuple[float, float]:
    """Return the divergence of two sets of counts, and what chance alone stays below in 95 % of draws."""
    if len(then) > _CELLS:
        order = np.argsort(-(then + now), kind="stable")
        then, now = (np.append(x[order[:_CELLS]], x[order[_CELLS:]].sum()) for x in (then, now))
    pooled = (then + now) / max(int(then.sum() + now.sum()), 1)
    rng = generator(seed, "drift", name)
    draws = [
        jensen_shannon(rng.multinomial(int(then.sum()), pooled), rng.multinomial(int(now.sum()), pooled)) or 0.0
        for _ in range(_NULL)
    ]
    return jensen_shannon(then, now) or 0.0, float(np.quantile(draws, 0.95))


def score_drift(name: str, logits: np.ndarray, edges: Sequence[float], rows: int, *, seed: int) -> ScoreDrift:
    """Return how far scores are from earlier ones.

    Args:
        name: Of the model.
        logits: `[N]`.
        edges: As `score_edges` returned them for the earlier scores.
        rows: How many those were.
        seed: Of the draws that say what chance does.
    """
    bins = len(edges) + 1
    now = np.bincount(np.searchsorted(np.asarray(edges), logits, side="left"), minlength=bins)
    even = np.full(bins, 1 / bins)
    then = np.diff(np.round(np.linspace(0, rows, bins + 1))).astype(np.int64)
    rng = generator(seed, "score drift", name)
    draws = [psi(rng.multinomial(rows, even), rng.multinomial(len(logits), even)) or 0.0 for _ in range(_NULL)]
    return ScoreDrift(model=name, distance=psi(then, now) or 0.0, limit=float(np.quantile(draws, 0.95)))
