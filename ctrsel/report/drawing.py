"""Pieces of charts as SVG text: scales with round ticks, and tags whose every text and attribute is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from ctrsel.report.wording import visible

__all__ = ["LETTER", "Scale", "drawing", "fit_label", "grid", "tag"]

LETTER = 7.2  # pixels that one letter of 12 pixels height takes at most, on average
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


def tag(name: str, /, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """Return one element; an attribute of None is left out, `_` in a name is `-`, `class_` is `class`.

    Examples:
        >>> str(tag("text", "<a>", x=1.5, class_="mark"))
        '<text x="1.5" class="mark">&lt;a&gt;</text>'
        >>> str(tag("g", tag("circle", r=2)))
        '<g><circle r="2"/></g>'
    """
    words = []
    for key, value in attributes.items():
        if value is None:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        written = visible(value) if isinstance(value, str) else _short(value)
        words.append(Markup(' {}="{}"').format(attribute, written))
    inside = Markup("").join(c if isinstance(c, Markup) else escape(visible(c)) for c in children)
    head = Markup("<{}{}").format(Markup(name), Markup("").join(words))
    return head + (Markup(">{}</{}>").format(inside, Markup(name)) if children else Markup("/>"))


def _short(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"a drawing needs finite numbers, got {value}")
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def drawing(name: str, *body: Markup, width: float, height: float, title: str, description: str) -> Markup:
    """Return a whole drawing, which is also told in words.

    Args:
        name: Unique on the page, of letters and hyphens.
        body: What is drawn.
        width: Of the drawing, in its own units (pixels at full size).
        height: Likewise.
        title: What it shows, in a few words.
        description: What one sees in it, for those who do not.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-text"),
        *body,
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-text",
        class_=f"chart {name}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A scale from numbers to pixels.

    Attributes:
        low: The least number, drawn at `start`.
        high: The greatest, drawn at `end`.
        start: Pixels.
        end: Pixels; may be less than `start` (upwards).
        kind: linear, log (numbers above 0), or root (square root, numbers from 0).
    """

    low: float
    high: float
    start: float
    end: float
    kind: Literal["linear", "log", "root"] = "linear"

    @staticmethod
    def around(
        values: Sequence[float],
        *,
        start: float,
        end: float,
        kind: Literal["linear", "log", "root"] = "linear",
        room: float = 0.06,
    ) -> Scale:
        """Return a scale that holds these numbers with some room on both sides.

        Examples:
            >>> s = Scale.around([1.0, 3.0], start=0, end=100)
            >>> 0 < s(1.0) < s(3.0) < 100
            True
        """
        low, high = min(values), max(values)
        if kind == "log":
            a, b = math.log(low), math.log(high)
            pad = (b - a) * room or 0.5
            return Scale(low=math.exp(a - pad), high=math.exp(b + pad), start=start, end=end, kind=kind)
        pad = (high - low) * room or max(abs(high), 1e-6) * 0.05
        least = max(low - pad, 0.0) if kind == "root" else low - pad
        return Scale(low=least, high=high + pad, start=start, end=end, kind=kind)

    def __call__(self, value: float) -> float:
        """Return the place of a number; what lies outside is drawn at the edge."""
        inside = min(max(value, self.low), self.high)
        a, b, x = self._flat(self.low), self._flat(self.high), self._flat(inside)
        return self.start + (self.end - self.start) * ((x - a) / (b - a) if b > a else 0.5)

    def _flat(self, value: float) -> float:
        return math.log(value) if self.kind == "log" else math.sqrt(value) if self.kind == "root" else value

    def ticks(self, wanted: int = 5, *, gap: float = 0.0) -> tuple[float, ...]:
        """Return round numbers inside the scale, about so many, at least `gap` pixels apart.

        Examples:
            >>> Scale(low=0.0, high=1.0, start=0, end=100).ticks(5)
            (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
            >>> Scale(low=1.0, high=1000.0, start=0, end=100, kind="log").ticks(4)
            (1.0, 10.0, 100.0, 1000.0)
            >>> Scale(low=0.0, high=0.5, start=0, end=300, kind="root").ticks(gap=40)
            (0.0, 0.01, 0.05, 0.2, 0.5)
        """
        found = self._log_ticks(wanted) if self.kind == "log" else self._linear_ticks(wanted)
        if self.kind == "root":
            found = (0.0, *(round(s * 10.0**p, 12) for p in range(-6, 7) for s in (1.0, 2.0, 5.0)))
        apart: list[float] = []
        for t in found:
            inside = self.low * 0.9999 <= t <= self.high * 1.0001 or self.kind == "linear"
            if inside and (not apart or abs(self(t) - self(apart[-1])) >= gap):
                apart.append(t)
        return tuple(apart) or self._linear_ticks(wanted)[:1] or (self.low,)

    def _linear_ticks(self, wanted: int) -> tuple[float, ...]:
        rough = (self.high - self.low) / max(wanted, 1)
        if rough <= 0:
            return (self.low,)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(r * power for r in _ROUND if r * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(i * step, 12) for i in range(first, last + 1))

    def _log_ticks(self, wanted: int) -> tuple[float, ...]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: tuple[float, ...] = ()
        for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)):
            found = tuple(s * 10.0**p for p in powers for s in steps)
            found = tuple(t for t in found if self.low * 0.9999 <= t <= self.high * 1.0001)
            if len(found) >= min(wanted, 3):
                break
        return found or (self.low, self.high)


def grid(scale: Scale, marks: Sequence[tuple[float, str]], *, at: float, other: float, upright: bool) -> Markup:
    """Return grid lines with their numbers.

    Args:
        scale: Along the axis.
        marks: Numbers and how they are written.
        at: Where the numbers stand (for an upright scale the x of the axis, else the y).
        other: Where the lines end.
        upright: Whether the scale runs upwards.
    """
    parts = []
    for value, written in marks:
        p = scale(value)
        if upright:
            parts.append(tag("line", x1=at, x2=other, y1=p, y2=p, class_="grid"))
            parts.append(tag("text", written, x=at - 6, y=p + 4, text_anchor="end", class_="tick"))
        else:
            parts.append(tag("line", x1=p, x2=p, y1=at, y2=other, class_="grid"))
            parts.append(tag("text", written, x=p, y=at + 16, text_anchor="middle", class_="tick"))
    return Markup("").join(parts)


def fit_label(words: str, pixels: float) -> str:
    """Shorten a label in the middle so that it fits into so many pixels."""
    from ctrsel.report.wording import shorten

    return shorten(words, max(int(pixels / LETTER), 3))
