"""What a contender costs on disk against what it is worth in test AUC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ctrsel.report.drawing import Scale, drawing, fit_label, grid, tag
from ctrsel.report.numbers import size

__all__ = ["Point", "size_chart", "spread"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540.0, 330.0, 58.0, 330.0, 16.0, 280.0
_GAP = 18.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One contender; `tone` is its role, or "chosen"."""

    name: str
    bytes: int
    auc: float
    tone: str


def spread(places: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that neighbours are at least `gap` from each other, inside the limits where they fit.

    Examples:
        >>> spread([10.0, 11.0, 50.0], gap=10, low=0, high=60)
        [10.0, 20.0, 50.0]
        >>> spread([58.0, 59.0], gap=10, low=0, high=60)
        [50, 60]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    at = low
    for i in order:
        moved[i] = at = max(places[i], at)
        at += gap
    at = high
    for i in reversed(order):
        moved[i] = at = min(moved[i], at)
        at -= gap
    return moved


def size_chart(points: Sequence[Point]) -> Markup:
    """Draw AUC over bytes (logarithmic); the names stand at the right, each joined to its point."""
    x = Scale.around([float(max(p.bytes, 1)) for p in points], start=_LEFT, end=_RIGHT, kind="log", room=0.08)
    y = Scale.around([p.auc for p in points], start=_BOTTOM, end=_TOP, room=0.08)
    digits = 4 if y.high - y.low < 0.005 else 3
    body = [
        grid(y, [(t, f"{t:.{digits}f}") for t in y.ticks(5)], at=_LEFT, other=_RIGHT, upright=True),
        grid(x, [(t, size(t).replace(".0 ", " ")) for t in x.ticks(3, gap=52)], at=_BOTTOM, other=_TOP, upright=False),
        tag(
            "text",
            "size on disk (logarithmic)",
            x=(_LEFT + _RIGHT) / 2,
            y=_BOTTOM + 38,
            text_anchor="middle",
            class_="axis",
        ),
    ]
    labels = spread([y(p.auc) for p in points], gap=_GAP, low=_TOP, high=_BOTTOM + 20)
    for p, at in zip(points, labels, strict=True):
        px, py = x(float(max(p.bytes, 1))), y(p.auc)
        body.append(
            tag(
                "g",
                tag("title", f"{p.name}: {size(p.bytes)}, AUC {p.auc:.4f}"),
                tag("path", d=f"M{px:.1f} {py:.1f}L{_RIGHT + 6:.1f} {at:.1f}", class_="leader"),
                tag("circle", cx=px, cy=py, r=5.5, class_="dot"),
                tag("text", fit_label(p.name, _WIDTH - _RIGHT - 12), x=_RIGHT + 10, y=at + 4, class_="label"),
                class_=f"tone-{p.tone}",
            )
        )
    small = min(points, key=lambda p: p.bytes)
    return drawing(
        "size-chart",
        *body,
        width=_WIDTH,
        height=_HEIGHT,
        title="Test AUC over the size on disk",
        description=f"{len(points)} contenders; the smallest is {small.name} with {size(small.bytes)} and AUC {small.auc:.4f}.",
    )
