"""The loop that finds rows and faults in delimited text, compiled; `delimited` states its rules (RFC 4180, strict)."""

from __future__ import annotations

import numpy as np

from ctrsel.stats._kernel import kernel

Limits = tuple[int, int, int, int, int, int]

__all__ = [
    "BLANK",
    "GOOD",
    "LONE",
    "LONG",
    "MORE",
    "NUL",
    "OPEN",
    "RAGGED",
    "SKIP",
    "STRAY",
    "WIDE",
    "Limits",
    "find_row",
    "scan_rows",
]

# What a row is.
GOOD, BLANK, RAGGED, NUL, LONG, LONE, STRAY, OPEN, WIDE, SKIP, MORE = range(11)
_QUOTE, _CR = 34, 13


@kernel
def _row(buf: np.ndarray, pos: int, n: int, limits: Limits) -> tuple[int, int, int, int, int]:
    """Read one row from `pos`; return its end, cells, newlines, kind, and the cell (or 0) that is at fault."""
    sep, eol, _, longest, open_limit, row_limit = limits
    bound = min(n, pos + row_limit)
    i = pos
    cells = 1
    newlines = 0
    kind = 0
    at = 0
    while True:
        start = i
        if i < n and buf[i] == 34:
            limit = min(bound, start + open_limit)
            i += 1
            closed = False
            while i < limit:
                c = buf[i]
                if c == 34:
                    if i + 1 < n and buf[i + 1] == 34:
                        i += 2
                        continue
                    closed = True
                    break
                if c == eol:
                    newlines += 1
                elif c == 0 and kind == 0:
                    kind, at = 3, cells
                i += 1
            if not closed:
                if start + open_limit <= bound:
                    return pos, cells, newlines, 7, cells  # OPEN
                return pos, cells, newlines, 8 if pos + row_limit <= n else 10, cells  # WIDE or MORE
            i += 1
            if i >= n or (buf[i] == 13 and i + 1 >= n and eol != 13):
                return pos, cells, newlines, 10, cells  # MORE
            c = buf[i]
            if c == 13 and eol != 13 and buf[i + 1] == eol:
                i += 1
                c = buf[i]
            if c not in (sep, eol):
                return pos, cells, newlines, 6, cells  # STRAY
            if i - start > longest + 2:
                characters = 0
                j = start + 1
                while j < i:
                    if (buf[j] & 0xC0) != 0x80:
                        characters += 1
                    if buf[j] == 34 and buf[j + 1] == 34:
                        j += 1
                    j += 1
                if buf[i - 1] == 13:
                    characters -= 1
                if characters - 1 > longest and kind == 0:
                    kind, at = 4, cells
        else:
            quotes = 0
            while i < bound:
                c = buf[i]
                if c in (sep, eol):
                    break
                if c == 34:
                    quotes += 1
                elif c == 0 and kind == 0:
                    kind, at = 3, cells
                i += 1
            if i >= bound:
                return pos, cells, newlines, 8 if pos + row_limit <= n else 10, cells  # WIDE or MORE
            if quotes & 1:
                return pos, cells, newlines, 5, cells  # LONE
            c = buf[i]
            if c == eol and cells == 1 and (i == start or (i == start + 1 and buf[start] == 13 and eol != 13)):
                return i + 1, 1, 0, 1, 0  # BLANK
            if i - start > longest and kind == 0:
                characters = 0
                for j in range(start, i):
                    if (buf[j] & 0xC0) != 0x80:
                        characters += 1
                if c == eol and eol != 13 and buf[i - 1] == 13:
                    characters -= 1
                if characters > longest:
                    kind, at = 4, cells
        i += 1
        if c == eol:
            return i, cells, newlines + 1, kind, at
        cells += 1


@kernel
def _faulty(buf: np.ndarray, pos: int, n: int, limits: Limits, kind: int) -> tuple[int, int]:
    """Return the end of a faulty row that is taken to be its first line, and what it is then."""
    eol, row_limit = limits[1], limits[5]
    for j in range(pos, n):
        if buf[j] == eol:
            return j + 1, kind if j - pos < row_limit else 8  # WIDE
    return (n, 9) if pos + row_limit <= n else (pos, 10)  # SKIP or MORE


@kernel
def scan_rows(
    buf: np.ndarray,
    limits: Limits,
    rows: int,
    last: bool,
    found: np.ndarray,
) -> tuple[int, int, int, int, int]:
    """Walk over the rows of a block.

    Args:
        buf: Bytes; where the file ends, a line end has been put.
        limits: separator, line end, cells a row has (0: any number), characters of the longest cell, bytes that a quote may stay open,
            bytes of the longest row.
        rows: At most so many rows are read.
        last: Whether the file ends here, so that a row that is not complete never will be.
        found: int64 `[k, 6]`, filled with: kind, start, end, rows, lines before it, detail; one entry is a run of good rows without
            a gap, or one faulty row.

    Returns:
        Entries filled, the position after the last row read, lines and rows read, and whether the last row must be
        skipped to its end in the next blocks.
    """
    width = limits[2]
    n = len(buf)
    pos = 0
    k = 0
    line = 0
    read = 0
    run = False
    while pos < n and read < rows and k < found.shape[0] - 1:
        end, cells, newlines, kind, detail = _row(buf, pos, n, limits)
        if kind == 10 and last:
            kind = 7
        if kind >= 5:
            newlines = 1
            if kind < 10:
                end, kind = _faulty(buf, pos, n, limits, kind)
            if kind == 10:
                break
        elif kind == 1:
            pos = end
            line += 1
            run = False
            continue
        elif width and cells != width:
            kind, detail = 2, cells
        read += 1
        if kind == 0:
            if run:
                found[k - 1, 2] = end
                found[k - 1, 3] += 1
            else:
                found[k] = (0, pos, end, 1, line, 0)
                k += 1
                run = True
        else:
            found[k] = (kind, pos, end, 1, line, detail)
            k += 1
            run = False
        pos = end
        if kind == 9:
            return k, pos, line, read, 1
        line += newlines
    return k, pos, line, read, 0


@kernel
def find_row(buf: np.ndarray, pos: int, limits: Limits, line: int, target: int) -> tuple[int, int, int, int]:
    """Return start, end, line and number of the row that holds the byte `target`, in a run of good rows from `pos`."""
    n = len(buf)
    number = 0
    while pos < n:
        end, _, newlines, _, _ = _row(buf, pos, n, limits)
        if end > target:
            return pos, end, line, number
        pos = end
        line += newlines
        number += 1
    return n, n, line, number
