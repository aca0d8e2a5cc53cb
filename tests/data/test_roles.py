"""Labels, groups and weights as they are read, and what is said of rows that lack them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import LabelConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.faults import Faults
from ctrsel.data.hashing import stable_hash
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.roles import find_label, number_values, read_group, read_label, read_weight


def faults(rows: RawRows, tolerance: float = 0.0) -> Faults:
    return Faults(raw=rows, rejects=Rejects(tolerance=tolerance))


def label(rows: RawRows, tmp_path: Path, *, tolerance: float = 0.0, **more):
    held = faults(rows, tolerance)
    config = LabelConfig(name="x", **{k: v for k, v in more.items() if k == "positive"})
    values = more.get("values")
    return (*read_label(rows, config, held, memory=2**30, scratch=tmp_path, values=values), held)


def test_the_label_has_one_text_form_in_all_shards(tmp_path: Path, raw) -> None:
    rows = raw([0, 1], pl.Series([1.0, 0.0]), pl.Series(["1", "0.0"]), pl.Series([True, False]).cast(pl.Int8))
    found, values, positive, _ = label(rows, tmp_path)
    assert (found.positive, values) == ("1", ("0", "1"))
    assert positive.tolist() == [False, True, True, False, True, False, True, False]


def test_rows_without_a_known_label_are_rejected_under_a_tolerance(tmp_path: Path, raw) -> None:
    rows = raw([0, 1, 0, 1, None, 2, 0], [1, 3], parts=("train", "test"))
    _, values, positive, held = label(rows, tmp_path, tolerance=0.5)
    assert values == ("0", "1")
    assert held.bad.tolist() == [False, False, False, False, True, True, False, False, True]
    assert positive[~held.bad].tolist() == [False, True, False, True, False, True]
    assert held.rejects.frame().rows() == [
        ("train", "frame", 5, None, "label 'x': has no value"),
        ("train", "frame", 6, None, "label 'x': must be '0' or '1', got 2"),
        ("test", "frame", 2, None, "label 'x': must be '0' or '1', got 3"),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1, None, None],), r"data\.train: label 'x': every row needs a label, but row 3 has none \(2 such rows\)"),
        (([0, 1], [1, 7]), r"data\.test: label 'x': row 2 must have one of the training values '0' and '1', got '7'"),
        (([0, 1, 2],), "label 'x': must have exactly two values, got 3: '0', '1', '2'"),
        (([1, 1],), "label 'x': must have exactly two values, got 1: '1'"),
    ],
)
def test_a_label_that_is_none_is_said(tmp_path: Path, columns, message, raw) -> None:
    with pytest.raises(DataError, match=message):
        label(raw(*columns, parts=("train", "test")), tmp_path)


def test_known_values_hold_for_increments(tmp_path: Path, raw) -> None:
    _, values, positive, _ = label(raw([1, 1]), tmp_path, positive="1", values=("0", "1"))
    assert (values, positive.tolist()) == (("0", "1"), [True, True])
    with pytest.raises(DataError, match="must have one of the training values '0' and '1', got '2'"):
        label(raw([1, 2]), tmp_path, positive="1", values=("0", "1"))


def test_which_value_is_positive() -> None:
    assert find_label(["-1", "1"], LabelConfig(name="y")).positive == "1"
    assert find_label(["a", "b"], LabelConfig(name="y", positive="a")).positive == "a"
    with pytest.raises(ConfigError, match="say which of 'a' and 'b'"):
        find_label(["b", "a"], LabelConfig(name="y"))
    with pytest.raises(DataError, match="the positive value 'c' does not occur"):
        find_label(["b", "a"], LabelConfig(name="y", positive="c"))


def test_groups_are_hashes_of_their_text(tmp_path: Path, raw) -> None:
    rows = raw([7, None, 8], pl.Series(["7", "b", ""]))
    found = read_group(rows, "x", memory=2**30, scratch=tmp_path)
    seven, b = stable_hash(pl.Series(["7", "b"])).view(np.int64).tolist()
    eight = int(stable_hash(pl.Series(["8"])).view(np.int64)[0])
    assert found.tolist() == [seven, 0, eight, seven, b, 0]


def test_weights(raw) -> None:
    rows = raw([1, 2], pl.Series(["0.5", "1e3"]))
    assert read_weight(rows, "x", faults(rows)).tolist() == [1.0, 2.0, 0.5, 1000.0]
    rows = raw(pl.Series([1.0, -1.0, float("inf"), None, float("nan"), 1e160]))
    held = faults(rows, 0.9)
    assert read_weight(rows, "x", held).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert held.bad.tolist() == [False, True, True, True, True, True]
    with pytest.raises(DataError, match=r"row 2 of column 'x' must be a weight from 0 to 1e\+12, got -1\.0"):
        read_weight(rows, "x", faults(rows))


def test_numbers_of_texts() -> None:
    assert number_values(pl.Series([" 1 ", "", "x", "nan", "inf"])).to_list() == [1.0, None, None, None, float("inf")]
