"""Every chart is well-formed, told in words, and drawn inside its own frame at the right places."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ctrsel.report.charts.auc_chart import Mark, auc_chart
from ctrsel.report.charts.field_chart import Bar, field_chart
from ctrsel.report.charts.line_chart import line_chart
from ctrsel.report.charts.reliability_chart import reliability_chart
from ctrsel.report.charts.size_chart import Point, size_chart, spread

SCRIPT = "<script>alert(1)</script>"
BIN = {"predicted": 0.1, "observed": 0.2, "low": 0.1, "high": 0.3, "rows": 50.0}


def parsed(chart: Markup) -> ET.Element:
    """Parse a chart and check that all of it lies inside its frame."""
    root = ET.fromstring(chart)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for e in root.iter():
        for key, value in e.attrib.items():
            if key in ("x", "x1", "x2", "cx"):
                assert 0 <= float(value) <= width, (e.tag, e.attrib)
            if key in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= height, (e.tag, e.attrib)
        if e.tag == "rect":
            assert float(e.get("x", 0)) + float(e.get("width", 0)) <= width
        for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", e.get("d", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    assert root.get("role") == "img"
    told = {e.get("id"): e.text for e in root if e.tag in ("title", "desc")}
    assert all(told[i] for i in root.get("aria-labelledby", "").split())
    return root


def circles(root: ET.Element) -> list[tuple[float, float]]:
    return [(float(e.get("cx", 0)), float(e.get("cy", 0))) for e in root.iter("circle")]


def test_higher_auc_stands_further_right_with_its_interval_around_it() -> None:
    marks = [
        Mark(name="a", value=0.70, low=0.69, high=0.71, tone="full"),
        Mark(name=SCRIPT, value=0.75, low=None, high=None, tone="chosen"),
        Mark(name="long " * 30, value=0.72, low=0.70, high=0.74, tone="control"),
    ]
    root = parsed(auc_chart(marks, full=0.70))
    (xa, ya), (xb, yb), (xc, yc) = circles(root)
    assert xa < xc < xb
    assert ya < yb < yc
    assert xc - xa == pytest.approx((xb - xa) * 0.4, abs=0.05)
    spans = [(float(e.get("x1", 0)), float(e.get("x2", 0))) for e in root.iter("line") if e.get("class") == "whisker"]
    assert len(spans) == 2
    assert spans[0][0] < xa < spans[0][1]
    dashed = next(e for e in root.iter("line") if e.get("class") == "reference")
    assert float(dashed.get("x1", 0)) == pytest.approx(xa, abs=0.01)


def test_size_grows_to_the_right_by_factors_and_labels_keep_apart() -> None:
    points = [Point(name=f"m{i}", bytes=10 ** (i + 3), auc=0.7 + 0.0001 * i, tone="control") for i in range(5)]
    root = parsed(size_chart(points))
    xs = [x for x, _ in circles(root)]
    steps = [b - a for a, b in itertools.pairwise(xs)]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.05)
    labels = sorted(float(e.get("y", 0)) for e in root.iter("text") if e.get("class") == "label")
    assert min(b - a for a, b in itertools.pairwise(labels)) >= 17.9


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_labels_spread_inside_the_limits(places: list[float]) -> None:
    moved = spread(places, gap=20, low=0, high=300)
    assert all(-1e-9 <= m <= 300 for m in moved)
    ordered = sorted(moved)
    assert all(b - a >= 20 - 1e-9 for a, b in itertools.pairwise(ordered))


def test_a_calibrated_bin_lies_on_the_dashed_line() -> None:
    even = {"predicted": 0.2, "observed": 0.2, "low": 0.15, "high": 0.25, "rows": 50.0}
    root = parsed(reliability_chart([even, BIN], name="r", of="m", tone="full", high=0.4))
    line = next(e for e in root.iter("line") if e.get("class") == "reference")
    x1, y1, x2, y2 = (float(line.get(k, 0)) for k in ("x1", "y1", "x2", "y2"))
    (cx, cy), (dx, dy) = circles(root)
    assert (cx - x1) / (x2 - x1) == pytest.approx((cy - y1) / (y2 - y1), abs=0.002)
    assert (dy - y1) / (y2 - y1) > (dx - x1) / (x2 - x1)
    assert (cx - x1) / (x2 - x1) == pytest.approx(0.5**0.5, abs=0.002)


def test_bars_are_as_long_as_their_scores_and_none_is_no_bar() -> None:
    bars = [
        Bar(name="a", score=0.04, attribution=0.2, error=0.01, kept=True),
        Bar(name="b", score=0.02, attribution=None, error=None, kept=False),
        Bar(name="c", score=-0.01, attribution=0.1, error=float("nan"), kept=True),
        Bar(name="d", score=None, attribution=0.1, error=None, kept=True),
    ]
    root = parsed(field_chart(bars, score="MI", unit="nats"))
    rects = [float(e.get("width", 0)) for e in root.iter("rect")]
    assert len(rects) == 6
    assert rects[0] == pytest.approx(2 * rects[2], abs=0.05)
    assert rects[3] == 1.0  # a score below zero is a hairline
    assert rects[1] == pytest.approx(2 * rects[4], abs=0.05)


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=60), st.booleans())
def test_lines_rise_where_numbers_rise(values: list[float], logarithmic: bool) -> None:
    epochs = [float(i + 1) for i in range(len(values))]
    root = parsed(line_chart(epochs, values, name="l", title="t", write=lambda v: f"{v:.3g}", logarithmic=logarithmic))
    found = circles(root)
    assert len(found) == len(values)
    for (_, y1), (_, y2), v1, v2 in zip(found, found[1:], values, values[1:], strict=False):
        assert (y2 <= y1) if v2 >= v1 else (y2 >= y1)


@pytest.mark.parametrize("n", [1, 25])
def test_hostile_names_are_text_in_every_chart(n: int) -> None:
    charts = [
        auc_chart([Mark(name=SCRIPT, value=0.5, low=0.4, high=0.6, tone="full")] * n, full=None),
        size_chart([Point(name=SCRIPT, bytes=0, auc=0.5, tone="full")]),
        field_chart([Bar(name=SCRIPT, score=1e-12, attribution=0.0, error=0.0, kept=True)] * n, score=SCRIPT, unit=""),
        reliability_chart([], name="r", of=SCRIPT, tone="full", high=1.0),
    ]
    for chart in charts:
        assert "<script" not in chart
        parsed(chart)
