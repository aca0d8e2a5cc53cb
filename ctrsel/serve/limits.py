"""Limits: how much a request may ask for; what is more is refused before it is read, parsed or scored."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctrsel.core.errors import ConfigError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may hold, and how many may wait.

    Attributes:
        rows: Of one request.
        bytes: Of a body.
        text: Characters of one text.
        items: Items of one list.
        reasons: Rows of a request that asks for reasons; each costs a pass per input.
        waiting: Requests that may be scored or wait for it; one more is told to come back later.
        seconds: In which a body must have come.
    """

    rows: int = 10_000
    bytes: int = 16 << 20
    text: int = 10_000
    items: int = 10_000
    reasons: int = 100
    waiting: int = 256
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for f in fields(self):
            if getattr(self, f.name) <= 0:
                raise ConfigError(f"limits.{f.name}: must be above 0, got {getattr(self, f.name)}")
