"""Delimited text (CSV, TSV): read at full speed, in bounded memory, by strict rules that no row slips through.

RFC 4180 (Shafranovich, 2005), with these rules where it is silent or where files break it:

- Every row has the header's number of cells. Blank lines are no rows. Every column is text; an empty cell is "".
- A cell that begins with a quote ends with one, and quotes inside are doubled; separators and line ends inside are text.
- A quote inside a cell that does not begin with one is text (`5" x 3"`), if there is an even number of them. With an
  odd number nobody can tell where the cell ends: the row is faulty.
- A quote that is never closed, that stays open for longer than four times the longest cell, or that is closed in the
  middle of a cell: the row's *first line* is faulty, and reading resumes at the next line, each line being judged anew.
  So an unclosed quote takes its own line with it, and never the rest of the file.
- A row with another number of cells, whose quotes are right, is faulty as a whole, with all its lines.
- Lines end with LF or CRLF. Where the first 64 KiB hold CR and no LF, CR ends the lines of the file. Elsewhere a lone
  CR is text. A NUL, a cell of too many characters, and bytes that are not text in the encoding make a row faulty.
- A header with two equal, empty or endless names, and a compressed file that was cut off, are faults of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data import _delimited_loops as loops
from ctrsel.data._delimited_frames import parse_rows, split_row, walk_rows
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import (
    HEAD,
    LONGEST_NAME,
    Piece,
    RowFaults,
    encoding_name,
    longest_line,
    quoted,
    text_blocks,
    undecodable,
)

__all__ = ["delimited_pieces", "read_delimited"]

_RUNS = 1 << 14  # runs of good rows and faulty rows that are found at once
_PARTS = 4  # and how often before they are read
_CELL = 1 << 16  # bytes that a quote may stay open, however few characters are allowed


def read_delimited(path: str, *, separator: str, rows: int | None = None) -> pl.DataFrame:
    """Read delimited text strictly: every row has the header's number of cells, and every byte is UTF-8.

    Raises:
        DataError: Naming the file, the line and the rule.
    """
    faults = RowFaults(rejects=Rejects(), part="train", file=path)
    pieces = delimited_pieces(path, separator=separator, encoding="utf-8", faults=faults, rows=rows)
    return pl.concat(piece.frame for piece in pieces)


def delimited_pieces(
    path: str,
    *,
    separator: str,
    encoding: str,
    faults: RowFaults,
    rows: int | None = None,
    max_cell: int = 1_000_000,
    size: int = 1 << 24,
) -> Iterator[Piece]:
    """Yield the rows of a file piece by piece; the first piece has no rows, but the columns.

    Args:
        path: A file, plain or compressed.
        separator: One character of ASCII.
        encoding: Of the file.
        faults: Takes the faulty rows.
        rows: Read at most so many, faulty ones included.
        max_cell: Characters.
        size: Bytes read at once.

    Raises:
        DataError: For a fault of the file; for the first fault of a row if none is tolerated.
    """
    reader = _Reader(
        path=path,
        separator=separator,
        encoding=encoding_name(encoding),
        faults=faults,
        max_cell=max_cell,
        blocks=text_blocks(path, encoding=encoding, size=size),
    )
    return reader.pieces(rows=rows)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """What is known of a file while it is read."""

    path: str
    separator: str
    encoding: str
    faults: RowFaults
    max_cell: int
    blocks: Iterator[bytes]
    names: list[str] = field(default_factory=list)
    buf: bytes = b""
    last: bool = False
    eol: int = 0  # not known yet
    line: int = 1
    read: int = 0

    def limits(self) -> loops.Limits:
        return (
            ord(self.separator),
            self.eol,
            len(self.names),
            self.max_cell,
            max(4 * self.max_cell, _CELL) + 2,
            longest_line(self.max_cell),
        )

    def refuse(self, reason: str) -> NoReturn:
        raise DataError(f"{self.path}: {reason}")

    def fill(self, least: int) -> None:
        """Read on until so many bytes wait, or the file ends."""
        parts = [self.buf]
        waiting = len(self.buf)
        while waiting < least and not self.last:
            block = next(self.blocks, None)
            if block is None:
                self.last = True
                break
            parts.append(block)
            waiting += len(block)
        self.buf = b"".join(parts) if len(parts) > 1 else self.buf
        if not self.eol:
            head = self.buf[:HEAD]
            self.eol = 13 if b"\n" not in head and b"\r" in head else 10
        if self.last and self.buf and self.buf[-1] != self.eol:
            self.buf += bytes([self.eol])

    def pieces(self, *, rows: int | None) -> Iterator[Piece]:
        self.header()
        yield Piece(frame=pl.DataFrame(schema=dict.fromkeys(self.names, pl.String)), read=0)
        left = 2**62 if rows is None else rows
        skipping = 0
        least = 1
        while left > 0:
            self.fill(least)
            if skipping:
                skipping = self.skip()
            if not self.buf:
                if self.last:
                    break
                least = 1
                continue
            found, pos, read, skipping = self.scan(left)
            if read:
                yield self.piece(found)
            left -= read
            self.buf = self.buf[pos:]
            # A row that is longer than what was read is read on in doubling steps, not looked at after each block.
            least = 2 * len(self.buf) if not pos else len(self.buf) + 1

    def scan(self, left: int) -> tuple[np.ndarray, int, int, int]:
        """Find rows and faults in what was read; return them, where they end, how many rows, and whether to skip."""
        buf = np.frombuffer(self.buf, dtype=np.uint8)
        parts: list[np.ndarray] = []
        pos = read = skipping = 0
        while left > read and not skipping and len(parts) < _PARTS:
            found = np.empty((_RUNS, 6), dtype=np.int64)
            k, end, lines, rows, skipping = loops.scan_rows(buf[pos:], self.limits(), left - read, self.last, found)
            found[:k, 1:3] += pos
            found[:k, 4] += self.line
            parts.append(found[:k])
            self.line += lines
            pos += end
            read += rows
            if k < _RUNS - 1:
                break
        return np.concatenate(parts), pos, read, skipping

    def skip(self) -> int:
        """Drop the rest of a line that is too long; return whether the next block must be dropped from, too."""
        end = self.buf.find(self.eol)
        self.buf = self.buf[end + 1 :] if end >= 0 else b""
        self.line += end >= 0
        return int(end < 0)

    def header(self) -> None:
        """Read the header, and find out what ends a line."""
        self.fill(HEAD)
        if not self.buf:
            self.refuse("the file is empty")
        found = np.empty((2, 6), dtype=np.int64)
        while True:
            buf = np.frombuffer(self.buf, dtype=np.uint8)
            k, pos, lines, _, _ = loops.scan_rows(buf, self.limits(), 1, self.last, found)
            if k or self.last or pos:
                break
            self.fill(2 * len(self.buf))
        kind, start, end, _, before, cells = found[0].tolist() if k else (loops.BLANK, 0, 0, 0, 0, 0)
        if kind == loops.BLANK or before:
            self.refuse("line 1 must hold the header, but it is blank")
        row = self.buf[start:end]
        wrong = undecodable(row, encoding=self.encoding)
        if wrong is not None:
            self.refuse(f"line {1 + wrong[0]} {wrong[1]}")
        if kind != loops.GOOD:
            self.refuse(f"line 1 {self.reason(kind, cells)}")
        self.names = split_row(row, separator=self.separator, eol=self.eol)
        twice = next((n for i, n in enumerate(self.names) if n in self.names[:i]), None)
        if twice:
            self.refuse(f"the header names the column {quoted(twice)} twice")
        if (longest := max(map(len, self.names))) > LONGEST_NAME:
            self.refuse(f"a column's name must have at most {LONGEST_NAME} characters, got {longest}")
        if "" in self.names:
            self.refuse(f"every cell of the header must hold a name, but cell {self.names.index('') + 1} is empty")
        self.line += lines
        self.buf = self.buf[pos:]

    def piece(self, found: np.ndarray) -> Piece:
        """Make a frame of the good runs of a block, and note its faulty rows."""
        limits = self.limits()
        ascii_only = self.buf.isascii()
        runs = found.tolist()
        frame = None
        if bool((found[:, 0] == loops.GOOD).all()):
            whole = [(start, end) for _, start, end, *_ in runs]
            frame = parse_rows(self.buf, whole, sum(r[3] for r in runs), names=self.names, limits=limits)
        if frame is None:
            good, n = self.sift(runs, texts=not ascii_only)
            frame = parse_rows(self.buf, good, n, names=self.names, limits=limits)
            if frame is None:
                frame = walk_rows(self.buf, good, names=self.names, limits=limits)
        read = int(found[:, 3].sum())
        self.read += read
        return Piece(frame=frame, read=read, gaps=self.faults.flush(read=self.read))

    def sift(self, runs: list[list[int]], *, texts: bool) -> tuple[list[tuple[int, int]], int]:
        """Note the faulty rows in order; return where the good ones lie, and how many they are."""
        good: list[tuple[int, int]] = []
        reasons: dict[tuple[int, int], str] = {}
        row, n = self.read, 0
        for kind, begin, end, rows, first, detail in runs:
            start, line, before = begin, first, row
            row += rows
            if kind != loops.GOOD:
                if (kind, detail) not in reasons:
                    reasons[kind, detail] = self.reason(kind, detail)
                self.faults.add(row=before, line=line, reason=reasons[kind, detail])
                continue
            while texts:
                try:
                    self.buf[start:end].decode()
                    break
                except UnicodeDecodeError as error:
                    buf = np.frombuffer(self.buf, dtype=np.uint8)
                    low, high, line, number = loops.find_row(buf, start, self.limits(), line, start + error.start)
                    bad = self.buf[low:high]
                    down, reason = undecodable(bad, encoding=self.encoding) or (0, "must be text")
                    if self.faults.rejects.tolerance == 0:
                        self.refuse(f"line {line + down} {reason}")
                    self.faults.add(row=before + number, line=line, reason=reason)
                    good.append((start, low))
                    n += number
                    before += number + 1
                    line += bad.count(bytes([self.eol]))
                    start = high
            good.append((start, end))
            n += row - before
        return good, n

    def reason(self, kind: int, detail: int) -> str:
        """Say what is wrong with a row, as a clause; no cell is quoted, since it may be a sensitive one."""
        column = f"of {quoted(self.names[detail - 1])}" if 0 < detail <= len(self.names) else f"{detail}"
        if kind == loops.RAGGED:
            return f"must have the header's {len(self.names)} cells, got {detail}"
        if kind == loops.NUL:
            return f"has a NUL byte in the cell {column}; the file is damaged, or data.encoding is another one"
        if kind == loops.LONG:
            return f"has more than the {self.max_cell} characters of ingest.max_cell in the cell {column}"
        if kind == loops.LONE:
            return f"has a lone quote inside a cell, the cell {column}; quote the cell and double it"
        if kind == loops.STRAY:
            return f"has a quote in the wrong place, in the cell {column}; quote the cell and double the quotes inside"
        if kind == loops.OPEN:
            return "opens a quote that is never closed"
        return f"is longer than {self.limits()[5]} bytes"
