"""Size: how much a selection may keep, counted in values or in fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ctrsel.core.errors import ConfigError

__all__ = ["Size", "Unit"]

Unit = Literal["values", "fields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """At most so many values over all fields, or exactly so many fields, as far as groups allow it.

    Examples:
        >>> print(Size(number=1200), "or", Size(number=12, of="fields"))
        1,200 values or 12 fields
    """

    number: int
    of: Unit = "values"

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ConfigError(f"size: must not be negative, got {self.number} {self.of}")

    def __str__(self) -> str:
        return f"{self.number:,} {self.of if self.number != 1 else self.of[:-1]}"
