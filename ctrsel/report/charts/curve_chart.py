"""Quality against size, a line with whiskers for each contestant; a drawing that also stands as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ctrsel.report.charts.size_chart import spread
from ctrsel.report.drawing import LETTER, Scale, drawing, fit_label, grid, tag

__all__ = ["Line", "Panel", "curve_chart"]

_HEIGHT, _LEFT, _TOP, _BOTTOM, _PLOT, _GAP = 300.0, 60.0, 34.0, 244.0, 250.0, 15.0
_COLOURS = ("#0b6fa4", "#c4622d", "#2f7d4f", "#7b4ea3", "#9a7400", "#a8325e", "#3d6b6b", "#6b5b4b")
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.tick, .axis { fill: #666 }
.title { font-weight: 600 }
.grid { stroke: #ddd }
.reference { stroke: #777; stroke-dasharray: 4 3 }
.line { fill: none; stroke-width: 1.6 }
.named .line { stroke-width: 3 }
.named text { font-weight: 600 }
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One contestant: AUC at some sizes, with limits where there are some; `named` is drawn bold."""

    name: str
    shares: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One judge: its lines, and the full model's AUC as a dashed line where it is known."""

    title: str
    lines: tuple[Line, ...]
    full: float | None = None


def curve_chart(panels: Sequence[Panel], *, split: str, unit: str, level: str = "95 %") -> Markup:
    """Draw a panel per judge, side by side; colours are the same in all.

    Args:
        panels: From the left; those without a point are left out.
        split: Of the AUC.
        unit: What sizes are shares of.
        level: Of the whiskers, for the title.
    """
    drawn = [p for p in panels if any(line.values for line in p.lines)]
    names = list(dict.fromkeys(line.name for p in drawn for line in p.lines if line.values))
    colour = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    room = min(max((len(n) for n in names), default=0) * LETTER + 24, 190.0)
    width = _LEFT + _PLOT + room
    body = [tag("style", Markup(_STYLE))]
    for i, panel in enumerate(drawn):
        inside = _panel(panel, colour, split=split, unit=unit, room=room)
        body.append(tag("g", *inside, transform=f"translate({i * width:.0f} 0)"))
    if not drawn:
        body.append(tag("text", "nothing was run", x=20.0, y=40.0))
    svg = drawing(
        "curve-chart",
        *body,
        width=max(width * len(drawn), 200.0),
        height=_HEIGHT,
        title=f"AUC on {split} against the share of {unit} kept, with intervals at {level} over seeds",
        description=f"{len(names)} contestants before {len(drawn)} judges.",
    )
    # So that it is a file that a browser opens.
    return Markup(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def _panel(panel: Panel, colour: dict[str, str], *, split: str, unit: str, room: float) -> list[Markup]:
    lines = [line for line in panel.lines if line.values]
    ends = [v for line in lines for v in line.values] + ([] if panel.full is None else [panel.full])
    shares = sorted({s for line in lines for s in line.shares})
    right = _LEFT + _PLOT
    x = Scale.around(shares, start=_LEFT + 8, end=right - 8, room=0.04)
    # Whiskers may leave the drawing, so that one wide interval does not flatten all lines.
    y = Scale.around(ends, start=_BOTTOM, end=_TOP, room=0.08)
    digits = 4 if y.high - y.low < 0.005 else 3
    body = [
        tag("text", panel.title, x=_LEFT, y=18.0, class_="title"),
        grid(y, [(t, f"{t:.{digits}f}") for t in y.ticks(5)], at=_LEFT, other=right, upright=True),
        grid(x, [(s, f"{s:.0%}") for s in shares], at=_BOTTOM, other=_TOP, upright=False),
        tag("text", f"{unit} kept", x=(_LEFT + right) / 2, y=_BOTTOM + 38, text_anchor="middle", class_="axis"),
    ]
    if panel.full is not None:
        at = y(panel.full)
        said = tag("title", f"no selection: {panel.full:.4f}")
        body.append(tag("g", said, tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="reference")))
    labels = spread([y(line.values[-1]) for line in lines], gap=_GAP, low=_TOP, high=_BOTTOM + 10)
    for line, label in zip(lines, labels, strict=True):
        points = [(x(s), y(v)) for s, v in zip(line.shares, line.values, strict=True)]
        path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts = [tag("path", d=path, class_="line", stroke=colour[line.name])]
        for (px, py), s, v, low, high in zip(points, line.shares, line.values, line.low, line.high, strict=True):
            span = "" if low is None or high is None else f", 95 % {low:.4f} to {high:.4f}"
            said = tag("title", f"{line.name}, {s:.0%}: {split} AUC {v:.4f}{span}")
            if low is not None and high is not None:
                parts.append(tag("line", x1=px, x2=px, y1=y(low), y2=y(high), stroke=colour[line.name]))
            parts.append(tag("circle", said, cx=px, cy=py, r=3.2, fill=colour[line.name]))
        end = points[-1]
        parts.append(tag("line", x1=end[0] + 4, x2=right + 4, y1=end[1], y2=label, stroke="#ccc"))
        written = fit_label(line.name, room - 14)
        parts.append(tag("text", written, x=right + 8, y=label + 4))
        body.append(tag("g", *parts, class_="named" if line.named else None))
    return body
