import random
from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.errors import CtrselError, DataError
from ctrsel.data.layouts import LayoutReader, Rule
from ctrsel.data.rejects import Rejects

RULES = (Rule.matches("b", r"\d*", "must be a number"),)
JUNK = [
    b"",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b'"',
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\x1f",
    b" ",
    b"\xef\xbb\xbf",
    b"\n\n",
    b"\x1f\x8b",
    b"(\xb5/\xfd",
    b"x^",
]


def reader(folder: Path, *, tolerance: float = 0.0, rows: int | None = None) -> LayoutReader:
    return LayoutReader(part="train", rejects=Rejects(tolerance=tolerance), memory=1 << 20, scratch=folder, rows=rows)


def read(file: Path, by: LayoutReader, *, separator: str = "\t") -> pl.DataFrame:
    return pl.concat(by.lines(file, separator=separator, columns=("a", "b"), rules=RULES))


@pytest.mark.parametrize("first", ["x^", "x\x01", "(", "\ufeff\ufeffz", '"q', "#", "\x1e"])
def test_first_bytes_that_look_like_something_else(first: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(f"{first}\t1\n{first}\t2\n", encoding="utf-8")
    found = read(tmp_path / "t", reader(tmp_path))
    assert found["a"].to_list() == [first.removeprefix("\ufeff"), first]
    assert found["b"].to_list() == ["1", "2"]


def test_separators_of_several_characters(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a:b::1\r\n\r\nc::2")
    assert read(tmp_path / "t", reader(tmp_path), separator="::").rows() == [("a:b", "1"), ("c", "2")]


def test_cells_that_are_too_long(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a\t1\n" + "b" * 20 + "\t2\n")
    by = LayoutReader(part="train", rejects=Rejects(tolerance=0.5), memory=1 << 20, scratch=tmp_path, max_cell=10)
    assert read(tmp_path / "t", by).height == 1
    assert by.rejects.frame()["reason"].to_list() == ["has more than the 10 characters of ingest.max_cell in a cell"]


def test_files_beside_are_read_whole_and_strictly(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a\t1\nb\t2\n")
    by = reader(tmp_path, tolerance=0.9, rows=1)
    assert read(tmp_path / "t", by).height == 1
    assert pl.concat(by.beside(tmp_path / "t", separator="\t", columns=("a", "b"))).height == 2
    with pytest.raises(DataError, match="line 1 must have 3 cells, got 2"):
        list(by.beside(tmp_path / "t", separator="\t", columns=("a", "b", "c")))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_stands_in_a_file_no_row_is_lost(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    told: list[str] = []
    for _ in range(40):
        text = bytearray(b"".join(b"cell %d\t%d\n" % (i, i) for i in range(rng.choice([1, 5, 40]))))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.choice([0, 0, 3])] = rng.choice(JUNK)
        (tmp_path / "t").write_bytes(bytes(text))
        by = reader(tmp_path, tolerance=0.99)
        try:
            found = read(tmp_path / "t", by)
        except CtrselError as error:
            told.append(str(error))
            continue
        rows = [r for r in bytes(text).removeprefix(b"\xef\xbb\xbf").split(b"\n") if r.removesuffix(b"\r").strip(b" ")]
        assert found.height + by.rejects.rows == len(rows)
    assert not [t for t in told if "\n" in t]
