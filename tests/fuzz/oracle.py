"""Independent readers of text formats: slow, simple, written from the rules that the modules state, not from their code."""

from __future__ import annotations

import codecs
import gzip
import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass
class Expected:
    """What a file holds: how many rows, and the good ones in order; None where the file itself is faulty."""

    read: int
    good: list[Any]
    names: list[str]


class FileFaultError(Exception):
    """The file is no file of its format."""


def plain(content: bytes) -> bytes:
    if content[:2] == b"\x1f\x8b":
        if content[3:4] > b"\x1f":  # flags that RFC 1952 reserves, over which Python's reader looks
            raise FileFaultError("gzip flags")
        try:
            return gzip.decompress(content)
        except Exception as error:
            raise FileFaultError("gzip") from error
    return content


def as_utf8(content: bytes, encoding: str) -> bytes:
    """Bytes that are UTF-8, but for marks of what cannot be decoded."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if encoding == "utf-16" and content and not marked:
        raise FileFaultError("UTF-16 without a byte order mark")
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        if marked:
            raise FileFaultError("UTF-16 that is said to be UTF-8")
        return content.removeprefix(codecs.BOM_UTF8)
    codecs.register_error("oracle.mark", lambda error: ("\udc81", error.end))  # type: ignore[attr-defined]
    text = content.decode(encoding, errors="oracle.mark")
    return text.encode("utf-8", "surrogatepass").removeprefix(codecs.BOM_UTF8)


def lines_of(data: bytes, *, either: bool = True) -> list[bytes]:
    head = data[: 1 << 16]
    cr = b"\n" not in head and b"\r" in head
    if cr and either:  # formats of lines know no LF within a row
        data, cr = data.replace(b"\r", b"\n"), False
    lines = data.split(b"\r" if cr else b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def bad_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def delimited(data: bytes, separator: str, *, longest: int, rows: int | None) -> Expected:
    if not data:
        raise FileFaultError("empty")
    cr = b"\n" not in data[: 1 << 16] and b"\r" in data[: 1 << 16]
    lines = lines_of(data, either=False)
    limit = max(4 * longest, 1 << 16) + 2  # bytes that a quote may stay open
    header, at = _record(lines, 0, separator, cr=cr, limit=limit)
    if (
        not lines[0].removesuffix(b"" if cr else b"\r")
        or header is None
        or any(bad_text(c.encode("latin-1")) for c in header)
    ):
        raise FileFaultError("header")
    names = [n.encode("latin-1").decode() for n in header]
    if len(set(names)) < len(names) or "" in names or any("\0" in n for n in names):
        raise FileFaultError("header names")
    if any(len(n) > min(longest, 255) for n in names):
        raise FileFaultError("header cell")
    read, good = 0, []
    while at < len(lines) and read != rows:
        if lines[at] in ((b"",) if cr else (b"", b"\r")):
            at += 1
            continue
        cells, at = _record(lines, at, separator, cr=cr, limit=limit)
        read += 1
        if cells is None or len(cells) != len(names):
            continue
        raw = [c.encode("latin-1") for c in cells]
        if any(b"\0" in c or bad_text(c) for c in raw):
            continue
        texts = [c.decode() for c in raw]
        if any(len(t) > longest for t in texts):
            continue
        good.append(tuple(texts))
    return Expected(read, good, names)


def _record(lines: list[bytes], at: int, separator: str, *, cr: bool, limit: int) -> tuple[list[str] | None, int]:
    """Read the record that starts at a line; None and the next line where its quotes are wrong. Bytes as Latin-1."""
    end = "\r" if cr else "\n"
    text = ""
    for stop in range(at, len(lines)):
        text += ("" if stop == at else end) + lines[stop].decode("latin-1")
        cells, state = _cells(text, separator, cr=cr, limit=limit)
        if state == "done":
            return cells, stop + 1
        if state == "wrong":
            break
    return None, at + 1


def _cells(text: str, separator: str, *, cr: bool, limit: int) -> tuple[list[str], str]:
    cells: list[str] = []
    rest = text
    while True:
        if rest.startswith('"'):
            inner = re.match(r'"((?:[^"]|"")*)', rest)
            assert inner is not None
            if inner.end() >= limit:
                return cells, "wrong"
            after = rest[inner.end() :]
            if not after:
                return cells, "open"
            cells.append(inner[1].replace('""', '"'))
            after = after[1:]  # the closing quote
            if after == "" or (after == "\r" and not cr):
                return cells, "done"
            if after[0] != separator:
                return cells, "wrong"
            rest = after[1:]
        else:
            cell, found, rest = rest.partition(separator)
            if cell.count('"') % 2:
                return cells, "wrong"
            if not found:
                cells.append(cell if cr else cell.removesuffix("\r"))
                return cells, "done"
            cells.append(cell)


def ndjson(data: bytes, *, longest: int, rows: int | None) -> Expected:
    read, good, names = 0, [], {}
    for raw in lines_of(data):
        if not raw.strip():
            continue
        if read == rows:
            break
        read += 1
        try:
            row = json.loads(raw.decode(), object_pairs_hook=lambda p: dict(reversed(p)), strict=False)
            json.dumps(row, ensure_ascii=False).encode()  # lone surrogates
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(row, dict)
            and all(0 < len(k) <= 255 for k in row)
            and b"\0" not in raw
            and not _too_long(list(row.values()), longest)
        ):
            good.append(row)
            names |= dict.fromkeys(row)
    if not read:
        raise FileFaultError("no rows")
    return Expected(read, good, list(names))


def libsvm(data: bytes, *, longest: int, rows: int | None) -> Expected:
    read, good, width = 0, [], 0
    for raw in lines_of(data):
        if read == rows:
            break
        if bad_text(raw):
            read += 1
            continue
        tokens = raw.decode().split("#")[0].split()
        if not tokens:
            continue
        read += 1
        pairs = [re.fullmatch(r"([0-9]+):([-+0-9.eE]+)", t) for t in tokens[1:]]
        right = bool(pairs) and all(p is not None and _is_number(p[2]) and len(p[0]) <= longest for p in pairs)
        if right and not width:
            width = len(pairs)
        if right and len(pairs) == width:
            good.append(tokens)
    if not width:
        raise FileFaultError("no rows")
    return Expected(read, good, [])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _too_long(value: Any, longest: int) -> bool:
    if isinstance(value, str):
        return len(value) > longest
    if isinstance(value, list):
        return any(_too_long(item, longest) for item in value)
    return isinstance(value, dict) and any(_too_long(item, longest) for pair in value.items() for item in pair)


def binary(content: bytes, kind: str, *, rows: int | None) -> Expected:
    """Count the rows of a parquet or Arrow file with another library."""
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet

    try:
        source = pa.BufferReader(content)
        n = (
            pa.parquet.read_metadata(source).num_rows
            if kind == "parquet"
            else pa.ipc.open_file(source).read_all().num_rows
        )
    except Exception as error:
        raise FileFaultError(str(error)) from error
    return Expected(n if rows is None else min(rows, n), [], [])
