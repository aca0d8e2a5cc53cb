"""Durations as people write them: "90s", "2min", "7d"."""

from __future__ import annotations

import re

from ctrsel.core.errors import ConfigError

__all__ = ["seconds"]

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, *, place: str) -> float:
    """Return a duration in seconds.

    Args:
        text: A number and a unit: s, min (or m), h, d, w.
        place: The config key, for the error.

    Raises:
        ConfigError: If it is none.

    Examples:
        >>> seconds("2min", place="register.patience")
        120.0
        >>> seconds("soon", place="register.patience")
        Traceback (most recent call last):
        ctrsel.core.errors.ConfigError: register.patience: must be a number and a unit (s, min, h, d, w), such as 7d or 2min, got 'soon'
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)", str(text).strip())
    if found is None:
        raise ConfigError(f"{place}: must be a number and a unit (s, min, h, d, w), such as 7d or 2min, got {text!r}")
    return float(found[1]) * _UNITS[found[2]]
