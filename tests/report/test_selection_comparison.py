from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ctrsel.records.selection_comparison import (
    ComparedCell,
    Contestant,
    Curve,
    KeptSet,
    Naming,
    PairedLine,
    SelectionComparison,
)
from ctrsel.report.selection_comparison import comparison_page, verdict_at, write_comparison

SHARES, SEEDS = (0.1, 0.5), (1, 2)


def comparison(*, low_full: float | None, low_frequent: float | None, test: bool = True) -> SelectionComparison:
    """A named selector `x`, `frequent`, and `random`, which was not run."""
    split = "test" if test else "valid"

    def line(name, against, share, value, low):
        high = None if low is None else 2 * value - low
        return PairedLine(
            contestant=name, against=against, share=share, judge="trees", split=split, value=value, low=low, high=high,
            low_rows=None if low is None else low - 0.001, seeds=2,
        )  # fmt: skip

    cells = [
        ComparedCell(
            contestant=name, share=share, judge="trees", seed=seed, run=True,
            valid_auc=0.7, test_auc=0.7 + seed / 100 if test else None, pruned_auc=0.69 - seed / 1000 if name == "x" else None,
        )
        for name in ("none", "x", "frequent")
        for share in (SHARES if name != "none" else (1.0,))
        for seed in SEEDS
    ]  # fmt: skip
    cells += [ComparedCell(contestant="random", share=s, judge="trees", seed=1) for s in SHARES]
    return SelectionComparison(
        name="clicks", table="d", unit="values", total=100, min_count=2, min_counts={"1": 0.5, "2": 0.4}, shares=SHARES,
        numbers=(10, 50), judges={"trees": {"use": "boosted"}}, seeds=SEEDS, margin=0.002,
        contestants=(
            Contestant(name="none", spec={}, role="full", final=True),
            Contestant(name="frequent", spec={}, role="control", final=True, seconds={"1": 0.5}, peak={"1": 2 << 20}),
            Contestant(name="random", spec={}, role="control", final=True),
            Contestant(
                name="x", spec={}, role="selector", final=True, screened=0.31, stability={"0.1": 0.5, "0.5": 0.8}
            ),
            Contestant(name="y", spec={}, role="selector", refused="y: cannot | will not"),
            Contestant(name="z", spec={}, role="selector", screened=0.1),
        ),
        sets=tuple(
            KeptSet(contestant="x", share=s, seed=1, digest="e", fields=2, values=n, covered=0.8)
            for s, n in zip(SHARES, (10, 50), strict=True)
        ),
        cells=tuple(cells),
        curves=(Curve(contestant="x", judge="trees", split=split, area=0.4, low=0.3, high=0.5, seeds=2),),
        pairs=tuple(
            p for s in SHARES for p in (line("x", "none", s, -0.001, low_full), line("x", "frequent", s, 0.01, low_frequent))
        ),
        naming=Naming(selector="x", share=0.5, by_share={"0.5": "x"}, areas={"x": 0.4}, basis="the area", cells=10),
        notes=("something is to be known",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low_full", "low_frequent", "verdict"),
    [
        (-0.0015, 0.001, "non-inferior, better than frequency"),
        (-0.0015, -0.001, "non-inferior, frequency suffices"),
        (-0.01, 0.0, "non-inferiority not shown, frequency suffices"),
        (None, None, "one seed shows nothing"),
    ],
)
def test_verdicts(low_full, low_frequent, verdict):
    found = comparison(low_full=low_full, low_frequent=low_frequent)
    assert verdict_at(found, "x", 0.1, "trees") == verdict
    assert verdict_at(found, "random", 0.1, "trees") == "not run"


def test_the_page_and_the_drawing(tmp_path):
    write_comparison(comparison(low_full=-0.0015, low_frequent=-0.001), folder=tmp_path)
    page = (tmp_path / "selection.md").read_text()
    assert "Named by validation before test was opened: **x**" in page
    assert "(margin 0.002): 50%." in page
    assert "| 10% (10) | **x** | 10 | 80.0% | 0.7150 | -0.0010 [-0.0015, -0.0005, with rows -0.0025] |" in page
    assert "| not run | +0.0115 | non-inferior, frequency suffices |" in page  # .7 less the mean of .689 and .688
    held = page.split("# What x holds")[1]
    assert "| 10% (10) | 80.0% | -0.0010 [-0.0015, -0.0005] | +0.0100 | non-inferior, frequency suffices |" in held
    assert "frequency suffices" in page
    assert "| 10% (10) | random | not run | - | not run |" in page
    assert "| y | - | - | - | - | - | y: cannot \\| will not |" in page
    assert "| x | 0.3100 | 0.4000 ± 0.1000 | 0.65 |" in page
    assert "left behind after the first stage" in page
    assert "| frequent | not run | not run | - | 0.5 | 2 |" in page
    assert "100 values in 2 training rows or more" in page
    assert "- Something is to be known." in page
    widths = {line.count(" | ") for line in page.split("Judged by trees:")[1].split("\n\n")[1].splitlines()}
    assert len(widths) == 1
    svg = ElementTree.fromstring((tmp_path / "selection.svg").read_text())
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    said = "".join(svg.itertext())
    assert "x, 10%: test AUC 0.7150, 95 %" in said
    assert "no selection: 0.7150" in said
    assert "random" not in said


def test_judges_that_differ_are_named(tmp_path):
    found = comparison(low_full=-0.0015, low_frequent=0.001)
    nets = [replace(c, judge="a net") for c in found.cells]
    worse = [
        replace(p, judge="a net", low=-0.02, high=0.018) if p.against == "none" else replace(p, judge="a net")
        for p in found.pairs
    ]
    both = replace(
        found, judges={**found.judges, "a net": {}}, cells=(*found.cells, *nets), pairs=(*found.pairs, *worse)
    )
    held = comparison_page(both).split("# What x holds")[1]
    assert "| non-inferior (trees), non-inferiority not shown (a net), better than frequency |" in held
    assert "| +0.0100 | non-inf" in held
    # The record keeps the order of the judges, and counts as numbers have it.
    both = replace(both, min_counts={"2": 0.4, "16": 0.3})
    both.save(tmp_path / "record")
    again = SelectionComparison.load(tmp_path / "record")
    assert (list(again.judges), list(again.min_counts)) == (["trees", "a net"], ["2", "16"])
    assert comparison_page(again) == comparison_page(both)


def test_without_test_rows_validation_is_shown():
    page = comparison_page(comparison(low_full=-0.0015, low_frequent=-0.001, test=False))
    assert "before test was opened" not in page
    assert "AUC on the validation rows" in page
    assert "0.7000" in page


def test_nothing_was_run(tmp_path):
    found = comparison(low_full=None, low_frequent=None)
    cells = tuple(replace(c, run=False, valid_auc=None, test_auc=None) for c in found.cells)
    none = Naming(selector=None, share=None, by_share={}, areas={}, basis="", cells=0)
    write_comparison(replace(found, cells=cells, pairs=(), curves=(), naming=none), folder=tmp_path)
    assert "No selector could be named" in (tmp_path / "selection.md").read_text()
    assert "nothing was run" in (tmp_path / "selection.svg").read_text()
