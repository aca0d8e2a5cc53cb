"""Configuration of scheduled work: the section `pipelines`, which `ctrsel run` itself does not read."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["FeedConfig", "MonitorConfig", "PipelinesConfig", "ScoreConfig", "WarmConfig", "WindowConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """Where each day's rows come from; they are added to `data.store`, each day once.

    In a source `{day}` is the date (2026-01-31), and `{day:%Y/%m/%d}` the date in another form.
    """

    source: str  # a path, a glob, a URI or a query, with {day}
    first: str  # the first day, 2026-01-01
    give_up: int = 30  # days after which a missing or refused day is no longer looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Which rows are looked at: those of the newest days whose outcomes are known."""

    days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmConfig:
    """What a scheduled training goes on from."""

    start: bool = False  # from the champion, if there is one
    newest: str | None = None  # then on the training rows of the last "1d" only


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreConfig:
    """Which rows are scored each day, and where the scores go; `{day}` as in the feed."""

    source: str
    out: str
    keep: tuple[str, ...] = ()  # columns that are copied beside the scores
    details: bool = False  # also the logit, and how many values were unseen and missing


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorConfig:
    """What is watched of the champion on the newest days, and when that is an alarm (exit code 6).

    An interval must lie beyond its limit as a whole, so that few rows raise no alarm.
    """

    days: int = 7
    max_auc_loss: float | None = 0.02  # below the AUC on the test rows of the champion's own run
    min_calibration: float | None = 0.8  # predicted / observed
    max_calibration: float | None = 1.25
    max_score_shift: float | None = 0.25  # population stability index of the scores, nats
    max_field_shift: float | None = 0.1  # Jensen-Shannon divergence of a field's values, nats
    max_age: int | None = None  # days since the champion was registered
    max_silence: int = 2  # days since the newest stored day


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinesConfig:
    """What the scheduled pipelines do, a section for each; one that is not given is not run."""

    ingest_daily: FeedConfig | None = None
    rank_weekly: WindowConfig = field(default_factory=lambda: WindowConfig(days=28))
    select_and_train: WarmConfig = field(default_factory=WarmConfig)
    score_batch: ScoreConfig | None = None
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    promote: WindowConfig = field(default_factory=WindowConfig)
    metrics: str | None = None  # folder of Prometheus' textfile collector
    retries: int = 3  # how often work is tried again when a server or storage cannot be reached
