"""Reading of layouts: lines of cells without quotes, strictly and block by block; what breaks a rule is rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import RowFaults, quoted, text_blocks

__all__ = ["LayoutReader", "Rule"]

_BLOCK = (1 << 20, 1 << 25)  # bytes of text that are looked at together, at least and at most
_TAKEN = b"\x1f\x28\x78\xef"  # gzip, Zstandard, zlib (an "x"), byte order mark
_UNIT = "\x1f"  # stands for a separator of several characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the cells of a row must be.

    Attributes:
        column: The column that is shown when the rule is broken.
        holds: Whether it holds; null counts as broken.
        text: The rule, as a clause ("must be 0 or 1").
    """

    column: str
    holds: pl.Expr
    text: str

    @staticmethod
    def matches(column: str, pattern: str, text: str) -> Rule:
        """Return the rule that a column's whole cell matches a regular expression."""
        return Rule(column=column, holds=pl.col(column).str.contains(f"^(?:{pattern})$"), text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutReader:
    """Reads the files of one part.

    Attributes:
        part: "train", "valid" or "test".
        rejects: Takes the rows that break a rule.
        memory: Bytes that may be held.
        max_cell: Characters of a cell.
        rows: Read at most so many lines of the file with the rows.
        scratch: A folder for what does not fit.
    """

    part: str
    rejects: Rejects
    memory: int
    scratch: Path
    max_cell: int = 1_000_000
    rows: int | None = None

    def lines(
        self,
        path: Path,
        *,
        separator: str,
        columns: Sequence[str] | None = None,
        rules: Sequence[Rule] = (),
        renamed: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
    ) -> Iterator[pl.DataFrame]:
        """Yield the cells of a text file as frames of texts, at least one.

        Blank lines are no rows. A quote is a character like others. Files of gzip and Zstandard are unpacked.

        Args:
            path: The file.
            separator: Between cells.
            columns: Their names; None if the first line says them.
            rules: What each row must obey.
            renamed: Names of the first line that are to be others; rules and results have the new ones.
            encoding: Of the file, by Python's name.

        Raises:
            DataError: If the file is damaged or empty; for the first row that breaks a rule, if none is tolerated.
        """
        lines = _Lines(
            path=path,
            separator=separator,
            rules=tuple(rules),
            max_cell=self.max_cell,
            faults=RowFaults(rejects=self.rejects, part=self.part, file=str(path)),
            columns=list(columns or ()),
            renamed=renamed or {},
        )
        size = min(max(self.memory // 64, _BLOCK[0]), _BLOCK[1])
        return lines.frames(text_blocks(str(path), encoding=encoding, size=size), self.rows)

    def beside(
        self,
        path: Path,
        *,
        separator: str,
        columns: Sequence[str] | None = None,
        rules: Sequence[Rule] = (),
        renamed: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
    ) -> Iterator[pl.DataFrame]:
        """Yield the cells of a file that belongs to the rows; all of it, and its first faulty line is always refused.

        Raises:
            DataError: If it is empty, damaged or has a faulty line.
        """
        strict = replace(self, rejects=Rejects(), rows=None)
        return strict.lines(path, separator=separator, columns=columns, rules=rules, renamed=renamed, encoding=encoding)


@dataclass(slots=True, kw_only=True)
class _Lines:
    path: Path
    separator: str
    rules: tuple[Rule, ...]
    max_cell: int
    faults: RowFaults
    columns: list[str]
    renamed: Mapping[str, str]
    line: int = 0  # lines before those that are looked at
    row: int = 0  # rows before them
    any: bool = False

    def frames(self, blocks: Iterator[bytes], rows: int | None) -> Iterator[pl.DataFrame]:
        rest = b""
        for block in chain(blocks, (b"",)):
            data = rest + block
            end = data.rfind(b"\n") + 1 if block else len(data)
            data, rest = data[:end], data[end:]
            if not data:
                continue
            data = data if data.endswith(b"\n") else data + b"\n"
            if not self.columns:
                data = self.header(data)
            left = None if rows is None else rows - self.row
            frame = self.split(data, left)
            self.any = True
            yield frame
            if rows is not None and self.row >= rows:
                return
        if not self.any:
            raise DataError(f"{self.path}: the file is empty")

    def header(self, data: bytes) -> bytes:
        first, _, data = data.partition(b"\n")
        try:
            names = first.removesuffix(b"\r").decode().split(self.separator)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: line 1 must be UTF-8 text, got byte 0x{first[error.start]:02x}") from error
        self.columns = [self.renamed.get(n, n) for n in names]
        twice = next((n for i, n in enumerate(self.columns) if n in self.columns[:i]), None)
        if twice is not None:
            raise DataError(f"{self.path}: the header names the column {twice!r} twice")
        lacking = next((r.column for r in self.rules if r.column not in self.columns), None)
        if lacking is not None:
            shown = self.separator.join(self.columns)
            raise DataError(f"{self.path}: line 1 must name the column {lacking!r}, got {quoted(shown)}")
        self.line = 1
        return data

    def split(self, data: bytes, left: int | None) -> pl.DataFrame:
        """Split whole lines into cells, note the faulty ones, and return the rest."""
        n = data.count(b"\n")
        frame, numbers, counted, read = None, np.arange(n), np.arange(n), n
        if left is None or n <= left:
            frame = self.parse(data, n)
        if frame is None:
            data, numbers, counted, read = self.sift(data, left)
            frame = self.parse(data, len(numbers))
            if frame is None:
                raise DataError(f"{self.path}: cannot be read as text behind line {self.line}")
        frame = self.judge(frame, lines=self.line + 1 + numbers, rows=self.row + counted)
        self.line += n
        self.row += read
        self.faults.flush(read=self.row)
        return frame

    def parse(self, data: bytes, n: int) -> pl.DataFrame | None:
        """Parse at full speed; None unless all lines have the right number of cells."""
        schema = dict.fromkeys(self.columns, pl.String)
        if n == 0:
            return pl.DataFrame(schema=schema)
        mark = self.separator
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if len(mark) > 1:
            if _UNIT.encode() in data:
                return None
            data, mark = data.replace(mark.encode(), _UNIT.encode()), _UNIT
        # A short line is filled up and a long one refused, so the count of separators tells whether all are right.
        if data.count(mark.encode()) != n * (len(self.columns) - 1):
            return None
        # polars takes some first bytes for a compressed file or a byte order mark, so none of them may come first.
        odd = int(data[0] in _TAKEN)
        if odd:
            data = mark.encode() * (len(self.columns) - 1) + b"\n" + data
        try:
            frame = pl.read_csv(
                data, has_header=False, separator=mark, quote_char=None, schema=schema, empty_string_is_null=False
            ).slice(odd)
        except pl.exceptions.PolarsError:
            return None
        if frame.height != n:
            return None
        longest = frame.select(pl.max_horizontal(pl.all().str.len_bytes().max())).item()
        return frame if longest <= self.max_cell else None

    def sift(self, data: bytes, left: int | None) -> tuple[bytes, np.ndarray, np.ndarray, int]:
        """Look at each line; returns those that are right, their places among lines and rows, and the rows read."""
        good: list[bytes] = []
        numbers: list[int] = []
        counted: list[int] = []
        rows = 0
        width, mark = len(self.columns), self.separator.encode()
        for i, raw in enumerate(data.split(b"\n")[:-1]):
            line = raw.removesuffix(b"\r")
            if not line.strip(b" "):
                continue
            if left is not None and rows >= left:
                break
            rows += 1
            reason = self.fault(line, width, mark)
            if reason is None:
                good.append(line)
                numbers.append(i)
                counted.append(rows - 1)
            else:
                self.faults.add(row=self.row + rows - 1, line=self.line + i + 1, reason=reason)
        places = np.asarray(numbers, dtype=np.int64), np.asarray(counted, dtype=np.int64)
        return b"".join(g + b"\n" for g in good), *places, rows

    def fault(self, line: bytes, width: int, mark: bytes) -> str | None:
        cells = line.split(mark)
        if len(cells) != width:
            return f"must have {width} cells, got {len(cells)}"
        if any(len(c) > self.max_cell for c in cells):
            return f"has more than the {self.max_cell} characters of ingest.max_cell in a cell"
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return f"must be UTF-8 text, got byte 0x{line[error.start]:02x} at position {error.start + 1}"
        return "holds a control character" if b"\x00" in line or _UNIT.encode() in line else None

    def judge(self, frame: pl.DataFrame, *, lines: np.ndarray, rows: np.ndarray) -> pl.DataFrame:
        """Reject the rows that break a rule."""
        if not self.rules:
            return frame
        holds = frame.select(rule.holds.fill_null(value=False).alias(str(i)) for i, rule in enumerate(self.rules))
        right = holds.select(pl.all_horizontal(pl.all())).to_series()
        if right.all():
            return frame
        for at in (~right).arg_true().to_list():
            rule = next(r for i, r in enumerate(self.rules) if not holds[str(i)][at])
            got = frame[rule.column][at]
            self.faults.add(
                row=int(rows[at]), line=int(lines[at]), reason=f"{rule.column!r} {rule.text}, got {quoted(got)}"
            )
        return frame.filter(right)
