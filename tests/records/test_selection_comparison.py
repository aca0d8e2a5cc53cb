from __future__ import annotations

import polars as pl

from ctrsel.records.selection_comparison import (
    ComparedCell,
    Contestant,
    Curve,
    KeptSet,
    Naming,
    PairedLine,
    SelectionComparison,
)


def test_saved_and_loaded(tmp_path):
    found = SelectionComparison(
        name="t",
        table="d",
        unit="values",
        total=100,
        min_count=2,
        min_counts={"1": 0.5, "2": 0.4},
        shares=(0.1, 0.5),
        numbers=(10, 50),
        judges={"trees": {"use": "boosted"}},
        seeds=(1, 2),
        margin=0.002,
        contestants=(
            Contestant(name="none", spec={"use": "none"}, role="full", final=True),
            Contestant(name="x", spec={"use": "x"}, role="selector", refused="no"),
            Contestant(name="y", spec={"use": "y"}, role="selector", seconds={"1": 2.5}, peak={"1": None}),
        ),
        sets=(KeptSet(contestant="y", share=0.1, seed=1, digest="e", fields=2, values=10, covered=0.5),),
        cells=(
            ComparedCell(contestant="y", share=0.1, judge="trees", seed=1, run=True, valid_auc=0.7, bytes=100),
            ComparedCell(contestant="y", share=0.5, judge="trees", seed=1),
        ),
        curves=(
            Curve(contestant="y", judge="trees", split="valid", area=None, low=None, high=None, seeds=0),
        ),
        pairs=(
            PairedLine(
                contestant="y", against="none", share=0.1, judge="trees", split="valid", value=-0.01, low=None, high=None,
                low_rows=None, seeds=1,
            ),
        ),
        naming=Naming(selector="y", share=None, by_share={"0.1": "y"}, areas={"y": 0.3}, basis="b", cells=1),
        notes=("said",),
    )  # fmt: skip
    found.save(tmp_path / "c")
    again = SelectionComparison.load(tmp_path / "c")
    assert again == found
    assert again.digest == found.digest
    assert not found.complete
    frame = pl.read_parquet(tmp_path / "c" / "cells.parquet")
    assert frame["run"].to_list() == [True, False]
    assert frame["valid_auc"].to_list() == [0.7, None]
    assert found.curve("y", "trees", "valid") == found.curves[0]
    assert found.curve("y", "trees", "test") is None
    assert found.pair("y", "none", 0.1, "trees", "valid") == found.pairs[0]
    assert found.pair("y", "random", 0.1, "trees", "valid") is None
