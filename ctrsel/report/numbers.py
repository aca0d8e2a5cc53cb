"""How numbers are written: the same precision for the same quantity everywhere."""

from __future__ import annotations

import math

from ctrsel.records.evaluation import Metric

__all__ = [
    "DASH",
    "auc",
    "change",
    "count",
    "interval",
    "p_value",
    "percent",
    "plain",
    "seconds",
    "share",
    "signed",
    "size",
]

DASH = "\u2013"
_MINUS = "\u2212"


def plain(value: float | None, digits: int = 4) -> str:
    """Write a number, or a dash where there is none.

    Examples:
        >>> plain(0.12345), plain(None), plain(-1234.5, 1)
        ('0.1235', '\u2013', '\u22121,234.5')
    """
    return DASH if value is None or math.isnan(value) else f"{value:,.{digits}f}".replace("-", _MINUS)


def auc(metric: Metric | None) -> str:
    """Write an AUC with four digits."""
    return plain(metric.value if metric else None)


def signed(value: float | None, digits: int = 4) -> str:
    """Write a difference with its sign; what rounds to nothing has none.

    Examples:
        >>> signed(0.5, 1), signed(-0.5, 1), signed(-0.00001)
        ('+0.5', '\u22120.5', '0.0000')
    """
    if value is None or math.isnan(value):
        return DASH
    if round(value, digits) == 0:
        return f"{0:.{digits}f}"
    return f"{value:+,.{digits}f}".replace("-", _MINUS)


def interval(metric: Metric | None, digits: int = 4, *, sign: bool = False) -> str:
    """Write an interval, empty where there is none.

    Examples:
        >>> interval(Metric(value=0.5, low=0.4, high=0.6)), interval(Metric(value=0.5))
        ('0.4000 to 0.6000', '')
    """
    if metric is None or metric.low is None or metric.high is None:
        return ""
    write = signed if sign else plain
    return f"{write(metric.low, digits)} to {write(metric.high, digits)}"


def count(value: float | None) -> str:
    """Write a whole number with thousands separators."""
    return DASH if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share as a percentage; what is not all is never written as all, nor some as none.

    Examples:
        >>> percent(0.123), percent(0.99999), percent(0.0001), percent(1.0), percent(0.0)
        ('12.3 %', '> 99.9 %', '< 0.1 %', '100.0 %', '0.0 %')
    """
    if value is None or math.isnan(value):
        return DASH
    step = 0.1**digits
    text = f"{100 * value:.{digits}f}"
    if 0 < value < 1 and float(text) >= 100:
        return f"> {100 - step:.{digits}f} %"
    if 0 < value < 1 and float(text) == 0:
        return f"< {step:.{digits}f} %"
    return f"{text} %"


def share(part: float, whole: float) -> str:
    """Write one number as a percentage of another, a dash where that has no meaning."""
    return f"{100 * part / whole:.0f} %" if whole > 0 else DASH


def change(new: float, old: float) -> str:
    """Write how much more or less something is, in percent of the old.

    Examples:
        >>> change(30, 40), change(50, 40), change(1, 0)
        ('\u221225 %', '+25 %', '\u2013')
    """
    return f"{signed(100 * (new / old - 1), 0)} %" if old > 0 else DASH


def size(value: float) -> str:
    """Write bytes for people (1 kB = 1,000 bytes).

    Examples:
        >>> size(2_500_000), size(900)
        ('2.5 MB', '900 B')
    """
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= step:
            return f"{value / step:.1f} {unit}"
    return f"{value:.0f} B"


def seconds(value: float) -> str:
    """Write a duration.

    Examples:
        >>> seconds(3.21), seconds(200)
        ('3.2 s', '3 min 20 s')
    """
    if value < 100:
        return f"{value:.1f} s"
    return f"{int(value) // 60:,} min {int(value) % 60} s"


def p_value(value: float | None) -> str:
    """Write a p- or q-value; below 0.0001 only that it is."""
    if value is None or math.isnan(value):
        return DASH
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
