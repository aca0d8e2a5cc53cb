"""Watching: the champion on the newest days with known outcomes, and whether what it is asked has moved."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctrsel.api.champion import champion_model
from ctrsel.api.days import delay_days, newest_days, read_day
from ctrsel.api.evaluate import row_metrics
from ctrsel.api.feed import days_of
from ctrsel.api.versus import field_drift, score_drift
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.config import MonitorConfig, RunConfig
from ctrsel.core.errors import DataError, UnreachableError
from ctrsel.core.log import event, logger
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Metric
from ctrsel.records.review import Review
from ctrsel.records.watch import Watch, WatchLine
from ctrsel.register.versions import VersionFacts, find_version, stored_review
from ctrsel.register.watched import log_watch

__all__ = ["watch"]

_DAY = 86_400  # seconds


def watch(config: RunConfig, *, as_of: datetime.date, out: Path) -> Watch:
    """Score the champion on the newest days, and hold its figures against their limits.

    The outcome stands in `<out>/monitor/<day>.json`, and as metrics by day of the champion's run in MLflow. While the registry
    cannot be reached the last known champion is watched, without what only the registry knows.

    Args:
        config: With `pipelines.ingest_daily`, whose days are read again, and the limits in `pipelines.monitor`.
        as_of: The day at whose end it is looked.
        out: The run's folder.

    Raises:
        ConfigError: If there is no champion, or no source of days.
        DataError: If none of the days can be read.
        UnreachableError: If the registry cannot be reached, and no copy of the champion is there.
    """
    limits = config.pipelines.monitor
    champion = champion_model(config, out=out)
    facts = (
        None if champion.stale else find_version(f"{champion.name}/{champion.version}", config=config.register, out=out)
    )
    known = newest_days(config, days=limits.days, as_of=as_of, place="pipelines.monitor.days")
    asked, notes = known, list(known.notes)
    if delay_days(config):
        # What is asked today is known today, though its outcome is not.
        now = replace(config, schema=replace(config.schema, label=replace(config.schema.label, delay=None)))
        try:
            asked = newest_days(now, days=limits.days, as_of=as_of, place="pipelines.monitor.days")
        except DataError as error:
            notes.append(f"shifts are those of the days with known outcomes, since the newest cannot be read: {error}")
    review = None if facts is None else stored_review(facts, config=config.register, out=out)
    until = None if review is None or not review.data.get("dates") else str(review.data["dates"]).rsplit(" to ", 1)[-1]
    if until is not None and known.first is not None and known.first <= until:
        notes.append(
            f"the version was made of rows until {until}, so part of these may have trained it, which flatters it"
        )
    table = champion.model.encoder.encode(known.rows)
    logits = champion.model.logits(table).astype(np.float64)[:, 0]
    metrics = row_metrics(known.labels, logits, weight=known.weight, groups=known.group, seed=config.seed)
    newest = table if asked is known else champion.model.encoder.encode(asked.rows)
    drift = field_drift(newest, champion.model.encoder, seed=config.seed)
    shifts = {d.field: float(d.distance) for d in drift if d.distance is not None}
    lines = [
        _auc(metrics["auc"], facts, limits),
        _calibration(metrics["calibration_ratio"], limits),
        _plain("log_loss", metrics["log_loss"]),
        *_scores(champion.model, newest, review, limits, seed=config.seed),
        _fields(shifts, {d.field for d in drift if d.moved}, limits),
        *_age(facts, limits),
        *_silence(config, limits, as_of=as_of),
    ]
    found = Watch(
        model=champion.name,
        version=champion.version,
        as_of=as_of.isoformat(),
        rows=len(known.labels),
        positives=int(known.labels.sum()),
        first=known.first,
        last=known.last,
        lines=tuple(lines),
        shift_by_field=shifts,
        unseen_by_field={d.field: d.other for d in drift},
        missing_by_field={d.field: d.missing for d in drift},
        notes=tuple(notes),
    )
    for line in found.alarms:
        logger().warning("alarm", extra={"facts": {"figure": line.figure, "what": line.words}})
    event("watch", rows=found.rows, alarms=len(found.alarms), version=found.version)
    folder = out / "monitor"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_text(folder / f"{as_of.isoformat()}.json", to_json(found.to_dict(), indent=1) + "\n")
    if facts is not None:
        try:
            log_watch(found, run_id=facts.run_id, config=config.register, out=out)
        except UnreachableError as error:
            logger().warning("the figures are not logged to MLflow", extra={"facts": {"why": str(error)}})
    return found


def _span(metric: Metric) -> str:
    if metric.value is None:
        return "cannot be computed"
    span = (
        f" (95 % {metric.low:.4f} to {metric.high:.4f})" if metric.low is not None and metric.high is not None else ""
    )
    return f"{metric.value:.4f}{span}"


def _plain(figure: str, metric: Metric) -> WatchLine:
    words = f"{figure.replace('_', '-')} {_span(metric)}"
    return WatchLine(figure=figure, words=words, alarm=False, value=metric.value, low=metric.low, high=metric.high)


def _auc(metric: Metric, facts: VersionFacts | None, limits: MonitorConfig) -> WatchLine:
    line = _plain("auc", metric)
    registered = None if facts is None else facts.tags.get("test_auc")
    if registered is None or limits.max_auc_loss is None:
        return replace(line, words=f"AUC {_span(metric)}")
    least = float(registered.split()[0]) - limits.max_auc_loss  # its interval stands behind it
    words = f"AUC {_span(metric)}; {registered} on its own test rows, at least {least:.4f} wanted"
    return replace(line, words=words, alarm=metric.high is not None and metric.high < least, limit=least)


def _calibration(metric: Metric, limits: MonitorConfig) -> WatchLine:
    line, least, most = _plain("calibration", metric), limits.min_calibration, limits.max_calibration
    low = least is not None and metric.high is not None and metric.high < least
    high = most is not None and metric.low is not None and metric.low > most
    wanted = [f"at least {least:g}" if least is not None else "", f"at most {most:g}" if most is not None else ""]
    told = " and ".join(w for w in wanted if w)
    words = f"predicted / observed {_span(metric)}" + (f"; {told} wanted" if told else "")
    return replace(line, words=words, alarm=low or high, limit=most if high else least)


def _scores(model: Model, table: Table, review: Review | None, limits: MonitorConfig, *, seed: int) -> list[WatchLine]:
    if review is None or not review.scores:
        return []
    logits = model.logits(table).astype(np.float64)[:, 0]
    found = score_drift("champion", logits, review.scores, review.scored, seed=seed)
    most = limits.max_score_shift
    words = f"scores shifted by {found.distance:.4f} nats (chance stays below {found.limit:.4f})"
    alarm = most is not None and found.distance > max(most, found.limit)
    words += "" if most is None else f"; at most {most:g} wanted"
    return [WatchLine(figure="scores", words=words, alarm=alarm, value=found.distance, limit=most)]


def _fields(shifts: dict[str, float], moved: set[str], limits: MonitorConfig) -> WatchLine:
    most = limits.max_field_shift
    far = sorted((n for n in shifts if n in moved and most is not None and shifts[n] > most), key=lambda n: -shifts[n])
    top = max(shifts, key=lambda n: shifts[n], default=None)
    worst = "no field has a shift" if top is None else f"farthest shift {shifts[top]:.4f} nats, of {top!r}"
    words = f"{worst}; {len(moved)} of {len(shifts)} fields moved more than chance"
    words += "" if most is None else f"; {len(far)} by more than {most:g}" + (f": {', '.join(far[:5])}" if far else "")
    value = None if top is None else shifts[top]
    return WatchLine(figure="fields", words=words, alarm=bool(far), value=value, limit=most)


def _age(facts: VersionFacts | None, limits: MonitorConfig) -> list[WatchLine]:
    if facts is None or facts.created is None:
        return []
    days = (datetime.datetime.now(tz=datetime.UTC).timestamp() - facts.created) / _DAY
    most = limits.max_age
    words = f"version {facts.version} was registered {days:.1f} days ago"
    words += "" if most is None else f"; at most {most} wanted"
    alarm = most is not None and days > most
    return [WatchLine(figure="age", words=words, alarm=alarm, value=days, limit=most)]


def _silence(config: RunConfig, limits: MonitorConfig, *, as_of: datetime.date) -> list[WatchLine]:
    if config.data.store is None:
        return []
    stored = [d.day for d in days_of(config).values() if d.status in ("stored", "waiting")]
    if not stored:
        return []
    last = as_of - datetime.timedelta(days=delay_days(config))
    days = (last - read_day(max(stored), place="day")).days
    words = f"the newest stored day is {max(stored)}, {days} days before the newest one wanted; at most {limits.max_silence}"
    alarm = days > limits.max_silence
    return [WatchLine(figure="silence", words=words, alarm=alarm, value=float(days), limit=float(limits.max_silence))]
