"""The page of a comparison: closed to the network, told in words, every number of a figure in a table."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.records.ranking_comparison import RankingComparison
from ctrsel.report.agreement import write_agreement
from ctrsel.report.charts.heat_chart import heat_chart

SCRIPT = "<script>alert(1)</script>"


def comparison(names: tuple[str, ...] = ("mi", SCRIPT, "long " * 40), *, tau: float = -0.25) -> RankingComparison:
    m = len(names)
    rbo = np.full((m, m), 0.5) + np.eye(m) / 2
    rbo[0, -1] = rbo[-1, 0] = 0.125
    taus = np.full((m, m), tau)
    np.fill_diagonal(taus, 1.0)
    return RankingComparison(
        names=names,
        methods=("mi",) * m,
        item="field",
        p=0.9,
        rbo=rbo,
        tau=taus,
        tops={5: rbo},
        shared=np.full((m, m), 7),
        items=pl.DataFrame({"field": [f"f{i}" for i in range(250)]}),
        ranks=np.tile(np.arange(250), (m, 1)),
        rankings=("1",) * m,
        tables=("t",) * m,
        notes=("rank-biased overlap with p = 0.9", f"a note {SCRIPT}"),
    )


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_agreement(comparison(), path=tmp_path / "a.html").read_text(encoding="utf-8")


def test_nothing_is_fetched_and_only_the_pages_own_style_and_script_run(source):
    assert not re.search(r"@import|@font-face|url\(|https?://|<img|<link|<iframe| src=| style=| on[a-z]+=", source)
    policy = re.search(r'content="(default-src [^"]*)"', source)
    assert policy is not None
    for name in ("style", "script"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", source, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in html.unescape(policy[1])


def test_texts_are_text_and_every_number_is_in_a_table(source):
    assert SCRIPT not in source
    assert html.escape(SCRIPT) in source
    text = html.unescape(re.sub(r"<[^>]+>", " ", source))
    for written in ("0.125", "0.500", "\u22120.250", "0.12", "f0", "f199", "the first 200 of 250"):
        assert written in text, written
    assert "f200" not in text
    assert text.count("a note") == 1
    # A figure's every off-diagonal cell is a row of the table of pairs.
    assert len(re.findall(r"<tr>\s*<th scope=row>", source)) == 3 + 200


def test_the_lead_says_who_agrees_most_and_least(source, tmp_path):
    lead = html.unescape(re.search(r'class="lead"><bdi>(.*?)</bdi>', source)[1])
    assert f"mi and {SCRIPT} (0.50) agree most" in lead
    assert "(0.12) least" in lead
    two = write_agreement(comparison(("a", "b")), path=tmp_path / "b.html").read_text()
    assert "Their rank-biased overlap is 0.12" in two


def test_a_tau_that_no_pair_has_is_not_drawn(tmp_path):
    made = write_agreement(comparison(tau=np.nan), path=tmp_path / "a.html").read_text()
    assert ("overlap-chart" in made, "tau-chart" in made) == (True, False)
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", made, flags=re.DOTALL)


def luminance(rgb: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_cells_keep_a_contrast_of_4_5_by_day_by_night_and_on_paper(source):
    """The deepest cell of either tone under the page's ink, blended as a browser does."""
    themes = re.findall(r"--page: (#\w+);.*?--ink: (#\w+);.*?--chosen: (#\w+); --full: (#\w+);", source, re.DOTALL)
    assert len(themes) == 3
    deepest = max(float(o) for o in re.findall(r'fill-opacity="([\d.]+)"', source))
    for page, ink, *tones in (tuple(tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in t) for t in themes):
        for tone in tones:
            cell = tuple(deepest * t + (1 - deepest) * p for t, p in zip(tone, page, strict=True))
            low, high = sorted((luminance(cell), luminance(ink)))
            assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_heat_map_is_drawn_inside_its_frame_and_told_in_words():
    values = np.array([[1.0, -0.5, np.nan], [-0.5, 1.0, 0.25], [np.nan, 0.25, 1.0]])
    drawn = heat_chart("h", ["a", SCRIPT, "c" * 90], values, title="T", description="D")
    root = ET.fromstring(drawn)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    assert root.get("role") == "img"
    assert {e.get("id"): e.text for e in root if e.tag in ("title", "desc")} == {"h-title": "T", "h-text": "D"}
    cells = list(root.iter("rect"))
    assert len(cells) == 9
    for e in cells:
        assert float(e.get("x")) + float(e.get("width")) <= width
        assert float(e.get("y")) + float(e.get("height")) <= height
    told = [g.find("title").text for g in root.iter("g") if g.find("title") is not None]
    assert f"a and {SCRIPT}: \u22120.50" in told
    assert any(t.endswith(": \u2013") for t in told)
    opacity = [float(e.get("fill-opacity")) for e in cells]
    assert opacity == pytest.approx([0.5, 0.25, 0, 0.25, 0.5, 0.13, 0, 0.13, 0.5], abs=0.011)
    assert [g.get("class") for g in root.iter("g") if g.find("rect") is not None].count("tone-full") == 2
