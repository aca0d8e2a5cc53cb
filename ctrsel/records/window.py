"""WindowComparison: two models scored on the same rows, overall and by segment, with drift of inputs and of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ctrsel.records.evaluation import Metric

__all__ = ["Delta", "FieldDrift", "ScoreDrift", "SegmentDelta", "WindowComparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One metric of both models and the challenger's minus the champion's, with its paired interval at 95 %."""

    champion: float | None
    challenger: float | None
    difference: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDelta:
    """Both models on the rows with one value of a field; of 20 rows or more, a salted hash for a sensitive field.

    Attributes:
        field: Which column.
        value: The value's text; None where it is missing.
        rows: How many.
        observed: Share of positives.
        champion_ratio: Predicted over observed; None without positives.
        challenger_ratio: Likewise.
        auc: Both areas and their difference; None where a class is absent.
    """

    field: str
    value: str | None
    rows: int
    observed: float
    champion_ratio: float | None
    challenger_ratio: float | None
    auc: Delta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDrift:
    """How far a field's values in the window are from those that the challenger was trained on.

    Attributes:
        field: Which field.
        other: Share of the window's rows whose value has no code of its own.
        other_trained: The same in training; None for fields that stay floats or share a vocabulary.
        missing: Share of rows without a value.
        missing_trained: Likewise.
        distance: Jensen-Shannon divergence of the shares of values, in nats; None for floats and shared vocabularies.
        limit: What 95 % of samples of the same sizes from one distribution stay below.
    """

    field: str
    other: float
    other_trained: float | None
    missing: float
    missing_trained: float | None
    distance: float | None
    limit: float | None

    @property
    def moved(self) -> bool:
        """Whether the distance is more than chance."""
        return self.distance is not None and self.limit is not None and self.distance > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDrift:
    """How far a model's scores in the window are from those on the test rows of its own run.

    Attributes:
        model: champion or challenger.
        distance: Population stability index over 10 bins of equal mass, in nats.
        limit: What 95 % of samples of the same sizes from one distribution stay below.
    """

    model: str
    distance: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowComparison:
    """Champion and challenger on the same rows.

    Attributes:
        source: Where the rows came from, for people.
        rows: How many.
        positives: Positive ones among them.
        first: The oldest row's moment, None without a time column.
        last: The newest row's moment.
        young: Rows left out since their outcome may still come.
        metrics: auc, log_loss and calibration_ratio.
        segments: By field and value.
        drift: By field, farthest first.
        scores: Of each model whose run kept what its scores were.
        notes: What a reader should know of the rows.
    """

    source: str
    rows: int
    positives: int
    metrics: Mapping[str, Delta]
    first: str | None = None
    last: str | None = None
    young: int = 0
    segments: tuple[SegmentDelta, ...] = ()
    drift: tuple[FieldDrift, ...] = ()
    scores: tuple[ScoreDrift, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> WindowComparison:
        """Rebuild from `to_dict`."""
        parts = ("metrics", "segments", "drift", "scores", "notes")
        return WindowComparison(
            metrics={k: _delta(v) for k, v in given["metrics"].items()},
            segments=tuple(
                SegmentDelta(**{**s, "auc": None if s["auc"] is None else _delta(s["auc"])}) for s in given["segments"]
            ),
            drift=tuple(FieldDrift(**d) for d in given["drift"]),
            scores=tuple(ScoreDrift(**s) for s in given["scores"]),
            notes=tuple(given["notes"]),
            **{k: v for k, v in given.items() if k not in parts},
        )


def _delta(given: Mapping[str, Any]) -> Delta:
    return Delta(**{**given, "difference": Metric(**given["difference"])})
