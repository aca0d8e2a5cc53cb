"""Against the champion: the check rule by rule, paired intervals, segments, drift, changes, costs and the way back."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctrsel.core.errors import DataError
from ctrsel.records.check import Check
from ctrsel.records.review import Review
from ctrsel.report.summary import check_lines, summary_table

SCRIPT = "<script>alert(1)</script>"


def section(page: str) -> tuple[str, str]:
    """Return the section as it is, and its words."""
    part = page[page.index('<section id="champion"') :].partition("</section>")[0]
    return part, " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())


@pytest.fixture
def found(made: Any, review: Review, tmp_path: Path) -> tuple[str, str]:
    return section(replace(made, review=review).page(tmp_path))


def test_everything_that_changed_stands_in_the_section(found: tuple[str, str]) -> None:
    words = found[1]
    for told in (
        "check failed AUC +0.0022 ( \u22120.0019 to +0.0063 ) against version 2 on the same 1,000 rows",
        "latency failed 14.0 ms against 12.0 ms",
        "AUC passed",
        "audit for information Nothing was asked",
        "AUC 0.7488 0.7510 +0.0022 \u22120.0019 to +0.0063",
        "Log-loss nats per row 0.3120 0.3100 \u22120.0020 \u22120.0050 to +0.0010",
        "Calibration predicted / observed 1.050 1.020 \u22120.030 \u22120.050 to \u22120.010",
        "2026-01-01 to 2026-01-07; 40 more are too young",
        "Size on disk 2.0 MB 1.0 MB \u221250 %",
        "Time to score ms per 1,000 rows 12.00 14.00 +17 %",
        "1 of 2 fields has moved more than chance",
        "city moved 0.2000 0.0100 30.0 % 10.0 %",
        "Champion 0.3000 0.1000 moved",
        "0 fields gained, 1 lost, 1 with the same values",
        "noise lost 10 12",
        "ctrsel rollback click_demo --reason WHY",
        "rows without a label were left out",
    ):
        assert told.replace("( ", "(").replace(" )", ")") in words.replace("( ", "(").replace(" )", ")"), told


def test_texts_are_text_and_nothing_rare_or_sensitive_is_told(found: tuple[str, str]) -> None:
    source, words = found
    assert SCRIPT not in source
    assert SCRIPT in words
    assert "=cmd()|' /C calc'!A0" in words
    assert "#0a1b2c3d" in words
    for hidden in ("Nineteen rows", "ann@example.org", "secret"):
        assert hidden not in words


def test_a_sensitive_segment_that_is_no_hash_stops_the_page(made: Any, review: Review, tmp_path: Path) -> None:
    assert review.comparison is not None
    told = tuple(replace(s, field="user") for s in review.comparison.segments)
    wrong = replace(review, comparison=replace(review.comparison, segments=told))
    with pytest.raises(DataError, match="'user' is sensitive"):
        replace(made, review=wrong).page(tmp_path)


@pytest.mark.parametrize(
    ("champion", "words"),
    [(None, "There is no champion yet"), (2, "Version 2, the champion, could not be scored on the same rows")],
)
def test_without_a_comparison_the_section_says_why(
    made: Any, review: Review, tmp_path: Path, champion: int | None, words: str
) -> None:
    alone = replace(review, champion=champion, comparison=None, changes=None, champion_costs=None)
    text = section(replace(made, review=alone).page(tmp_path))[1]
    assert words in text
    assert "Size on disk 1.0 MB" in text
    assert "By segment" not in text


def test_without_a_review_it_says_that_nothing_was_compared(made: Any, tmp_path: Path) -> None:
    assert "Not compared yet" in section(made.page(tmp_path))[1]
    assert "switch the registration off" in section(made.with_run(config={}).page(tmp_path))[1]


def test_the_terminal_tells_the_check_in_two_lines(made: Any, review: Review) -> None:
    lines = check_lines(review)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 120
    assert " ".join(" ".join(lines).split()) == (
        "check FAILED against champion 2: AUC +0.0022 [\u22120.0019, +0.0063], log-loss \u22120.0020 [\u22120.0050, "
        "+0.0010], pred/obs \u22120.030 [\u22120.050, \u22120.010]; 1 of 2 inputs moved latency: 14.0 ms against 12.0 ms: "
        "must be at most 1.1 times it"
    )
    assert "\n".join(lines) in summary_table(made.run, review=review)
    assert "\ncheck" not in summary_table(made.run)
    other = replace(made.run, config={"name": "another"})
    assert "\ncheck" not in summary_table(other, review=review)  # a review of what lay in the folder before


def test_the_terminal_without_a_champion(review: Review) -> None:
    passed = Check(lines=review.check.lines[:1], champion=None)
    alone = replace(review, champion=None, comparison=None, check=passed)
    assert check_lines(alone) == ["check    PASSED; no champion yet"]


def test_a_review_is_saved_as_a_folder(review: Review, tmp_path: Path) -> None:
    review.save(tmp_path / "review")
    assert Review.load(tmp_path / "review") == review
    with pytest.raises(DataError, match=r"expected a saved ctrsel\.review"):
        Review.load(tmp_path / "none")
