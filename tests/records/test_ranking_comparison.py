from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.errors import DataError
from ctrsel.records.ranking_comparison import RankingComparison

RBO = np.array([[1.0, 0.5], [0.5, 1.0]])


def made(**more) -> RankingComparison:
    given = {
        "names": ("a", "b"),
        "methods": ("mi", "mi"),
        "item": "field",
        "p": 0.9,
        "rbo": RBO,
        "tau": np.array([[1.0, np.nan], [np.nan, 1.0]]),
        "tops": {5: RBO},
        "shared": np.array([[3, 1], [1, 2]]),
        "items": pl.DataFrame({"field": ["x", "y", "z"]}),
        "ranks": np.array([[1, 2, 3], [0, 1, 0]]),
        "rankings": ("1", "2"),
        "tables": ("t", ""),
        "notes": ("n",),
    }
    return RankingComparison(**{**given, **more})


def test_round_trip(tmp_path):
    made().save(tmp_path / "c")
    back = RankingComparison.load(tmp_path / "c")
    assert back.digest == made().digest
    assert back.pairs().equals(made().pairs(), null_equal=True)
    assert back.frame().equals(made().frame(), null_equal=True)
    assert (back.names, back.tables, back.notes, list(back.tops)) == (("a", "b"), ("t", ""), ("n",), [5])


def test_frames():
    assert made().frame().to_dict(as_series=False) == {"field": ["x", "y", "z"], "a": [1, 2, 3], "b": [None, 1, None]}
    assert made().pairs().to_dicts() == [
        {"first": "a", "second": "b", "rbo": 0.5, "tau": None, "top_5": 0.5, "shared": 1}
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"names": ("a", "c")},
        {"rbo": RBO * 0.9},
        {"tau": RBO},
        {"tops": {4: RBO}},
        {"ranks": np.array([[1, 2, 3], [0, 2, 1]])},
        {"items": pl.DataFrame({"field": ["x", "y", "w"]})},
        {"p": 0.8},
        {"tables": ("t", "t")},
    ],
)
def test_the_digest_is_about_everything(change):
    assert replace(made(), **change).digest != made().digest


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"names": ("a", "a")}, "a name of its own per ranking"),
        ({"names": ("a", "field")}, "a name of its own per ranking"),
        ({"tau": np.eye(3)}, r"tau must be \[2, 2\], got \(3, 3\)"),
        ({"ranks": np.zeros((2, 4), dtype=int)}, r"ranks must be \[2, 3\]"),
    ],
)
def test_refusals(change, why):
    with pytest.raises(DataError, match=why):
        made(**change)
