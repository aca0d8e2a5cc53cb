import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.delimited import read_delimited


def read(tmp_path: Path, content: str | bytes, *, name: str = "a.csv", separator: str = ",", rows: int | None = None):
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_delimited(str(file), separator=separator, rows=rows).to_dict(as_series=False)


GOOD = {"a": ["1", "2"], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,x\n2,y\n", GOOD),
        ("a,b\n1,x\n2,y", GOOD),
        ("a,b\r\n1,x\r\n2,y\r\n", GOOD),
        (b"\xef\xbb\xbfa,b\n1,x\n2,y\n", GOOD),
        ("a,b\n1,x\n2,y\n\n\n", GOOD),
        ("a,b\r\n1,x\r\n\r\n2,y\r\n\r\n", GOOD),
        ("a,b\n\n1,x\n2,y\n", GOOD),
        ('a,b\n"1",x\n2,"y"\n\n', GOOD),
        ('"a","b"\n1,x\n2,y\n', GOOD),
        ('a,b\n1,"x\ny"\n2,"p,""q"""\n', {"a": ["1", "2"], "b": ["x\ny", 'p,"q"']}),
        ('a,b\n1,"x\n\ny"\n2,\n', {"a": ["1", "2"], "b": ["x\n\ny", ""]}),
        ('a,b\n"""",""\n1,"x""y"\n', {"a": ['"', "1"], "b": ["", 'x"y']}),
        (f'a,b\n"{"x" * 200_000}",\n', {"a": ["x" * 200_000], "b": [""]}),
        ("a,b\n1,\n,y\n,\n", {"a": ["1", "", ""], "b": ["", "y", ""]}),
        ("a\n1\n2\n", {"a": ["1", "2"]}),
        ("a,b\n007,1.0\n", {"a": ["007"], "b": ["1.0"]}),
        ("ä,b\nö,x\n", {"ä": ["ö"], "b": ["x"]}),
        ("a,b\n", {"a": [], "b": []}),
        (gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0), GOOD),
    ],
)
def test_what_is_read(tmp_path: Path, content, expected) -> None:
    assert read(tmp_path, content, name="a.csv.gz" if content[:2] == b"\x1f\x8b" else "a.csv") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,x\n2\n", "line 3 must have the header's 2 cells, got 1"),
        ("a,b\n1,x\n\n2\n", "line 4 must have the header's 2 cells, got 1"),
        ("a,b,c\n1,x,\n2,y\n", "line 3 must have the header's 3 cells, got 2"),
        ('a,b\n1,"x\ny"\n2\n', "line 4 must have the header's 2 cells, got 1"),
        ("a,b\n1,x\n2,y,z\n", "line 3 must have the header's 2 cells, got 3"),
        (b"a,b\n1,x\n2,\xff\n", "line 3 must be UTF-8 text, got byte 0xff at position 3"),
        (b"a\xff,b\n1,x\n", "line 1 must be UTF-8 text, got byte 0xff at position 2"),
        ("a,b,a\n1,x,2\n", "the header names the column 'a' twice"),
        ("a,,c\n1,2,3\n", "every cell of the header must hold a name, but cell 2 is empty"),
        ('a,b\n1,"x\n2,y\n', "line 2 opens a quote that is never closed"),
        ('a,b\n1,x\n2,"y\n3,z\n', "line 3 opens a quote that is never closed"),
        ('a,b\n1,x"\n2,y\n3,z\n', "line 2 has a lone quote inside a cell"),
        ('a,b\n1,"x"y\n2,z\n', "line 2 has a quote in the wrong place"),
        ("\n\n", "line 1 must hold the header, but it is blank"),
        (gzip.compress(b"a,b\n" + b"1,x\n" * 5000, mtime=0)[:60], "Compressed file ended"),
        (b"\x1f\x8b\x08\x00rubbish" * 9, "cannot be read"),
    ],
)
def test_what_is_refused_by_line(tmp_path: Path, content, message: str) -> None:
    name = "a.csv.gz" if content[:2] == b"\x1f\x8b" else "a.csv"
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name=name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tabs_and_first_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "a\tb\n1\tx,1\n2\ty\n", separator="\t") == {"a": ["1", "2"], "b": ["x,1", "y"]}
    assert read(tmp_path, "a,b\n1,\n2,y\n3\n", rows=2) == {"a": ["1", "2"], "b": ["", "y"]}
    assert read(tmp_path, 'a,b\n1,\n2,"y"\n3\n', rows=2) == {"a": ["1", "2"], "b": ["", "y"]}


CELL = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6))
def test_what_a_writer_writes_is_read_back(cells, tmp_path_factory) -> None:
    frame = pl.DataFrame(cells, schema={"a": pl.String, "b": pl.String}, orient="row")
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    frame.write_csv(file, quote_style="always")
    assert read_delimited(str(file), separator=",").rows() == cells
