from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.rejects import Rejects


def test_without_tolerance_the_first_fault_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.csv: line 3 is short"):
        Rejects().add(part="train", file="a.csv", row=2, reason="line 3 is short", line=3)
    with pytest.raises(ConfigError, match=r"ingest\.tolerance: must be a share in \[0, 1\), got 1"):
        Rejects(tolerance=1.0)


def test_more_than_the_tolerance_is_refused_with_the_commonest_reason() -> None:
    rejects = Rejects(tolerance=0.1)
    for i in range(3):
        rejects.add(part="train", file="a.csv", row=i, reason="short" if i else "long")
    rejects.check(30)
    with pytest.raises(
        DataError, match=r"3 of 29 rows \(10.34%\) had to be rejected.*10.00%.*most often: short \(2 rows\)"
    ):
        rejects.check(29)


def test_rejects_are_written_behind_earlier_ones(tmp_path: Path) -> None:
    for i in range(2):
        rejects = Rejects(tolerance=0.5)
        rejects.add(part="train", file="a,b.csv", row=i, reason='say "no"')
        rejects.save(tmp_path / "r.csv")
    found = pl.read_csv(tmp_path / "r.csv")
    assert found["row"].to_list() == [0, 1]
    assert found["reason"].to_list() == ['say "no"'] * 2
    assert found["file"].to_list() == ["a,b.csv"] * 2


def test_what_was_told_of_the_same_files_is_not_told_again(tmp_path: Path) -> None:
    first = Rejects(tolerance=0.5)
    first.add(part="train", file="a.csv", row=1, line=2, reason="short")
    first.add(part="train", file="frame", row=1, reason="short")
    first.save(tmp_path / "r.csv")
    second = Rejects(tolerance=0.5)
    for file, row in (("a.csv", 1), ("a.csv", 2), ("frame", 1)):
        second.add(part="train", file=file, row=row, line=2 if file == "a.csv" else None, reason="short")
    fresh = second.untold(tmp_path / "r.csv", files=["a.csv"])
    assert fresh.frame().select("file", "row").rows() == [("a.csv", 2), ("frame", 1)]
    assert second.untold(tmp_path / "none.csv", files=["a.csv"]) is second
    (tmp_path / "r.csv").write_text("part,file\n1,2,3,4,5,6,7,8\n")
    with pytest.raises(DataError, match=r"r\.csv: expected rejected rows as CSV, got "):
        second.untold(tmp_path / "r.csv", files=["a.csv"])
