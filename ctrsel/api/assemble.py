"""Assembly of the Run record: the final table, one summary per field, and the verdict."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from ctrsel.core.artifact import digest_arrays
from ctrsel.data.table import Ragged, Table
from ctrsel.models.model import Model
from ctrsel.models.one_thread import one_thread
from ctrsel.records.evaluation import Evaluation, Metric
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import MISSING, RESERVED, FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Contender, FieldSummary, TableFacts, Verdict
from ctrsel.report.redact import shown_values
from ctrsel.stats.counts import label_counts
from ctrsel.train import Fit

__all__ = ["contender", "milliseconds_per_1000", "summarise_fields", "table_facts", "verdict"]

_REPEATS = 7


def milliseconds_per_1000(models: Sequence[Model], rows: pl.DataFrame) -> tuple[float, ...]:
    """Return each model's median time to score 1,000 raw rows (encoding included) on one thread, in milliseconds.

    Each is timed in the form that is served. The models take turns, so that whatever else the machine does meets all of
    them alike.
    """
    scorers = [model.for_scoring() for model in models]
    times: list[list[float]] = [[] for _ in models]
    with one_thread():
        for turn in range(_REPEATS + 1):
            for scorer, found in zip(scorers, times, strict=True):
                started = time.perf_counter()
                scorer.logits(rows)
                if turn:  # the first turn pays for what is made once
                    found.append(time.perf_counter() - started)
    return tuple(statistics.median(t) * 1000 * 1000 / rows.height for t in times)


def table_facts(table: Table) -> TableFacts:
    """Describe the ingested table."""
    notes = []
    if table.schema.sampling_rate != 1:
        notes.append(
            f"{table.schema.sampling_rate:.4g} of the negatives were kept; metrics weigh them accordingly and logits are shifted"
        )
    if table.weight is not None:
        notes.append(f"rows are weighted by {table.schema.weight}")
    if table.group is not None:
        notes.append(f"intervals are clustered by {table.schema.group}")
    if table.tally is not None and table.tally.read != table.tally.stored:
        notes.append(table.tally.sentence())
    rates = {name: float(table.part(name).label().mean()) for name in table.splits}
    return TableFacts(
        source=table.source,
        digest=table.digest,
        rows={k: b - a for k, (a, b) in table.splits.items()},
        base_rate=rates,
        fields=len(table.schema.fields),
        values=table.encoder.n_values,
        label=table.schema.labels[0].name,
        notes=tuple(notes),
    )


def contender(
    *,
    name: str,
    role: Literal["reference", "full", "selected", "control"],
    learner: str,
    selector: str | None,
    seed: int,
    fit: Fit,
    extra_seconds: float,
    evaluation: Evaluation,
    features: FeatureSet | None,
    milliseconds: float,
) -> Contender:
    """Build one line of the final table.

    Args:
        name: As the user sees it.
        role: What it is in the comparison.
        learner: The learner's name in the config.
        selector: The selector's short name.
        seed: The training's seed.
        fit: The trained model.
        extra_seconds: Of the search that came before the training.
        evaluation: On test.
        features: What was kept.
        milliseconds: To score 1,000 raw rows.
    """
    model = fit.model
    return Contender(
        name=name,
        role=role,
        learner=learner,
        selector=selector,
        seed=seed,
        fields=len(model.encoder.fields),
        values=model.encoder.n_values,
        parameters=model.n_parameters,
        bytes=model.bytes_on_disk,
        milliseconds=milliseconds,
        seconds=fit.seconds + extra_seconds,
        metrics=evaluation.metrics,
        valid=dict(fit.valid),
        epochs=fit.epochs,
        model=model.digest,
        feature_set=features.digest if features else None,
    )


def summarise_fields(
    table: Table,
    *,
    features: FeatureSet | None,
    rankings: Sequence[Ranking],
    attribution: Explanation | None,
    salt: str,
) -> tuple[FieldSummary, ...]:
    """Summarise each field, best rank of the first ranking first.

    Args:
        table: The whole ingested table; counts are of its training split.
        features: The chosen feature set, None if nothing was selected.
        rankings: All rankings; those of values or crosses say nothing of a field as a whole.
        attribution: Of the chosen model.
        salt: Of the hashes that stand for values of sensitive fields; it needs not be secret.

    Returns:
        One summary per field; `traffic_kept` is the share of training rows (of a list: of its items) that the choice
        leaves as they were.
    """
    rankings = [r for r in rankings if r.item == "field"]
    train = table.part("train")
    labels = train.label()
    scores = {
        r.method: dict(zip(r.frame["field"].to_list(), r.frame["score"].to_list(), strict=True)) for r in rankings
    }
    ranks = {r.method: dict(zip(r.frame["field"].to_list(), r.frame["rank"].to_list(), strict=True)) for r in rankings}
    q_values: dict[str, float] = {}
    for ranking in rankings:
        if "q" in ranking.frame.columns and not q_values:
            q_values = dict(zip(ranking.frame["field"].to_list(), ranking.frame["q"].to_list(), strict=True))
    shares: dict[str, tuple[float, float]] = {}
    if attribution is not None:
        mean, error = attribution.importance()
        shares = {f: (float(mean[i]), float(error[i])) for i, f in enumerate(attribution.fields)}
    found = []
    for field in table.schema.fields:
        size = max(table.encoder.size(field.name) - RESERVED, 0)
        kept = features is None or field.name in features.fields
        mask = _kept(table, features, field.name)
        column = train.columns[field.name]
        traffic = 1.0 if kept else 0.0
        shown: tuple[Mapping[str, object], ...] = ()
        if isinstance(column, Ragged):
            items = np.bincount(column.codes, minlength=len(mask))
            traffic *= float(items[mask].sum() / max(int(items.sum()), 1)) if len(column.codes) else 1.0
        elif not field.is_float:
            counts = label_counts(np.asarray(column), labels, size=len(mask))
            traffic *= float(counts.totals[mask].sum() / max(int(counts.totals.sum()), 1))
            top = np.argsort(-counts.totals, kind="stable")[:60]
            top = top[(counts.totals[top] > 0) & ((top >= RESERVED) | (top == MISSING))]
            shown = shown_values(
                table.encoder.vocabulary(field.name).texts(top),
                counts.totals[top],
                counts.positives[top],
                mask[top] & kept,
                sensitive=field.sensitive,
                # The salt may be printed, so it is joined by what only the holder of the rows knows: without them
                # nobody can try out values.
                salt=digest_arrays({salt: labels, field.name: column}) if field.sensitive else salt,
                sampling_rate=table.schema.sampling_rate,
            )
        rows, merged = _rows_kept(table, features, field.name, mask) if kept else (0, 0)
        found.append(
            FieldSummary(
                name=field.name,
                kind=field.kind,
                sensitive=field.sensitive,
                values=size,
                values_kept=rows,
                values_merged=merged,
                kept=kept,
                traffic_kept=traffic,
                scores={m: s[field.name] for m, s in scores.items() if field.name in s},
                ranks={m: int(s[field.name]) for m, s in ranks.items() if field.name in s},
                q=q_values.get(field.name),
                attribution=shares.get(field.name, (None, None))[0],
                attribution_error=shares.get(field.name, (None, None))[1],
                shown_values=shown,
            )
        )
    first = rankings[0].method if rankings else ""
    return tuple(sorted(found, key=lambda f: (f.ranks.get(first, 10**9), f.name)))


def _rows_kept(table: Table, features: FeatureSet | None, name: str, mask: np.ndarray) -> tuple[int, int]:
    """Return how many rows a field's kept values have, and how many of the values share theirs."""
    field = table.schema.field(name)
    if features is None or field.is_float:
        return int(mask[RESERVED:].sum()), 0
    codes = features.remaps[field.vocabulary][RESERVED:]
    _, times = np.unique(codes[codes >= RESERVED], return_counts=True)
    return len(times), int(times[times > 1].sum())


