"""What each field tells alone beside what the chosen model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ctrsel.report.drawing import LETTER, Scale, drawing, fit_label, grid, tag

__all__ = ["Bar", "field_chart"]

_WIDTH, _ROW, _TOP = 860.0, 20.0, 30.0
_GAP = 36.0  # between the two sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One field: its score alone, the model's mean attribution with its standard error, and whether it is kept."""

    name: str
    score: float | None
    attribution: float | None
    error: float | None
    kept: bool


def field_chart(bars: Sequence[Bar], *, score: str, unit: str) -> Markup:
    """Draw one row a field, in the order given.

    Args:
        bars: The fields.
        score: What the left bars are.
        unit: And in which unit.
    """
    bottom = _TOP + _ROW * len(bars)
    names = min(max(len(b.name) for b in bars) * LETTER + 8, 290.0)
    half = (_WIDTH - names - 10 - _GAP - 20) / 2
    first, second = names + 10, names + 10 + half + _GAP
    left = Scale(low=0.0, high=max([b.score or 0.0 for b in bars] + [1e-9]) * 1.05, start=first, end=first + half)
    tops = [(b.attribution or 0.0) + 2 * (b.error or 0.0) for b in bars]
    right = Scale(low=0.0, high=max([*tops, 1e-9]) * 1.05, start=second, end=second + half)
    attributed = any(b.attribution is not None for b in bars)
    body = [
        grid(left, [(t, f"{t:,.6g}") for t in left.ticks(4, gap=48)], at=bottom, other=_TOP - 4, upright=False),
        tag("text", f"{score}, {unit}" if unit else score, x=first, y=_TOP - 14, class_="axis"),
    ]
    if attributed:
        body.append(
            grid(right, [(t, f"{t:,.6g}") for t in right.ticks(4, gap=48)], at=bottom, other=_TOP - 4, upright=False)
        )
        body.append(tag("text", "attribution in the chosen model, log-odds", x=second, y=_TOP - 14, class_="axis"))
    for i, bar in enumerate(bars):
        y = _TOP + _ROW * i
        told = f"{bar.name} ({'kept' if bar.kept else 'dropped'})"
        parts = [tag("text", fit_label(bar.name, names), x=names, y=y + 14, text_anchor="end", class_="label")]
        if bar.score is not None:
            told += f": {score} {bar.score:.5g} {unit}".rstrip()
            width = max(left(max(bar.score, 0.0)) - first, 1.0)
            parts.append(tag("rect", x=first, y=y + 4, width=width, height=_ROW - 8, class_="bar"))
        if bar.attribution is not None:
            told += f"; attribution {bar.attribution:.4f}"
            width = max(right(bar.attribution) - second, 1.0)
            parts.append(tag("rect", x=second, y=y + 4, width=width, height=_ROW - 8, class_="bar"))
            if bar.error is not None and bar.error == bar.error:
                told += f" with standard error {bar.error:.4f}"
                ends = right(max(bar.attribution - 2 * bar.error, 0.0)), right(bar.attribution + 2 * bar.error)
                parts.append(tag("line", x1=ends[0], x2=ends[1], y1=y + 10, y2=y + 10, class_="error"))
        elif attributed:
            parts.append(
                tag(
                    "text",
                    "not in the model" if not bar.kept else "not explained",
                    x=second + 4,
                    y=y + 14,
                    class_="tick",
                )
            )
        body.append(tag("g", tag("title", told), *parts, class_="tone-kept" if bar.kept else "tone-dropped"))
    return drawing(
        "field-chart",
        *body,
        width=_WIDTH,
        height=bottom + 26,
        title="Fields: what each tells alone, and what the chosen model makes of it",
        description=f"{len(bars)} fields, {sum(b.kept for b in bars)} of them kept.",
    )
