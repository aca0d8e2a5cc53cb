import gzip
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data import staging
from ctrsel.data.rejects import Rejects
from ctrsel.data.staging import stage_text
from ctrsel.data.text_blocks import RowFaults

MB = 2**20


def stage(tmp_path: Path, content: str | bytes, *, kind="csv", tolerance=0.9, memory=2**30, name="a", **settings):
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    rejects = Rejects(tolerance=tolerance)
    shards = stage_text(
        str(file), kind=kind, part="test", rejects=rejects, scratch=tmp_path / "scratch", memory=memory, **settings
    )
    assert all(s.part == "test" and s.name == str(file) and s.untyped for s in shards)
    assert sum(s.rows for s in shards) == sum(s.read(list(s.schema)).height for s in shards)
    return shards, rejects.frame()


def rows(shards) -> list[tuple]:
    return [row for s in shards for row in s.read(list(s.schema)).rows()]


CELLS = "must have the header's 2 cells, got {}"
LONE = "has a lone quote inside a cell, the cell of 'b'; quote the cell and double it"
STRAY = "has a quote in the wrong place, in the cell of 'b'; quote the cell and double the quotes inside"
NUL = "has a NUL byte in the cell of 'b'; the file is damaged, or data.encoding is another one"
BYTES = "must be UTF-8 text, got byte 0xe9 at position {}; set data.encoding, or convert the file first"
LONG = "has more than the 9 characters of ingest.max_cell in the cell of 'b'"
LENGTHS = 'a,b\n1,"12345678é"\n2,"1234567"""""\n3,"12345678"""\r\n4,"1234567890"\n'


@pytest.mark.parametrize(
    ("content", "kept", "rejected"),
    [
        ("a,b\n1,x\n2\n3,y\n", [("1", "x"), ("3", "y")], [(2, 3, CELLS.format(1))]),
        ("a,b\n1,x,\n\n3,y", [("3", "y")], [(1, 2, CELLS.format(3))]),
        # An unclosed quote takes its own line with it.
        ('a,b\n1,"x\n2,y\n3,z\n', [("2", "y"), ("3", "z")], [(1, 2, "opens a quote that is never closed")]),
        ('a,b\n1,"x\n2,"y"\n3,z\n', [("2", "y"), ("3", "z")], [(1, 2, STRAY)]),
        # A row whose quotes are right but whose cells are not is faulty as a whole.
        ('a,b\n1,"x\ny",3\n2,y\n', [("2", "y")], [(1, 2, CELLS.format(3))]),
        ('a,b\n1,5" x\n2,5" x 3"\n', [("2", '5" x 3"')], [(1, 2, LONE)]),
        ("a,b\n1,x\0\n2,y\n", [("2", "y")], [(1, 2, NUL)]),
        (b"a,b\n1,\xe9\n2,y\n", [("2", "y")], [(1, 2, BYTES.format(3))]),
        (
            b'a,b\n"1\n2",\xe9\n\xe9,"\n"\n2,y\n',
            [("2", "y")],
            [(1, 2, BYTES.format(4)), (2, 4, BYTES.format(1))],
        ),
        ("a,b\n1,1234567890\n2,123456789\n", [("2", "123456789")], [(1, 2, LONG)]),
        (LENGTHS, [("1", "12345678é"), ("2", '1234567""'), ("3", '12345678"')], [(4, 5, LONG)]),
        ("a,b\r1,x\r2\r\r3,y\r", [("1", "x"), ("3", "y")], [(2, 3, CELLS.format(1))]),
        ("a,b\n1,x\ry\n2\r,\r\r\n", [("1", "x\ry"), ("2\r", "\r")], []),
        ("\ufeffa,b\n\ufeff1,x\n", [("\ufeff1", "x")], []),
    ],
)
def test_faulty_rows_are_set_apart(tmp_path: Path, content, kept, rejected) -> None:
    shards, rejects = stage(tmp_path, content, max_cell=9)
    assert rows(shards) == kept
    assert rejects.select("row", "line", "reason").rows() == rejected
    assert rejects["file"].unique().to_list() in ([], [str(tmp_path / "a")])
    if rejected:
        with pytest.raises(DataError, match=r"a: line \d+ "):
            stage(tmp_path, content, max_cell=9, tolerance=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("a,a\n1,2\n", "the header names the column 'a' twice"),
        ("a,\n1,2\n", "every cell of the header must hold a name, but cell 2 is empty"),
        ('a,"b\n1,2\n', "line 1 opens a quote that is never closed"),
        ("a,b\0\n1,2\n", "line 1 has a NUL byte in the cell 2"),
        ("a,b".encode("utf-16"), "the file begins as utf-16 does: set data.encoding: utf-16"),
        (gzip.compress(b"a,b\n" + b"1,x\n" * 5000, mtime=0)[:60], "it was cut off"),
        (pa.compress(np.random.default_rng(0).bytes(5000), codec="zstd", asbytes=True)[:400], "it was cut off"),
    ],
)
def test_faults_of_the_file_are_refused_whatever_is_tolerated(tmp_path: Path, content, message) -> None:
    with pytest.raises(DataError) as caught:
        stage(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ")
    assert message in str(caught.value)


def test_a_file_that_is_only_a_header_has_no_rows(tmp_path: Path) -> None:
    shards, _ = stage(tmp_path, "a,b\n")
    assert [(s.rows, list(s.schema)) for s in shards] == [(0, ["a", "b"])]
    assert rows(stage(tmp_path, "a,b\n1\n2\n")[0]) == []


@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "UTF8", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda b: pa.compress(b, codec="zstd", asbytes=True)])
def test_encodings_and_compression(tmp_path: Path, kind, encoding, pack) -> None:
    text = {
        "csv": 'a,b\né,"x\n1"\nÿ,\n',
        "tsv": 'a\tb\né\t"x\n1"\nÿ\t\n',
        "ndjson": '{"a": "é", "b": "x\\n1"}\n{"a": "ÿ", "b": ""}\n',
    }[kind]
    shards, _ = stage(tmp_path, pack(text.encode(encoding)), kind=kind, encoding=encoding)
    assert rows(shards) == [("é", "x\n1"), ("ÿ", "")]


