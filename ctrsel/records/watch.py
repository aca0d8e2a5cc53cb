"""Watch: how a model in use does on the newest days, figure by figure beside its limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Watch", "WatchLine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLine:
    """One figure.

    Attributes:
        figure: auc, log_loss, calibration, scores, fields, age or silence.
        words: One sentence with the figure, its interval and its limit.
        alarm: Whether it is beyond its limit.
        value: The figure; None where it could not be computed.
        low: End of its interval at 95 %.
        high: The other end.
        limit: What it is held against; None where it is not.
    """

    figure: str
    words: str
    alarm: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A model in use on the newest days.

    Attributes:
        model: The registered model.
        version: Its champion.
        as_of: The day at whose end it was looked.
        rows: With known outcomes.
        positives: Among them.
        first: The oldest of these rows, None without a time column.
        last: The newest.
        lines: The figures.
        shift_by_field: Jensen-Shannon divergence of each field's values from those trained on, nats; fields that have one.
        unseen_by_field: Share of rows whose value has no code of its own.
        missing_by_field: Share of rows without a value.
        notes: What a reader should know of the rows.
    """

    model: str
    version: int
    as_of: str
    rows: int
    positives: int
    lines: tuple[WatchLine, ...]
    first: str | None = None
    last: str | None = None
    shift_by_field: Mapping[str, float] = field(default_factory=dict)
    unseen_by_field: Mapping[str, float] = field(default_factory=dict)
    missing_by_field: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[WatchLine, ...]:
        """The figures beyond their limits."""
        return tuple(line for line in self.lines if line.alarm)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; numbers at the top for a collector of metrics."""
        figures = {line.figure: line.value for line in self.lines if line.value is not None}
        return {**asdict(self), **figures, "alarms": len(self.alarms)}
