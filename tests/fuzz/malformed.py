"""Malformed files and configs, drawn by a seed: valid ones of every format, damaged as logs and hands damage them."""

from __future__ import annotations

import gzip
import io
import json
import random
from dataclasses import dataclass
from typing import Any

import polars as pl

TEXTS = ("csv", "tsv", "ndjson", "libsvm")
BINARIES = ("parquet", "ipc")
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-16", "latin-1", "cp1252", "utf-16-le", "shift_jis")
WORDS = ("", "a", "b", "ad-7", "1", "1.0", "-0.0", "1e20", "nan", "inf", "NULL", "x y", " pad ", "ä", "日本", "😀", "é", "5\" x 3\"",
         'say "hi"', "a,b", "a\tb", "two\nlines", "two\r\nlines", "9007199254740993", "[1, 2]", "a|b", "2024-01-01T00:00:00Z")  # fmt: skip


@dataclass
class Case:
    """Some files of one source, with what a config would say about them."""

    seed: int
    kind: str
    encoding: str
    files: dict[str, bytes]
    tolerance: float
    longest: int
    rows: int | None
    damage: tuple[str, ...]


def draw(seed: int, *, kinds: tuple[str, ...] = (*TEXTS, *BINARIES)) -> Case:
    """Draw one case; column c0 can mostly be a label, so that some cases come through."""
    rng = random.Random(seed)
    kind = rng.choice(kinds)
    encoding = rng.choice(ENCODINGS) if kind in ("csv", "tsv", "ndjson") else "utf-8"
    names = [f"c{i}" for i in range(rng.choice((1, 2, 3, 5)))]
    lists = rng.random() < 0.3
    labels = rng.random() < 0.8
    files, damage = {}, []
    for i in range(rng.choice((1, 1, 1, 2, 3))):
        content = valid(rng, kind, encoding, names, labels=labels, lists=lists)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 6))):
            how = rng.choice(sorted(DAMAGE))
            content = DAMAGE[how](rng, content)
            damage.append(how)
        packed = kind in TEXTS and rng.random() < 0.15
        if packed:
            content = gzip.compress(content, mtime=0)
            if rng.random() < 0.3:
                how = rng.choice(("cut", "flip", "delete"))
                content = DAMAGE[how](rng, content)
                damage.append("packed " + how)
        ending = ".gz" if packed or (kind in TEXTS and rng.random() < 0.02) else ""
        files[f"f-{i}.{kind}{ending}"] = content
        if rng.random() < 0.2:
            rng.shuffle(names)
            damage.append("columns shuffled")
        if rng.random() < 0.05:
            names[0] = "other"
            damage.append("column renamed")
    return Case(
        seed=seed,
        kind=kind,
        encoding=encoding,
        files=files,
        tolerance=rng.choice((0.0, 0.2, 0.5, 0.999)),
        longest=rng.choice((1_000_000, 1_000_000, 1_000_000, 8)),
        rows=rng.choice((None, None, None, 3, 40)),
        damage=tuple(damage),
    )


def valid(rng: random.Random, kind: str, encoding: str, names: list[str], *, labels: bool, lists: bool) -> bytes:
    n = rng.choice((0, 1, 3, 10, 60, 60, 60))
    words = [w for w in WORDS if _can(w, encoding)]
    rows = [[rng.choice("01" if labels and k == "c0" else words) for k in names] for _ in range(n)]
    if kind in ("csv", "tsv"):
        separator = "," if kind == "csv" else "\t"
        end = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
        always = rng.random() < 0.3
        lines = [separator.join(names), *(separator.join(_cell(c, separator, always) for c in row) for row in rows)]
        return (end.join(lines) + rng.choice((end, ""))).encode(encoding)
    if kind == "ndjson":
        kinds = {k: rng.choice(("text", "number", "mixed", "list" if lists else "text")) for k in names}
        typed = [
            {
                k: (int(c) if kinds[k] == "number" else c) if k == "c0" and labels else _value(rng, c, kinds[k])
                for k, c in zip(names, row, strict=True)
                if k == "c0" or rng.random() < 0.95
            }
            for row in rows
        ]
        ascii_only = rng.random() < 0.3
        return "".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in typed).encode(encoding)
    if kind == "libsvm":
        numeric = rng.random() < 0.3
        pairs = [
            [f"{rng.randrange(50)}:{rng.choice(('1', '1.0', '0.5', '-2e3')) if numeric else 1}" for _ in names]
            for _ in rows
        ]
        return "".join(f"{rng.choice('01')} {' '.join(row)}\n" for row in pairs).encode()
    frame = _frame(rng, names, n, labels=labels)
    target = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(target, compression=rng.choice(("uncompressed", "snappy", "zstd")))
    else:
        frame.write_ipc(target)
    return target.getvalue()


