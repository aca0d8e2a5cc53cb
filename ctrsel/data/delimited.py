"""Delimited text (CSV, TSV): read at full speed, refused by line where a row breaks a rule."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import DataError

__all__ = ["read_delimited"]


def read_delimited(path: str, *, separator: str, rows: int | None = None) -> pl.DataFrame:
    """Read delimited text strictly: every row has the header's number of cells, and every byte is UTF-8.

    Blank lines are no rows. Every column is text; an empty cell is "".

    Raises:
        DataError: Naming the file, the line and the rule.
    """
    try:
        frame = pl.scan_csv(
            path, separator=separator, infer_schema=False, empty_string_is_null=False, glob=False, n_rows=rows
        ).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (
            _explain_text(path, separator)[0]
            or f"cannot be read as delimited text: {str(error).strip().splitlines()[0][:300]}"
        )
        raise DataError(f"{path}: {reason}") from error
    names = [c.removesuffix("_duplicated_0") for c in frame.columns]
    duplicated = [c for c in names if names.count(c) > 1]
    if duplicated:
        raise DataError(f"{path}: the header names the column {duplicated[0]!r} twice")
    if "" in names:
        raise DataError(f"{path}: every cell of the header must hold a name, but cell {names.index('') + 1} is empty")
    if "\ufffd" in "".join(names):
        raise DataError(f"{path}: {_explain_text(path, separator)[0] or 'the header must be UTF-8 text'}")
    # A short row is filled up with empty cells, so only a file whose last column has some can hold one.
    if frame.width > 1 and (frame[frame.columns[-1]] == "").any():
        fault, blank = _uneven(path, separator, cells=frame.width, rows=rows)
        if fault is not None:
            raise DataError(f"{path}: {fault}")
        if blank:
            frame = frame.filter(pl.any_horizontal(pl.all() != ""))
    return frame


def _uneven(path: str, separator: str, *, cells: int, rows: int | None) -> tuple[str | None, bool]:
    """Find the first line with another number of cells, and say whether there are blank lines.

    Lines without quotes are counted at once; a file with a quote is read again cell by cell.
    """
    line = pl.col("line").str.strip_chars_end("\r")
    try:
        counted = (
            pl.scan_csv(
                path,
                has_header=False,
                separator="\x01",
                quote_char=None,
                infer_schema=False,
                empty_string_is_null=False,
                new_columns=["line"],
                glob=False,
                n_rows=None if rows is None else rows + 1,
            )
            .select(
                (line.str.count_matches(separator, literal=True) + 1).alias("cells"),
                line.str.contains('"', literal=True).alias("quoted"),
                (line == "").alias("blank"),
            )
            .collect()
        )
    except pl.exceptions.PolarsError:  # the byte that is to stand in no line stands in one
        return _explain_text(path, separator, rows=rows, refused=False)
    if counted["quoted"].any():
        return _explain_text(path, separator, rows=rows, refused=False)
    odd = (counted["cells"] != cells) & ~counted["blank"]
    if not odd.any():
        return None, bool(counted["blank"].any())
    first = int(odd.arg_true()[0])
    return f"line {first + 1} must have the header's {cells} cells, got {counted['cells'][first]}", False


def _explain_text(
    path: str, separator: str, *, rows: int | None = None, refused: bool = True
) -> tuple[str | None, bool]:
    """Find the first row that breaks a rule, cell by cell, and say whether there are blank lines.

    Args:
        path: The file.
        separator: Between cells.
        rows: Look at this many lines.
        refused: Whether the fast reader has refused the file, so that something must be wrong with it.
    """
    if path.endswith(".zst"):
        return None, False
    with Path(path).open("rb") as raw:
        opener = gzip.open if raw.read(2) == b"\x1f\x8b" or path.endswith(".gz") else open
    try:
        with opener(path, "rb") as raw:
            for number, line in enumerate(raw, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    byte, place = line[error.start], error.start + 1
                    return (
                        f"line {number} must be UTF-8 text, got byte 0x{byte:02x} at position {place}; "
                        "convert the file first"
                    ), False
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            return _walk(csv.reader(text, delimiter=separator, strict=True), rows, refused=refused)
    except (OSError, EOFError, zlib.error) as error:
        return f"cannot be read: {str(error).strip().splitlines()[0][:300]}", False


def _walk(reader: Any, rows: int | None, *, refused: bool) -> tuple[str | None, bool]:
    """Read cell by cell; `reader` is a strict `csv.reader`."""
    started, blank = 1, False
    suspect = None  # a lone quote is right if it was doubled, which the reader does not tell
    try:
        header = next(reader, None)
        if not header:
            return "line 1 must hold the header, but it is blank", True
        while rows is None or reader.line_num <= rows:
            started = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                break
            blank = blank or not cells
            if cells and len(cells) != len(header):
                return f"line {started} must have the header's {len(header)} cells, got {len(cells)}", blank
            stray = next((c for c in cells if c.count('"') % 2), None)
            if refused and suspect is None and stray is not None and reader.line_num == started:
                suspect = (
                    f"line {started} has a lone quote inside a cell, in {stray[:40]!r}; quote the cell and double it"
                )
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return f"line {started} opens a quote that is never closed", blank
        if "field larger" not in str(error):  # a long cell is no fault
            return f"line {started} has a quote in the wrong place ({error})", blank
    return suspect, blank
