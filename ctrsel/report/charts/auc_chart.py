"""The test AUC of every contender with its interval, against the full net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ctrsel.report.drawing import LETTER, Scale, drawing, fit_label, grid, tag
from ctrsel.report.numbers import plain

__all__ = ["Mark", "auc_chart"]

_WIDTH, _ROW, _TOP = 540.0, 34.0, 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One contender's AUC with its interval; `tone` is its role, or "chosen"."""

    name: str
    value: float
    low: float | None
    high: float | None
    tone: str


def auc_chart(marks: Sequence[Mark], *, full: float | None) -> Markup:
    """Draw one row a contender.

    Args:
        marks: In the order in which they are drawn, from above.
        full: The full net's AUC, a dashed line; None = no line.
    """
    ends = [m.value for m in marks] + [x for m in marks for x in (m.low, m.high) if x is not None]
    left = min(max(len(m.name) for m in marks) * LETTER + 14, 220.0)
    scale = Scale.around(ends, start=left, end=_WIDTH - 64)
    bottom = _TOP + _ROW * len(marks)
    digits = 4 if scale.high - scale.low < 0.005 else 3 if scale.high - scale.low < 0.2 else 2
    body = [
        grid(scale, [(t, f"{t:.{digits}f}") for t in scale.ticks(4, gap=44)], at=bottom, other=_TOP - 6, upright=False)
    ]
    if full is not None:
        body.append(tag("line", x1=scale(full), x2=scale(full), y1=_TOP - 6, y2=bottom, class_="reference"))
    for i, mark in enumerate(marks):
        y = _TOP + _ROW * (i + 0.5)
        span = "" if mark.low is None or mark.high is None else f", 95 % {mark.low:.4f} to {mark.high:.4f}"
        parts = [tag("title", f"{mark.name}: {mark.value:.4f}{span}")]
        if mark.low is not None and mark.high is not None:
            parts.append(tag("line", x1=scale(mark.low), x2=scale(mark.high), y1=y, y2=y, class_="whisker"))
        parts.append(tag("circle", cx=scale(mark.value), cy=y, r=5, class_="dot"))
        parts.append(
            tag("text", fit_label(mark.name, left - 10), x=left - 12, y=y + 4, text_anchor="end", class_="label")
        )
        parts.append(tag("text", plain(mark.value), x=_WIDTH - 4, y=y + 4, text_anchor="end", class_="figure"))
        body.append(tag("g", *parts, class_=f"tone-{mark.tone}"))
    best = max(marks, key=lambda m: m.value)
    return drawing(
        "auc-chart",
        *body,
        width=_WIDTH,
        height=bottom + 26,
        title="Test AUC by contender with its interval at 95 %",
        description=f"{len(marks)} contenders; the highest AUC is {best.value:.4f} ({best.name}).",
    )
