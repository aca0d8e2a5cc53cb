"""Progressive: a learner judged on each day by what it had learned until the day before, and the mean over the days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest
from ctrsel.records.evaluation import Metric

__all__ = ["DayResult", "Progressive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """One day that a model was tested on before anything was learned from it.

    Attributes:
        day: The period's name: a date or a number.
        rows: How many rows each of train, valid and test had.
        metrics: On the day, as in `Evaluation.metrics`.
        valid: On the last rows before the day, by which training was stopped.
        model: Digest of the model.
        start: Digest of the model that it went on from; None for fresh weights.
        values: How many values it had codes for.
        new_values: Of these, how many its start did not know; None without a start.
        epochs: How long it was trained, None for trees.
        seconds: Of training.
    """

    day: str
    rows: Mapping[str, int]
    metrics: Mapping[str, Metric]
    valid: Mapping[str, float]
    model: str
    start: str | None
    values: int
    new_values: int | None
    epochs: int | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "rows": dict(self.rows), "valid": dict(self.valid)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressive:
    """The days of a progressive evaluation.

    Attributes:
        table: Digest of the table.
        learner: Its `{use: ..., parameters}`.
        protocol: How days were made and what was trained on: by, history, warm, window, valid, seed.
        days: In the order of time.
        mean: Over the days, each counted once, with an interval from how much they differ (Student's t): it says how well
            the mean of such days is known, as if days were independent.
    """

    table: str
    learner: Mapping[str, Any]
    protocol: Mapping[str, Any]
    days: tuple[DayResult, ...]
    mean: Mapping[str, Metric]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "table": self.table,
            "learner": dict(self.learner),
            "protocol": dict(self.protocol),
            "days": [d.to_dict() for d in self.days],
            "mean": {k: asdict(v) for k, v in self.mean.items()},
        }

    @property
    def digest(self) -> str:
        """Digest of everything but the clock."""
        whole = self.to_dict()
        for day in whole["days"]:
            del day["seconds"]
        return digest_json(whole)

    def rows(self) -> tuple[list[str], list[list[Any]]]:
        """Return a header and a line per day, then one for the mean."""
        header = ["day", "train", "test", "base_rate", "auc", "low", "high", "log_loss", "calibration", "new values"]
        lines: list[list[Any]] = []
        for d in self.days:
            fresh = None if d.new_values is None else f"{d.new_values:,} of {d.values:,}"
            lines.append([d.day, d.rows["train"], d.rows["test"], *_shown(d.metrics), fresh])
        lines.append([f"mean of {len(self.days)}", None, None, *_shown(self.mean), None])
        return header, lines

    def save(self, path: Path) -> None:
        """Save as a folder with a manifest alone."""
        with atomic_folder(Path(path), manifest={"format": "ctrsel.progressive", "version": 1, **self.to_dict()}):
            pass

    @staticmethod
    def load(path: Path) -> Progressive:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.progressive", version=1)
        return Progressive(
            table=m["table"],
            learner=m["learner"],
            protocol=m["protocol"],
            days=tuple(day_of(d) for d in m["days"]),
            mean={k: Metric(**v) for k, v in m["mean"].items()},
        )


def day_of(told: Mapping[str, Any]) -> DayResult:
    """Return a day from plain values."""
    return DayResult(**{**told, "metrics": {k: Metric(**v) for k, v in told["metrics"].items()}})


def _shown(metrics: Mapping[str, Metric]) -> list[float | None]:
    auc = metrics["auc"]
    others = [metrics[k].value if k in metrics else None for k in ("base_rate", "log_loss", "calibration_ratio")]
    return [others[0], auc.value, auc.low, auc.high, *others[1:]]
