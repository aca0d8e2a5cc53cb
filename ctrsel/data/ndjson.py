"""Newline-delimited JSON: one object per line; polars reads clean blocks, Python the others, with the same values.

Keys are columns; a key that a row lacks is null there. Values keep their types, which may differ from block to block,
since one text function reads them all; a column of numbers and texts within a block is texts. Numbers keep their
worth: integers beyond 64 bits, and integers beyond 2^53 beside fractions, become texts of all their digits.

Read although RFC 8259 (Bray, 2017) forbids it: NaN as null, Infinity as infinity, control characters within texts. Of a
key that stands twice in an object the first counts. Faulty: a line that is no object, a lone surrogate, a NUL byte,
bytes that are not text in the encoding, a text of too many characters. Blank lines are no rows.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.text_blocks import (
    LONGEST_NAME,
    LineBlock,
    Piece,
    RowFaults,
    line_blocks,
    longest_line,
    quoted,
    undecodable,
)

__all__ = ["NdjsonReader", "json_column"]

_EXACT = 2**53  # integers up to here are themselves as floats
_PAIRS = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PanicException = pl.exceptions.PanicException


@dataclass(slots=True, kw_only=True)
class NdjsonReader:
    """Reads one file piece by piece; what its columns are is known at the end.

    Attributes:
        path: A file, plain or compressed.
        faults: Takes the faulty rows.
        encoding: Of the file, by Python's name.
        max_cell: Characters.
        size: Bytes read at once.
        names: Columns found so far.
    """

    path: str
    faults: RowFaults
    encoding: str = "utf-8"
    max_cell: int = 1_000_000
    size: int = 1 << 24
    read: int = 0
    names: dict[str, None] = field(default_factory=dict)

    def pieces(self, *, rows: int | None = None) -> Iterator[Piece]:
        """Yield the rows; pieces may have different columns and types.

        Args:
            rows: Read at most so many, faulty ones included.

        Raises:
            DataError: For a fault of the file; for the first fault of a row if none is tolerated.
        """
        left = 2**62 if rows is None else rows
        for block in line_blocks(
            self.path, encoding=self.encoding, size=self.size, longest=longest_line(self.max_cell)
        ):
            lines = [(i, line) for i, line in enumerate(block.data.split(b"\n")[:-1], start=block.line) if line.strip()]
            lines = lines[:left]
            if not lines:
                continue
            frame = None if block.cut else self._fast(lines)
            if frame is None:
                frame = self._careful(lines, block)
            self.read += len(lines)
            left -= len(lines)
            self.names.update(dict.fromkeys(n for n in frame.columns if n))
            yield Piece(frame=frame, read=len(lines), gaps=self.faults.flush(read=self.read))
            if left <= 0:
                break
        if self.read and not self.names and not self.faults.total:
            raise DataError(f"{self.path}: no row has a key")
        if not self.read:
            raise DataError(f"{self.path}: holds no rows")

    def columns(self, held: list[str]) -> list[pl.Expr]:
        """Return what makes the columns of the file from those of some of its pieces, once all are read."""
        return [pl.col(n) if n in held else pl.lit(None).alias(n) for n in self.names]

    def _fast(self, lines: list[tuple[int, bytes]]) -> pl.DataFrame | None:
        """Let polars read a block; None where it cannot, or might read something else than is written."""
        data = b"\n".join(line for _, line in lines)
        if b"\0" in data or (b"\\u" in data and _SURROGATE.search(_PAIRS.sub(b"", data))):
            return None
        if max(len(line) for _, line in lines) > self.max_cell:
            return None
        try:
            frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        except (pl.exceptions.PolarsError, _PanicException):
            return None
        if (
            frame.height != len(lines)
            or not frame.width
            or "" in frame.columns
            or max(map(len, frame.columns)) > LONGEST_NAME
        ):
            return None
        if _unsure(frame, data):
            return None
        return frame

    def _careful(self, lines: list[tuple[int, bytes]], block: LineBlock) -> pl.DataFrame:
        """Read a block line by line, and note the faulty ones."""
        rows: list[dict[str, Any]] = []
        for i, (number, line) in enumerate(lines):
            try:
                if block.cut:
                    raise _LineError(f"is longer than {longest_line(self.max_cell)} bytes")
                rows.append(self._object(line))
            except _LineError as error:
                self.faults.add(row=self.read + i, line=number, reason=str(error))
        names = dict.fromkeys(name for row in rows for name in row)
        # By name, since polars renames the nameless; of rows without any key the nameless column keeps the count.
        columns = {name: json_column(name, [row.get(name) for row in rows]) for name in names}
        return pl.DataFrame(columns or {"": pl.Series([None] * len(rows), dtype=pl.Null)})

    def _object(self, line: bytes) -> dict[str, Any]:
        wrong = undecodable(line, encoding=self.encoding)
        if wrong is not None:
            raise _LineError(wrong[1])
        if b"\0" in line:
            raise _LineError("has a NUL byte; the file is damaged, or data.encoding is another one")
        try:
            found = _DECODER.decode(line.decode())
        except json.JSONDecodeError as error:
            raise _LineError(f"must be a JSON object, but: {error.msg.lower()} at character {error.pos + 1}") from error
        except RecursionError as error:
            raise _LineError("must be a JSON object, but is nested too deeply") from error
        except ValueError as error:
            raise _LineError(f"must be a JSON object, but: {str(error).splitlines()[0][:80]}") from error
        if not isinstance(found, dict):
            raise _LineError(f"must be a JSON object, got {_KINDS[type(found)]}")
        for name, value in found.items():
            if not name:
                raise _LineError("has an empty key")
            if len(name) > LONGEST_NAME:
                raise _LineError(f"has a key of more than {LONGEST_NAME} characters")
            if _SURROGATES.search(name):
                raise _LineError("has a lone surrogate in a key")
            self._check(name, value)
        return found

    def _check(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            if _SURROGATES.search(value):
                raise _LineError(f"has a lone surrogate in {quoted(name)}")
            if len(value) > self.max_cell:
                raise _LineError(f"has more than the {self.max_cell} characters of ingest.max_cell in {quoted(name)}")
        elif isinstance(value, list):
            for item in value:
                self._check(name, item)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._check(name, key)
                self._check(name, item)


class _LineError(Exception):
    """A line that is no row, and why."""


_SURROGATES = re.compile("[\ud800-\udfff]")
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value", type(None): "null"}


def _first_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs)) if len({k for k, _ in pairs}) < len(pairs) else dict(pairs)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _constant(text: str) -> float | None:
    return {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}[text]


_DECODER = json.JSONDecoder(object_pairs_hook=_first_of, parse_float=_number, parse_constant=_constant, strict=False)


def _unsure(frame: pl.DataFrame, data: bytes) -> bool:
    """Whether polars may have changed a value: mixed kinds within a column, or integers that became floats."""
    texts = []
    for name, kind in frame.schema.items():
        inner = kind
        while isinstance(inner, pl.List):
            inner = pl.Series(dtype=inner.inner).dtype
        if isinstance(inner, pl.Struct) or inner == pl.Int128:
            return True
        if inner == pl.String:
            if kind != pl.String:
                return True
            texts.append(name)
        if inner.is_float():
            values = frame[name] if kind == inner else frame[name].explode(empty_as_null=True, keep_nulls=True)
            if kind != inner and isinstance(values.dtype, pl.List):
                return True
            if bool((values.abs() >= _EXACT).any()):
                return True
    if not texts:
        return False
    if re.search(rb'\\.[^"\\]*"\s*:', data):  # a key with an escape in it, perhaps
        return True
    keys = "|".join(re.escape(json.dumps(t, ensure_ascii=False)) for t in texts)
    lines = pl.Series([data], dtype=pl.Binary).cast(pl.String)
    return bool(lines.str.contains(rf'(?:{keys})\s*:\s*[^"\sn]')[0])


def json_column(name: str, values: list[Any]) -> pl.Series:
    """Make a column of values as Python reads them from JSON; numbers keep their worth, mixed kinds become texts."""
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {bool} or kinds <= {str}:
        return pl.Series(name, values, dtype=pl.Boolean if bool in kinds else pl.String if kinds else pl.Null)
    if kinds <= {int, float}:
        return _numbers(name, values, kinds)
    if kinds == {list}:
        items = [item for value in values if value is not None for item in value]
        if not any(isinstance(item, list | dict) for item in items):
            inner = json_column("", items).dtype
            texts = inner == pl.String
            return pl.Series(
                name,
                [v if v is None or not texts else [_text(item) for item in v] for v in values],
                dtype=pl.List(inner),
            )
    if kinds in ({dict}, {list}):
        try:
            made = pl.Series(name, values, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, _PanicException):
            made = None
        if made is not None and not _hollow(made.dtype):
            return made
    return pl.Series(name, [_text(v) for v in values], dtype=pl.String)


def _numbers(name: str, values: list[Any], kinds: set[type]) -> pl.Series:
    whole = [v for v in values if isinstance(v, int)]
    if kinds == {int} and min(whole) >= -(2**63) and max(whole) < 2**63:
        return pl.Series(name, values, dtype=pl.Int64)
    exact = all(-_EXACT < v < _EXACT for v in whole) and (
        not whole or all(abs(v) < _EXACT or math.isinf(v) for v in values if isinstance(v, float))
    )
    if kinds != {int} and exact:
        return pl.Series(name, values, dtype=pl.Float64)
    return pl.Series(name, [_text(v) for v in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    """Return the text that a value has beside texts: the canonical one of single values, JSON of lists and objects."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text: str | None = canonical_text(pl.Series([value]))[0]
    return text


def _hollow(kind: pl.DataType) -> bool:
    """Whether a type has an object without keys, or objects of no kind that parquet can hold."""
    if isinstance(kind, pl.List):
        return _hollow(pl.Series(dtype=kind.inner).dtype)
    if isinstance(kind, pl.Struct):
        return not kind.fields or any(_hollow(pl.Series(dtype=f.dtype).dtype) for f in kind.fields)
    return kind == pl.Object
