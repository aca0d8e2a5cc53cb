import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.ndjson import NdjsonReader
from ctrsel.data.rejects import Rejects
from ctrsel.data.staging import stage_text


def stage(tmp_path: Path, content: str | bytes, *, tolerance=0.9, memory=2**30, **settings):
    file = tmp_path / "a.ndjson"
    file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    rejects = Rejects(tolerance=tolerance)
    shards = stage_text(
        str(file), kind="ndjson", part="train", rejects=rejects, scratch=tmp_path / "s", memory=memory, **settings
    )
    return shards, rejects.frame()


def column(shards, name="a") -> list:
    return [v for s in shards for v in s.read([name])[name].to_list()]


@pytest.mark.parametrize(
    ("content", "expected", "dtype"),
    [
        ('{"a": 1}\n{"a": null}\n{"b": 1}\n', [1, None, None], pl.Int64),
        ('{"a": 1}\n{"a": 2.5}', [1.0, 2.5], pl.Float64),
        ('{"a": true}\r\n\r\n{"a": false}\r\n', [True, False], pl.Boolean),
        ('{"a": "x"}\n  \n {"a": "1.0"} \n', ["x", "1.0"], pl.String),
        ('{"a": [1, 2]}\n{"a": []}\n{"a": null}\n', [[1, 2], [], None], pl.List(pl.Int64)),
        ('{"a": ["x", 1, true, null]}\n', [["x", "1", "true", None]], pl.List(pl.String)),
        ('{"a": null}\n', [None], pl.Null),
        ('{}\n{"a": 1}\n', [None, 1], pl.Int64),
        # Mixed kinds are texts, each the one that the value has in a column of its own.
        ('{"a": 1}\n{"a": "x"}\n{"a": 1.0}\n{"a": 1e20}\n{"a": 1e-7}\n{"a": true}\n{"a": 2.50}\n',
         ["1", "x", "1", "1e+20", "1e-7", "true", "2.5"], pl.String),
        ('{"a": 1}\n{"a": [1, "x"]}\n{"a": {"b": 1}}\n', ["1", '[1, "x"]', '{"b": 1}'], pl.String),
        # Whole numbers keep all digits.
        ('{"a": 9007199254740993}\n{"a": 1.5}\n', ["9007199254740993", "1.5"], pl.String),
        ('{"a": 18446744073709551616}\n{"a": 1}\n', ["18446744073709551616", "1"], pl.String),
        ('{"a": -9223372036854775808}\n', [-(2**63)], pl.Int64),
        ('{"a": [9007199254740993, 1.5]}\n', [["9007199254740993", "1.5"]], pl.List(pl.String)),
        ('{"a": NaN}\n{"a": Infinity}\n{"a": 1}\n', [None, float("inf"), 1.0], pl.Float64),
        ('{"a": "\\ud83d\\ude00"}\n', ["😀"], pl.String),
        ('{"a": "tab\there"}\n', ["tab\there"], pl.String),
        ('{"a": 1, "a": 2}\n{"a": 1, "a": 2, "b": NaN}\n', [1, 1], pl.Int64),
        ('{"a": {}}\n', ["{}"], pl.String),
    ],
)  # fmt: skip
def test_values_keep_their_worth(tmp_path: Path, content, expected, dtype) -> None:
    shards, rejects = stage(tmp_path, content, tolerance=0)
    assert column(shards) == expected
    assert shards[0].schema["a"] == dtype
    assert not rejects.height


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "must be a JSON object, but: expecting property name enclosed in double quotes at character 2"),
        ('{"a": 1', "must be a JSON object, but: expecting ',' delimiter at character 8"),
        ("{'a': 1}", "must be a JSON object, but: expecting property name enclosed in double quotes at character 2"),
        ('{"a": 1} {"a": 2}', "must be a JSON object, but: extra data at character 10"),
        ('{"a": 1e400}', "must be a JSON object, but: a number is too large"),
        ("[1]", "must be a JSON object, got a list"),
        ("null", "must be a JSON object, got null"),
        ('{"": 1}', "has an empty key"),
        ('"x"', "must be a JSON object, got a text"),
        ('{"a": "\\ud800"}', "has a lone surrogate in 'a'"),
        ('{"\\udc00": 1}', "has a lone surrogate in a key"),
        ('{"a": "\0"}', "has a NUL byte; the file is damaged, or data.encoding is another one"),
        ('{"a": "' + "x" * 51 + '"}', "has more than the 50 characters of ingest.max_cell in 'a'"),
        ('{"a": [{"b": "' + "x" * 51 + '"}]}', "has more than the 50 characters of ingest.max_cell in 'a'"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "must be a JSON object, but is nested too deeply"),
        (b'{"a": "\xe9"}', "must be UTF-8 text, got byte 0xe9 at position 8; set data.encoding, or convert the file first"),
    ],
)  # fmt: skip
def test_faulty_lines_are_set_apart(tmp_path: Path, line, reason) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    shards, rejects = stage(tmp_path, b'{"a": "x"}\n\n' + raw + b'\n{"a": "y"}\n', max_cell=50)
    assert column(shards) == ["x", "y"]
    assert rejects.select("row", "line", "reason").rows() == [(2, 3, reason)]
    with pytest.raises(DataError) as caught:
        stage(tmp_path, raw, tolerance=0, max_cell=50)
    assert str(caught.value) == f"{tmp_path}/a.ndjson: line 1 {reason}"


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no rows"), ("\n \n", "holds no rows"), ("{}\n{}\n", "no row has a key")],
)  # fmt: skip
def test_files_without_columns_are_refused(tmp_path: Path, content, message) -> None:
    with pytest.raises(DataError, match=message):
        stage(tmp_path, content)


