"""Setting: the time of a planted table, and the runs of rows that depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.core.errors import ConfigError

__all__ = ["Clock", "Sessions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Rows in the order of time, which a column tells in whole seconds.

    Attributes:
        name: The column's name.
        days: How long the table lasts.
        start: First second, since 1970.
        rate: Log-odds that are added to the label at the end, in a straight line from 0 at the beginning.
    """

    name: str = "time"
    days: float = 30.0
    start: int = 1_700_000_000
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Runs of neighbouring rows that depend on each other; none crosses the end of a block.

    Attributes:
        rows: Mean length, rows; lengths are geometric.
        effect: Standard deviation of the log-odds that a session adds to each of its rows; no field tells it.
    """

    rows: float = 10.0
    effect: float = 0.0

    def __post_init__(self) -> None:
        if self.rows < 1.0:
            raise ConfigError(f"sessions.rows: must be at least 1, got {self.rows:g}")