def _can(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _cell(text: str, separator: str, always: bool) -> str:
    special = any(c in text for c in (separator, "\n", "\r")) or text.startswith('"') or text.count('"') % 2
    return '"' + text.replace('"', '""') + '"' if always or special else text


def _value(rng: random.Random, text: str, kind: str) -> Any:
    if kind == "text":
        return rng.choice((text, text, None))
    if kind == "number":
        return rng.choice((1, 0, -7, 2.5, 1.0, 1e20, 1e-7, 2**53 + 1, None, float("nan")))
    if kind == "list":
        return rng.choice(([1, 2], ["a", None], [], [1, "a"], None))
    return rng.choice(
        (text, text, text, 1, 0, -7, 2.5, 1.0, 1e20, 1e-7, 2**53 + 1, 2**70, True, None, float("nan"), [1, 2], ["a", None], [], {"k": text},
         [[1]], [1, "a"])
    )  # fmt: skip


def _frame(rng: random.Random, names: list[str], n: int, *, labels: bool) -> pl.DataFrame:
    def column(name: str) -> pl.Series:
        if labels and name == "c0":
            return pl.Series([rng.choice((0, 1)) for _ in range(n)], dtype=rng.choice((pl.Int64, pl.Float64, pl.Int8)))
        kind = rng.choice(("text", "int", "float", "bool", "list", "category", "time", "binary", "null"))
        if kind == "text":
            return pl.Series([rng.choice(WORDS) for _ in range(n)], dtype=pl.String)
        if kind == "int":
            return pl.Series([rng.choice((None, rng.randrange(-5, 5), 2**60)) for _ in range(n)], dtype=pl.Int64)
        if kind == "float":
            return pl.Series(
                [rng.choice((None, 1.0, 2.5, float("inf"), float("nan"))) for _ in range(n)], dtype=pl.Float64
            )
        if kind == "bool":
            return pl.Series([rng.choice((None, True, False)) for _ in range(n)], dtype=pl.Boolean)
        if kind == "list":
            return pl.Series([rng.choice((None, [], ["a", "b"])) for _ in range(n)], dtype=pl.List(pl.String))
        if kind == "category":
            return pl.Series([rng.choice(WORDS) for _ in range(n)], dtype=pl.Categorical)
        if kind == "time":
            return pl.Series([rng.randrange(10**9) for _ in range(n)], dtype=pl.Int64).cast(pl.Datetime("us"))
        if kind == "binary":
            return pl.Series([rng.choice((b"x", b"\xff", None)) for _ in range(n)], dtype=pl.Binary)
        return pl.Series([None] * n, dtype=pl.Null)

    return pl.DataFrame({name: column(name) for name in names})


def _at(rng: random.Random, content: bytes) -> int:
    return rng.randrange(len(content) + 1)


def _flip(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return content
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _insert(what: bytes) -> Any:
    return lambda rng, content: content[: (at := _at(rng, content))] + what + content[at:]


def _delete(rng: random.Random, content: bytes) -> bytes:
    at = _at(rng, content)
    return content[:at] + content[at + rng.choice((1, 1, 2, 7, 40)) :]


def _lines(rng: random.Random, content: bytes, how: str) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    if how == "twice":
        lines.insert(at, lines[at])
    elif how == "swap":
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "blank":
        lines.insert(at, rng.choice((b"", b"\r", b" ")))
    elif how == "join":
        lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    elif how == "header":
        lines[0] += rng.choice((b",c0", b"\tc0", b",", b"\t", b'"', b" "))
    return b"\n".join(lines)


DAMAGE = {
    "flip": _flip,
    "delete": _delete,
    "cut": lambda rng, content: content[: _at(rng, content)],
    "quote": _insert(b'"'),
    "quotes": _insert(b'""'),
    "comma": _insert(b","),
    "tab": _insert(b"\t"),
    "newline": _insert(b"\n"),
    "return": _insert(b"\r"),
    "nul": _insert(b"\0"),
    "nuls": _insert(b"\0" * 100),
    "mark": _insert(b"\xef\xbb\xbf"),
    "mark first": lambda rng, content: rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) + content,
    "latin": _insert("é".encode("latin-1")),
    "long": _insert(b"x" * 70_000),
    "colon": _insert(b":"),
    "brace": _insert(b"}"),
    "hash": _insert(b"#"),
    "backslash": _insert(b"\\"),
    "surrogate": _insert(b"\\ud800"),
    "line twice": lambda rng, content: _lines(rng, content, "twice"),
    "lines swapped": lambda rng, content: _lines(rng, content, "swap"),
    "blank line": lambda rng, content: _lines(rng, content, "blank"),
    "lines joined": lambda rng, content: _lines(rng, content, "join"),
    "header": lambda rng, content: _lines(rng, content, "header"),
    "empty": lambda rng, content: b"",
    "rubbish": lambda rng, content: rng.randbytes(rng.randrange(200)),
}