def test_several_members_of_one_gzip_are_one_file(tmp_path: Path) -> None:
    assert rows(stage(tmp_path, gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0))[0]) == [
        ("1",),
        ("2",),
    ]


def test_what_cannot_be_decoded_is_a_fault_of_its_row(tmp_path: Path) -> None:
    shards, rejects = stage(tmp_path, b"a,b\n1,\x81\n2,\xe9\n", encoding="cp1252")
    assert rows(shards) == [("2", "é")]
    assert rejects["reason"].to_list() == ["must be cp1252 text, but cannot be decoded at byte 3 of its UTF-8 form"]
    odd = "a,b\n1,x\n".encode("utf-16-le") + b"\x00\xd8\n\x00" + "2,y\n".encode("utf-16-le")
    shards, rejects = stage(tmp_path, odd, encoding="utf-16-le")
    assert rows(shards) == [("1", "x"), ("2", "y")]
    assert rejects["row"].to_list() == [2]


@pytest.mark.parametrize("encoding", ["hex", "rot13", "klingon", "punycode", "unicode_escape", "", "utf\0"])
def test_what_is_no_encoding_of_files(tmp_path: Path, encoding) -> None:
    with pytest.raises(ConfigError, match=r"data\.encoding: must be an encoding"):
        stage(tmp_path, "a\n1\n", encoding=encoding)


def test_what_is_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.format: unknown format 'cvs'; did you mean 'csv'"):
        stage(tmp_path, "a\n1\n", kind="cvs")


def test_first_rows(tmp_path: Path) -> None:
    content = "a,b\n1,x\n2\n3,y\n4,z\n"
    shards, rejects = stage(tmp_path, content, rows=3)
    assert (rows(shards), rejects.height) == ([("1", "x"), ("3", "y")], 1)
    assert stage(tmp_path, content, rows=1, tolerance=0)[0][0].rows == 1


def large(n: int, *, bad: int) -> tuple[bytes, np.ndarray]:
    """Rows of which every `bad`-th is ragged, and the numbers of the good ones."""
    lines = [f"{i},{'x' * (i % 40)}" if i % bad else f"{i}" for i in range(n)]
    return ("id,text\n" + "\n".join(lines)).encode(), np.array([i for i in range(n) if i % bad])


@pytest.mark.parametrize("memory", [MB, 64 * MB, 2**30])
def test_large_files_lie_on_disk_and_rows_know_their_numbers(tmp_path: Path, memory) -> None:
    content, good = large(120_000, bad=1000)
    shards, rejects = stage(tmp_path, content, memory=memory)
    assert all(isinstance(s.source, pl.LazyFrame) for s in shards)
    assert (len(shards) > 1) == (memory == MB)
    assert [int(r[0]) for r in rows(shards)] == good.tolist()
    assert rejects["row"].to_list() == (np.arange(0, 120_000, 1000) + 1).tolist()
    assert rejects["line"].to_list() == (np.arange(0, 120_000, 1000) + 2).tolist()
    assert np.concatenate([s.numbers(np.arange(s.rows)) for s in shards]).tolist() == good.tolist()


