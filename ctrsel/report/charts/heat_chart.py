"""A symmetric matrix as a heat map whose cells also say their number, so that no colour has to be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ctrsel.report.drawing import LETTER, drawing, fit_label, tag
from ctrsel.report.numbers import DASH, plain

__all__ = ["heat_chart"]

_CELL, _ROW, _TOP, _RIGHT = 52.0, 30.0, 34.0, 12.0
_NAMES = 290.0  # at most so many pixels for a name
_DEEPEST = 0.5  # of the tone's opacity: letters in the page's ink keep a contrast of 4.5 on it, by day and by night


def heat_chart(name: str, names: Sequence[str], values: np.ndarray, *, title: str, description: str) -> Markup:
    """Draw one row and one column per name, deeper for larger numbers; below zero in another tone.

    Args:
        name: Of the drawing, unique on the page.
        names: M names.
        values: Numbers from -1 to 1, `[M, M]`; NaN is a dash.
        title: What it shows.
        description: What one sees in it.
    """
    m = len(names)
    digits = LETTER * len(str(m)) + 10
    wide = min(max(len(n) for n in names) * LETTER + 6, _NAMES)
    left = digits + wide + 8
    body = [
        tag("text", str(j + 1), x=left + _CELL * (j + 0.5), y=_TOP - 10, text_anchor="middle", class_="tick")
        for j in range(m)
    ]
    for i in range(m):
        y = _TOP + _ROW * i
        parts = [
            tag("text", str(i + 1), x=digits - 6, y=y + 19, text_anchor="end", class_="tick"),
            tag("text", fit_label(names[i], wide), x=digits, y=y + 19, class_="label"),
        ]
        for j in range(m):
            parts.append(_cell(float(values[i, j]), x=left + _CELL * j, y=y, told=f"{names[i]} and {names[j]}"))
        body.append(tag("g", *parts))
    return drawing(
        name,
        *body,
        width=left + _CELL * m + _RIGHT,
        height=_TOP + _ROW * m + 8,
        title=title,
        description=description,
    )


def _cell(value: float, *, x: float, y: float, told: str) -> Markup:
    known = math.isfinite(value)
    written = plain(value if known else None, 2)
    return tag(
        "g",
        tag("title", f"{told}: {written if known else DASH}"),
        tag(
            "rect",
            x=x,
            y=y,
            width=_CELL,
            height=_ROW,
            class_="cell",
            fill_opacity=_DEEPEST * min(abs(value), 1.0) if known else 0,
        ),
        tag("text", written, x=x + _CELL / 2, y=y + 19, text_anchor="middle", class_="figure"),
        class_="tone-full" if known and value < 0 else None,
    )
