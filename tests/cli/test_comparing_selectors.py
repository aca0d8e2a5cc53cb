from __future__ import annotations

import json

import pytest

from ctrsel.records.selection_comparison import SelectionComparison

TREES = ("--set", "learners.boosted={use: boosted, rounds: 5, leaves: 4, row_share: 0.8}", "-q")
BASE = ("select", "clicks.parquet", "-l", "click", "--ignore", "id", "--set", "select.learner=boosted")
SMALL = ("--judge", "boosted", "--keep", "20%,60%", "--seeds", "2", "--here")


def test_selectors_are_compared_and_told_of(ctrsel, here):
    said = ctrsel(*BASE, "--compare", "ranking,gated", *SMALL, "-o", "c", *TREES)
    assert said.code == 0, said.err
    assert "ranking at 60%, boosted: " in said.out
    assert "trees take neither a gate nor starting weights" in said.out  # gated refuses the learner and takes no part
    page = (here / "c" / "page" / "selection.md").read_text()
    assert "**ranking**" in page
    assert "](selection.svg)" in page
    assert "xmlns=" in (here / "c" / "page" / "selection.svg").read_text()
    found = SelectionComparison.load(here / "c" / "comparison")
    assert found.complete
    again = ctrsel(*BASE, "--compare", "ranking,gated", *SMALL, "-o", "c", "--json", *TREES)
    assert again.json["comparison"] == json.loads(json.dumps(found.to_dict()))


def test_what_the_budget_does_not_allow_is_said(ctrsel, here):
    said = ctrsel(*BASE, "--compare", "ranking", *SMALL, "-o", "c", "--budget", "0.01s", *TREES)
    assert said.code == 0, said.err
    assert "were not run; the same command goes on" in said.out
    assert "not run" in (here / "c" / "page" / "selection.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--method", "ranking", "-o", "c"), "--compare: names the selectors itself"),
        (("--keep", "some", "-o", "c"), "--keep: expected shares such as 10%,20%,50%, got 'some'"),
        (("--judge", "DeepFN", "-o", "c"), "--judge: unknown judge 'DeepFN'; did you mean 'DeepFM'"),
        (("--compare", "ranking,shark,ranking", "-o", "c"), "--compare: each stands once, got 'ranking' twice"),
        (("--seeds", "0", "-o", "c"), "--seeds: must be at least 1"),
        ((), "--compare: name a folder for what is measured with --out"),
    ],
)
def test_mistakes_are_named(ctrsel, here, flags, message):
    said = ctrsel(*BASE, "--compare", "ranking", *flags, *TREES)
    assert said.code == 2, said.out
    assert message in said.err