def test_rows_that_are_too_long_to_be_held_are_skipped(tmp_path: Path) -> None:
    long = b"x" * (17 * MB)
    shards, rejects = stage(tmp_path, b"a,b\n1,x\n" + long + b"\n2,y\n3," + long, memory=64 * MB, max_cell=100)
    assert rows(shards) == [("1", "x"), ("2", "y")]
    assert rejects.select("row", "line").rows() == [(2, 3), (4, 5)]
    assert rejects["reason"].str.contains("longer than 16777216 bytes").all()


def test_a_quote_stays_open_for_no_longer_than_cells_may_be(tmp_path: Path) -> None:
    text = "".join(f"{i},x\n" for i in range(20_000))
    shards, rejects = stage(tmp_path, f'a,b\n1,"x\n{text}2,"\n', max_cell=100)
    assert shards[0].rows == 20_000
    assert rejects["reason"].to_list() == ["opens a quote that is never closed"] * 2


def test_the_outcome_does_not_depend_on_the_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pool = ["1,x\n", '"a\n",b\n', '1,"x\n', "\n", "1\n", 'x"y"z,"""\r\n"""\r\n', "é,\0\n", '5",1\n', "1,2,3\n"]
    text = "a,b\n" + "".join(rng.choice(pool, 250_000))
    few, some = stage(tmp_path, text, memory=MB, tolerance=0.999), stage(tmp_path, text, memory=2**32, tolerance=0.999)
    assert rows(few[0]) == rows(some[0])
    assert few[1].equals(some[1])


def test_polars_is_checked(tmp_path: Path, monkeypatch) -> None:
    """Should polars ever see other rows than the scanner, each row is read cell by cell."""
    monkeypatch.setattr(pl, "read_csv", lambda *_, **__: pl.DataFrame({"a": ["1"]}))
    assert rows(stage(tmp_path, 'a,b\n1,"x,""\n"\r\n2,\n')[0]) == [("1", 'x,"\n'), ("2", "")]


def test_a_hopeless_file_is_given_up_early(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(staging, "RowFaults", partial(RowFaults, limit=1000))
    with pytest.raises(DataError, match=r"of 65\d{3} rows \(100.00%\) had to be rejected"):
        stage(tmp_path, "a,b\n" + "1\n" * 200_000, tolerance=0.01, memory=MB)


def test_libsvm_rows_and_fields(tmp_path: Path) -> None:
    content = "x\n1 1:1 7:1\n0 1:1\n# note\n0 3:1 z:1\n1 2:1 9:0.5\n"
    shards, rejects = stage(tmp_path, content, kind="libfm")
    assert rows(shards) == [("1", "1", "1"), ("1", "2", "0.5")]
    assert rejects.select("row", "line", "reason").rows() == [
        (1, 1, "must be `label index:value ...`, got 'x'"),
        (3, 3, "must have 2 pairs like line 2, got 1"),
        (4, 5, "must hold pairs `index:value`, got 'z:1'"),
    ]


def test_a_libsvm_field_is_numeric_in_the_whole_file(tmp_path: Path) -> None:
    content = "1 5:1 3:1\n" * 250_000 + "0 5:0.5 4:1\n"
    shards, _ = stage(tmp_path, content, kind="libsvm", memory=MB)
    assert len(shards) > 1
    whole = pl.concat([s.read(["label", "f1", "f2"]) for s in shards])
    assert whole["f1"].value_counts(sort=True).rows() == [("1", 250_000), ("0.5", 1)]
    assert whole["f2"].value_counts(sort=True).rows() == [("3", 250_000), ("4", 1)]


def test_a_name_that_is_too_long_is_a_fault_of_the_header_or_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column's name must have at most 255 characters, got 300"):
        stage(tmp_path, "a," + "x" * 300 + "\n1,2\n")
    shards, rejects = stage(tmp_path, '{"a": 1, "' + "x" * 300 + '": 1}\n{"a": 2}\n', kind="ndjson")
    assert rows(shards) == [(2,)]
    assert rejects["reason"].to_list() == ["has a key of more than 255 characters"]