def test_columns_and_types_may_change_on_the_way(tmp_path: Path) -> None:
    pad = "x" * 100
    text = "".join(json.dumps({"a": i, "pad": pad}) + "\n" for i in range(20_000))
    text += "".join(json.dumps({"a": f"t{i}", "b": 1.5}) + "\n" for i in range(20_000))
    shards, _ = stage(tmp_path, text, memory=2**20)
    assert len(shards) > 1
    assert {tuple(s.schema) for s in shards} == {("a", "pad", "b")}
    assert {s.schema["a"] for s in shards} >= {pl.Int64(), pl.String()}
    texts = pl.concat([canonical_text(s.read(["a"])["a"]) for s in shards])
    assert texts.to_list() == [*map(str, range(20_000)), *(f"t{i}" for i in range(20_000))]
    assert column(shards, "b") == [None] * 20_000 + [1.5] * 20_000
    assert [s.first for s in shards] == [sum(t.rows for t in shards[:i]) for i in range(len(shards))]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.none() | st.booleans() | NUMBER | TEXT
KIND = st.sampled_from([st.integers(-9, 9), st.floats(-9, 9), st.text('ab\\"{}:,[]1 \n', max_size=5), SCALAR])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_polars_and_python_read_the_same(data, tmp_path_factory) -> None:
    """A block that polars reads has the texts that its values have one by one."""
    values = data.draw(KIND.flatmap(lambda kind: st.lists(st.none() | kind, min_size=1, max_size=6)))
    compact = data.draw(st.booleans())
    separators = (",", ":") if compact else None
    text = "".join(json.dumps({"k": 0, "a": v}, separators=separators, ensure_ascii=compact) + "\n" for v in values)
    shards, _ = stage(tmp_path_factory.mktemp("nd"), text, tolerance=0)
    found = pl.concat([canonical_text(s.read(["a"])["a"]) for s in shards]).to_list()
    assert found == [canonical_text(pl.Series([v], strict=False))[0] if not _big(v) else str(v) for v in values]


def _big(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def test_clean_blocks_are_read_by_polars(tmp_path: Path, monkeypatch) -> None:
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(NdjsonReader, "_careful", never)
    rows = [
        {"a": "x, y: [1]", "b": i, "c": i / 2, "d": [i], "e": None if i % 2 else True, "f": "é"} for i in range(100)
    ]
    shards, _ = stage(tmp_path, "".join(json.dumps(r) + "\n" for r in rows))
    assert shards[0].read(list(shards[0].schema)).to_dicts() == rows
