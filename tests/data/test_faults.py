"""Rows that break a rule: what is written down of them, and once only."""

import numpy as np
import polars as pl

from ctrsel.data.faults import Faults, shown_values
from ctrsel.data.rejects import Rejects


def test_a_row_is_rejected_once(raw) -> None:
    rows = raw([1, 2], [3], parts=("train", "test"))
    held = Faults(raw=rows, rejects=Rejects(tolerance=0.9))
    held.add(np.array([1, 2]), "first", refuse=lambda: "never")
    held.add(np.array([0, 1]), lambda: pl.Series(["second", "third"]), refuse=lambda: "never")
    assert held.rejects.frame().select("part", "row", "reason").rows() == [
        ("train", 2, "first"),
        ("test", 1, "first"),
        ("train", 1, "second"),
    ]


def test_a_value_is_shown_short_and_in_one_line() -> None:
    values = pl.Series(["a\nb", None, "x" * 300])
    assert shown_values("must be y, got ", values).to_list() == [
        "must be y, got a b",
        "must be y, got nothing",
        "must be y, got " + "x" * 200,
    ]
