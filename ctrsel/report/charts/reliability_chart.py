"""Observed over predicted rates in bins of equal mass, with Wilson's interval of each observed rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ctrsel.report.drawing import Scale, drawing, grid, tag
from ctrsel.report.numbers import percent

__all__ = ["reliability_chart"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540.0, 400.0, 62.0, 524.0, 14.0, 348.0


def reliability_chart(bins: Sequence[Mapping[str, float]], *, name: str, of: str, tone: str, high: float) -> Markup:
    """Draw one model's bins.

    Both axes are square roots, so that the low rates of clicks and conversions do not fall into one corner.

    Args:
        bins: `{"predicted", "observed", "low", "high", "rows"}` each.
        name: Unique on the page.
        of: The model.
        tone: Its role, or "chosen".
        high: The greatest rate drawn, so that two charts can be compared.
    """
    x = Scale(low=0.0, high=high, start=_LEFT, end=_RIGHT, kind="root")
    y = Scale(low=0.0, high=high, start=_BOTTOM, end=_TOP, kind="root")
    digits = 0 if high > 0.3 else 1
    marks = [(t, _rate(t, digits)) for t in x.ticks(gap=44)]
    body = [
        grid(y, marks, at=_LEFT, other=_RIGHT, upright=True),
        grid(x, marks, at=_BOTTOM, other=_TOP, upright=False),
        tag("line", x1=x(0), y1=y(0), x2=x(high), y2=y(high), class_="reference"),
        tag(
            "text",
            "predicted rate (square root)",
            x=(_LEFT + _RIGHT) / 2,
            y=_BOTTOM + 40,
            text_anchor="middle",
            class_="axis",
        ),
        tag(
            "text",
            "observed rate",
            x=16,
            y=(_TOP + _BOTTOM) / 2,
            text_anchor="middle",
            transform=f"rotate(-90 16 {(_TOP + _BOTTOM) / 2:.0f})",
            class_="axis",
        ),
    ]
    points = []
    outside = 0
    for b in bins:
        px = x(b["predicted"])
        outside += not b["low"] <= b["predicted"] <= b["high"]
        points.append(
            tag(
                "g",
                tag(
                    "title",
                    f"{b['rows']:,.0f} rows: predicted {percent(b['predicted'], 2)}, observed {percent(b['observed'], 2)}"
                    f" (95 % {percent(b['low'], 2)} to {percent(b['high'], 2)})",
                ),
                tag("line", x1=px, x2=px, y1=y(b["low"]), y2=y(b["high"]), class_="whisker"),
                tag("circle", cx=px, cy=y(b["observed"]), r=4, class_="dot"),
            )
        )
    return drawing(
        name,
        *body,
        tag("g", *points, class_=f"tone-{tone}") if points else Markup(""),
        width=_WIDTH,
        height=_HEIGHT,
        title=f"Reliability of {of}",
        description=f"In {outside} of {len(bins)} bins of equal mass the predicted rate lies outside the interval of the observed one.",
    )


def _rate(value: float, digits: int) -> str:
    text = f"{100 * value:.4f}".rstrip("0").rstrip(".") if value < 0.01 else f"{100 * value:.{digits}f}"
    return f"{text} %"
