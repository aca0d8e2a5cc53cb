"""Text files as blocks of UTF-8 bytes: decompressed, transcoded, bounded; and the book of a file's faulty rows."""

from __future__ import annotations

import codecs
import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.rejects import Rejects

__all__ = [
    "HEAD",
    "LONGEST_NAME",
    "LineBlock",
    "Piece",
    "RowFaults",
    "encoding_name",
    "line_blocks",
    "longest_line",
    "quoted",
    "text_blocks",
    "undecodable",
]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
LONGEST_NAME = 255  # characters of a column's name; what is longer is a damaged file's text
HEAD = 1 << 16  # bytes in which a file's line end is looked for
_QUOTED = 40  # characters of a cell that a message may hold
_UTF8 = "utf-8"
# Codecs that Python calls text encodings, but that no file is written in.
_NO_FILES = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Rows of a file that were read at once.

    Attributes:
        frame: The rows that are kept, in order.
        read: Rows read: those of `frame` and the rejected ones.
        gaps: Numbers of the rejected rows, counted from 0 in the file, ascending.
    """

    frame: pl.DataFrame
    read: int
    gaps: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class RowFaults:
    """Faulty rows of one file on their way to the rejects.

    Attributes:
        rejects: Where they go; with a tolerance of 0 the first one is refused, with its line.
        part: "train", "valid" or "test".
        file: For people.
        limit: Give up when so many rows of the file are faulty, and they are more than the tolerated share of it.
        total: Rows written to the rejects so far.
    """

    rejects: Rejects
    part: str
    file: str
    limit: int = 1_000_000
    _rows: list[int] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)
    _reasons: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, *, row: int, line: int, reason: str) -> None:
        """Note one row.

        Args:
            row: Counted from 0 in the file.
            line: Its first line, counted from 1.
            reason: What is wrong, as a clause ("must have the header's 2 cells, got 1").

        Raises:
            DataError: At once, if nothing is tolerated.
        """
        if self.rejects.tolerance == 0:
            self.rejects.add(part=self.part, file=self.file, row=row + 1, line=line, reason=f"line {line} {reason}")
        self._rows.append(row + 1)
        self._lines.append(line)
        self._reasons.append(reason)

    def flush(self, *, read: int) -> tuple[int, ...]:
        """Write the noted rows to the rejects, and return their numbers counted from 0.

        Args:
            read: Rows of the file read so far.

        Raises:
            DataError: If too many rows of the file are faulty for it to be worth reading on.
        """
        if not self._rows:
            return ()
        found = pl.DataFrame({"row": self._rows, "line": self._lines, "reason": self._reasons}).sort("row")
        gaps = tuple((found["row"] - 1).to_list())
        self.rejects.add_many(found.with_columns(part=pl.lit(self.part), file=pl.lit(self.file)))
        self.total += len(gaps)
        self._rows, self._lines, self._reasons = [], [], []
        if self.total >= self.limit and self.total > self.rejects.tolerance * read:
            self.rejects.check(read)
            raise DataError(
                f"{self.file}: {self.total} of the first {read} rows had to be rejected, more than the "
                f"{self.rejects.tolerance:.2%} of ingest.tolerance"
            )
        return gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBlock:
    """Whole lines of a file.

    Attributes:
        data: UTF-8, or what cannot be decoded; every line ends with LF.
        line: Number of the first line, counted from 1.
        cut: Whether this is the start of one line that is too long to be held.
    """

    data: bytes
    line: int
    cut: bool = False


def quoted(text: str) -> str:
    """Show a cell in a message, its first characters only.

    Examples:
        >>> quoted("x" * 100)
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"
    """
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")


def encoding_name(encoding: str) -> str:
    """Return Python's name of an encoding.

    Raises:
        ConfigError: If there is no such encoding of texts.

    Examples:
        >>> encoding_name("UTF8"), encoding_name("latin-1")
        ('utf-8', 'iso8859-1')
    """
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError, TypeError) as error:
        raise ConfigError(
            f"data.encoding: must be an encoding that Python knows (utf-8, utf-16, latin-1, cp1252, ...), got {encoding!r}"
        ) from error
    text = getattr(found, "_is_text_encoding", True)
    if not text or found.incrementaldecoder is None or found.name.replace("-", "_") in _NO_FILES:
        raise ConfigError(f"data.encoding: must be an encoding of text files, got {encoding!r}")
    return _UTF8 if found.name == "utf-8-sig" else found.name


def text_blocks(path: str, *, encoding: str, size: int) -> Iterator[bytes]:
    """Yield a file's text as UTF-8, about so many bytes at once, without a byte order mark.

    Files of gzip and Zstandard are known by their first bytes, whatever their name. What cannot be decoded is passed
    on as bytes that are no UTF-8 (bytes of UTF-8 files as they are, else the mark of `undecodable`), so that the
    reader of rows finds the row.

    Raises:
        DataError: If the file cannot be read to its end: missing, damaged or cut off.
        ConfigError: If there is no such encoding.
    """
    codec = encoding_name(encoding)
    blocks = _bytes(path, size)
    if codec == _UTF8:
        return _without_mark(path, blocks)
    return _without_mark(path, _transcoded(path, blocks, codec))


def _bytes(path: str, size: int) -> Iterator[bytes]:
    try:
        with Path(path).open("rb", buffering=0) as raw:
            magic = raw.read(4)
        with _opener(magic)(path) as stream:
            while block := stream.read(size):
                yield block
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        if "Truncated" in reason:
            reason = "Compressed file ended before its end was reached; it was cut off"
        raise DataError(f"{path}: cannot be read: {reason}") from error


def _opener(magic: bytes) -> Callable[[str], Any]:
    def compressed(path: str) -> Any:
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(path), "gzip" if magic[:2] == _GZIP else "zstd")

    if magic[:2] == _GZIP or magic == _ZSTD:
        return compressed
    return lambda path: Path(path).open("rb", buffering=0)


def _without_mark(path: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    for block in blocks:  # a block of a pipe may be shorter than the mark
        first += block
        if len(first) >= 4:
            break
    if first[:3] == codecs.BOM_UTF8:
        first = first[3:]
    else:
        looks = next((name for mark, name in _MARKS.items() if first.startswith(mark)), None)
        if looks is not None:
            raise DataError(
                f"{path}: line 1 must be UTF-8 text, got byte 0x{first[0]:02x} at position 1; the file begins as "
                f"{looks} does: set data.encoding: {looks}"
            )
    if first:
        yield first
    yield from blocks


def _transcoded(path: str, blocks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    codecs.register_error(_MARK_ERRORS, _mark)
    decoder = codecs.getincrementaldecoder(codec)(errors=_MARK_ERRORS)
    try:
        for block in blocks:
            # A lone surrogate, encoded as if it were a character, is what strict UTF-8 refuses.
            yield decoder.decode(block).encode(_UTF8, "surrogatepass")
        yield decoder.decode(b"", final=True).encode(_UTF8, "surrogatepass")
    except UnicodeError as error:
        raise DataError(f"{path}: cannot be read as {codec}: {str(error).splitlines()[0][:200]}") from error


_MARK_ERRORS = "ctrsel.mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udc80", max(error.end, error.start + 1)


def undecodable(row: bytes, *, encoding: str) -> tuple[int, str] | None:
    r"""Find what keeps a row from being text.

    Args:
        row: Bytes of `text_blocks`.
        encoding: As Python names it.

    Returns:
        How many lines before it the row has, and what is wrong, as a clause; or None.

    Examples:
        >>> undecodable(b"a,\xff", encoding="utf-8")
        (0, 'must be UTF-8 text, got byte 0xff at position 3; set data.encoding, or convert the file first')
    """
    try:
        row.decode(_UTF8)
    except UnicodeDecodeError as error:
        before = row[: error.start]
        lines = before.count(b"\n")
        place = error.start - before.rfind(b"\n")
        if encoding != _UTF8:
            return lines, f"must be {encoding} text, but cannot be decoded at byte {place} of its UTF-8 form"
        return lines, (
            f"must be UTF-8 text, got byte 0x{row[error.start]:02x} at position {place}; "
            "set data.encoding, or convert the file first"
        )
    return None


def line_blocks(path: str, *, encoding: str, size: int, longest: int) -> Iterator[LineBlock]:
    """Yield whole lines, about so many bytes at once; LF, CRLF, or CR alone where the file's first 64 KiB hold no LF.

    A line of more than `longest` bytes is cut to its first bytes and marked, never held as a whole.

    Raises:
        DataError: As `text_blocks` does.
    """
    wait, line, cr = b"", 1, None
    blocks = text_blocks(path, encoding=encoding, size=max(size, HEAD))
    cut = False  # whether the start of the waiting line has been passed on
    for block in itertools.chain(blocks, (None,)):
        if cr is None:
            wait += block or b""
            if block is not None and len(wait) < HEAD:
                continue
            cr = b"\n" not in wait[:HEAD] and b"\r" in wait[:HEAD]
            wait = wait.replace(b"\r", b"\n") if cr else wait
        elif block is not None:
            wait += block.replace(b"\r", b"\n") if cr else block
        if block is None and wait and not wait.endswith(b"\n"):
            wait += b"\n"
        if cut:
            end = wait.find(b"\n") + 1
            wait = wait[end:] if end else b""
            cut = not end
            line += bool(end)
        end = wait.rfind(b"\n") + 1
        if end:
            yield LineBlock(data=wait[:end], line=line)
            line += wait.count(b"\n")
            wait = wait[end:]
        if len(wait) > longest:
            yield LineBlock(data=wait[:_QUOTED] + b"\n", line=line, cut=True)
            wait, cut = b"", True


def longest_line(max_cell: int) -> int:
    """Return how many bytes a row of text may have, so that no row is held that is no row.

    Examples:
        >>> longest_line(1_000_000)
        64000000
    """
    return max(64 * max_cell, 1 << 24)