def _kept(table: Table, features: FeatureSet | None, name: str) -> np.ndarray:
    """Boolean `[V]` of a field: which codes are kept."""
    field = table.schema.field(name)
    if field.is_float:
        return np.zeros(RESERVED, dtype=bool)
    if features is None:
        return np.ones(table.encoder.size(name), dtype=bool)
    if field.vocabulary not in features.remaps:
        return np.zeros(table.encoder.size(name), dtype=bool)
    return features.kept(field.vocabulary)


def verdict(
    contenders: Sequence[Contender],
    *,
    chosen: Contender,
    full: Contender,
    delta: Metric,
    max_auc_loss: float,
    calibration: tuple[float, float] = (0.9, 1.1),
    stops: int,
    against: Mapping[str, Metric] | None = None,
    notes: Sequence[str] = (),
) -> Verdict:
    """Decide whether the small model may replace the full net, by rules that were fixed before test was read.

    Args:
        contenders: All of them.
        chosen: The small model.
        full: The net on all values.
        delta: AUC of `chosen` minus that of `full`, with its paired interval.
        max_auc_loss: How far below it may be.
        calibration: Between which numbers predicted / observed must lie.
        stops: Unaccepted leaks in the audit.
        against: By name of a control at the same size, AUC of `chosen` minus the control's, with its paired interval.
        notes: What a reviewer should know and no rule asks.
    """
    auc, full_auc = chosen.metrics["auc"].value or 0.0, full.metrics["auc"].value or 0.0
    loss = -(delta.value or 0.0)
    ratio = chosen.metrics["calibration_ratio"].value
    entropy = chosen.metrics["normalised_entropy"].value
    rules = [
        (
            delta.value is not None and loss <= max_auc_loss,
            f"test AUC {auc:.4f} against {full_auc:.4f} of the full net: must be at most {max_auc_loss} below it",
        ),
        (chosen.bytes < full.bytes, f"{chosen.bytes:,} bytes on disk against {full.bytes:,}: must be smaller"),
        (chosen.values < full.values, f"{chosen.values:,} values against {full.values:,}: must be fewer"),
        (
            ratio is not None and calibration[0] <= ratio <= calibration[1],
            f"predicted / observed on test {_number(ratio)}: must be between {calibration[0]:g} and {calibration[1]:g}",
        ),
        (
            entropy is not None and entropy < 1,
            f"normalised entropy on test {_number(entropy)}: must be below 1, which is that of a constant",
        ),
        (stops == 0, f"{stops} unaccepted leaks in the audit: must be none"),
    ]
    for name, gap in (against or {}).items():
        if gap.high is not None:
            span = f"{gap.value:+.4f}, 95 % {gap.low:+.4f} to {gap.high:+.4f}"
            rules.append((gap.high >= 0, f"test AUC against the control '{name}' {span}: must not be clearly below it"))
    controls = [c for c in contenders if c.role == "control" and c.name not in (against or {})]
    reasons = [f"{'passed' if ok else 'FAILED'}: {text}" for ok, text in rules]
    for control in controls:
        other = control.metrics["auc"].value or 0.0
        better = "above" if auc > other else "not above"
        reasons.append(
            f"for information: {better} the control '{control.name}' at the same size (test AUC {other:.4f})"
        )
    reasons += [f"for information: {note}" for note in notes]
    promoted = all(ok for ok, _ in rules)
    change = f"{delta.value:+.4f}" if delta.value is not None else "unknown"
    span = f" (95 % {delta.low:+.4f} to {delta.high:+.4f})" if delta.low is not None and delta.high is not None else ""
    share = chosen.values / max(full.values, 1)
    headline = (
        f"{chosen.name} keeps {chosen.values:,} of {full.values:,} values ({share:.0%}) and {chosen.fields} of "
        f"{full.fields} fields; its test AUC is {auc:.4f}, {change}{span} against the full net."
    )
    return Verdict(promoted=promoted, chosen=chosen.name, headline=headline, reasons=tuple(reasons), delta_auc=delta)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
