"""One quantity over the epochs of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from ctrsel.report.drawing import Scale, drawing, grid, tag

__all__ = ["line_chart"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 350.0, 210.0, 58.0, 338.0, 14.0, 168.0


def line_chart(
    epochs: Sequence[float],
    values: Sequence[float],
    *,
    name: str,
    title: str,
    write: Callable[[float], str],
    logarithmic: bool = False,
) -> Markup:
    """Draw a line with a dot per epoch.

    Args:
        epochs: Rising.
        values: One per epoch; above 0 for a logarithmic axis.
        name: Unique on the page.
        title: What is drawn.
        write: How a value is written.
        logarithmic: Whether the upright axis is.
    """
    x = Scale(low=epochs[0], high=epochs[-1], start=_LEFT + 10, end=_RIGHT - 10)
    y = Scale.around(list(values), start=_BOTTOM, end=_TOP, kind="log" if logarithmic else "linear", room=0.12)
    every = max(1, -(-len(epochs) // 8))
    points = [(x(e), y(v)) for e, v in zip(epochs, values, strict=True)]
    path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
    dots = [
        tag("circle", tag("title", f"epoch {e:.0f}: {write(v)}"), cx=px, cy=py, r=3.5, class_="dot")
        for (px, py), e, v in zip(points, epochs, values, strict=True)
    ]
    return drawing(
        name,
        grid(y, [(t, write(t)) for t in y.ticks(4, gap=20)], at=_LEFT, other=_RIGHT, upright=True),
        *(
            tag("text", f"{e:.0f}", x=x(e), y=_BOTTOM + 16, text_anchor="middle", class_="tick")
            for e in epochs[::every]
        ),
        tag("text", "epoch", x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 34, text_anchor="middle", class_="axis"),
        tag("path", d=path, class_="line"),
        *dots,
        width=_WIDTH,
        height=_HEIGHT,
        title=title,
        description=f"From {write(values[0])} in the first epoch to {write(values[-1])} in the last of {len(epochs)}.",
    )
