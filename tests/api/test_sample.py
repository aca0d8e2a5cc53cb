"""Row counts before anything is read: exact where they can be, close where they cannot."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

import ctrsel.api.sample
from ctrsel.api.sample import is_untyped, sample_source
from ctrsel.core.errors import DataError


@pytest.fixture
def frame():
    return pl.DataFrame({"click": [0, 1] * 2500, "ad": [f"ad{i % 37}" for i in range(5000)]})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.parquet", pl.DataFrame.write_parquet),
        ("a.arrow", pl.DataFrame.write_ipc),
        ("a.csv", pl.DataFrame.write_csv),
        ("a.tsv", lambda f, p: f.write_csv(p, separator="\t")),
    ],
)
def test_counts_exactly(tmp_path, frame, name, write):
    path = tmp_path / name
    write(frame, path)
    found = sample_source(str(path), limit=100)
    assert (found.rows, found.exact, found.frame.height, found.whole) == (5000, True, 100, False)
    found = sample_source(str(path), limit=100_000)
    assert (found.rows, found.exact, found.frame.height, found.whole) == (5000, True, 5000, True)


def test_a_last_line_without_an_end_is_a_row(tmp_path):
    (tmp_path / "a.csv").write_text("click,ad\n0,a\n1,b\n0,c")
    assert sample_source(str(tmp_path / "a.csv"), limit=2).rows == 3


def test_globs_are_added_up_and_a_cap_holds(tmp_path, frame):
    for i in range(3):
        frame.write_parquet(tmp_path / f"day-{i}.parquet")
    assert sample_source(str(tmp_path / "day-*.parquet"), limit=10).rows == 15_000
    found = sample_source(str(tmp_path / "day-*.parquet"), limit=10, cap=7000)
    assert (found.rows, found.frame.height) == (7000, 10)
    assert sample_source(str(tmp_path / "day-*.parquet"), limit=10, cap=4).frame.height == 4


@pytest.mark.parametrize("packed", [False, True])
def test_large_text_is_estimated_within_five_percent(tmp_path, frame, monkeypatch, packed):
    monkeypatch.setattr(ctrsel.api.sample, "_EXACT_BYTES", 100)
    monkeypatch.setattr(ctrsel.api.sample, "_PIECE", 4096)
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    text = frame.write_csv()
    if packed:
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    found = sample_source(str(path), limit=100)
    assert not found.exact
    assert found.rows == pytest.approx(5000, rel=0.05 if not packed else 0.5)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        sample_source(str(tmp_path / "a.csv"))


def test_untyped():
    assert is_untyped("a.csv.gz")
    assert is_untyped("a.dat", format="libsvm")
    assert not is_untyped("a.parquet")
