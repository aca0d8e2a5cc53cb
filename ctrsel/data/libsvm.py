"""libSVM and libFM text: `label index:value ...` per line; each index range of one-hot values is one field.

Position is field: the k-th pair of a line belongs to field k, as all public CTR sets in this form have it, so every
line must have as many pairs as the file's first row. The index is the value; where any number of the field is not 1 in
the file, the numbers are the values (a numeric field). Blank lines and lines that are a comment are no rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import LineBlock, Piece, RowFaults, line_blocks, longest_line, quoted, undecodable

__all__ = ["LibsvmReader", "read_libsvm"]

_PAIR = r"^(\d+):([-+0-9.eE]+)$"
_NUMBER = ":"  # a column "f1:" holds the numbers of f1


def read_libsvm(path: str, *, rows: int | None = None) -> pl.DataFrame:
    """Read libSVM or libFM text of one-hot coded categorical rows.

    Returns:
        Columns `label` (text), `f1` ... `fF` (text).

    Raises:
        DataError: If a line has another number of pairs, or a pair is not `index:value`.
    """
    reader = LibsvmReader(path=path, faults=RowFaults(rejects=Rejects(), part="train", file=path))
    whole = pl.concat([piece.frame for piece in reader.pieces(rows=rows)], how="diagonal")
    return whole.select(reader.columns(whole.columns))


@dataclass(slots=True, kw_only=True)
class LibsvmReader:
    """Reads one file piece by piece; what its fields are is known at the end.

    Attributes:
        path: A file, plain or compressed.
        faults: Takes the faulty rows.
        encoding: Of the file.
        max_cell: Characters.
        size: Bytes read at once.
        width: Pairs of a row; 0 until there is a row.
        numeric: Fields whose numbers are their values.
    """

    path: str
    faults: RowFaults
    encoding: str = "utf-8"
    max_cell: int = 1_000_000
    size: int = 1 << 24
    width: int = 0
    first: int = 0
    read: int = 0
    numeric: set[str] = field(default_factory=set)

    def pieces(self, *, rows: int | None = None) -> Iterator[Piece]:
        """Yield the rows: label and indices, and the numbers of those fields where they are not all 1.

        Args:
            rows: Read at most so many, faulty ones included.

        Raises:
            DataError: For a fault of the file; for the first fault of a row if none is tolerated.
        """
        left = 2**62 if rows is None else rows
        for block in line_blocks(
            self.path, encoding=self.encoding, size=self.size, longest=longest_line(self.max_cell)
        ):
            if left <= 0:
                break
            piece = self._piece(block, left)
            left -= piece.read
            if piece.read:
                yield piece
        if not self.width:
            why = f"every row had to be rejected; {self.faults.rejects.frames[-1]['reason'][0]}" if self.read else ""
            raise DataError(f"{self.path}: {why or 'holds no rows'}")

    def columns(self, held: list[str]) -> list[pl.Expr]:
        """Return what makes the columns of the file from those of some of its pieces, once all are read."""
        columns = [pl.col("label")]
        for name in (f"f{k}" for k in range(1, self.width + 1)):
            if name not in self.numeric:
                columns.append(pl.col(name))
            elif name + _NUMBER in held:
                columns.append(pl.col(name + _NUMBER).fill_null("1").alias(name))
            else:
                columns.append(pl.lit("1").alias(name))
        return columns

    def _piece(self, block: LineBlock, left: int) -> Piece:
        line = _texts(block.data)
        text = line.str.replace(r"#.*$", "").str.replace_all(r"\s+", " ").str.strip_chars()
        # Blank lines and lines that are a comment are no rows, but count as lines in messages.
        lines = (
            pl.DataFrame({"line": line, "text": text})
            .with_row_index("number", offset=block.line)
            .filter(pl.col("text").is_null() | (pl.col("text") != ""))
            .head(min(left, line.len()))
        )
        cells = lines["text"].str.split(" ")
        widths = cells.list.len() - 1
        if not self.width:
            self._learn_width(lines["number"], cells, widths)
        faults: dict[int, str] = {}
        if block.cut:
            faults[0] = f"is longer than {longest_line(self.max_cell)} bytes"
        for row in lines["text"].is_null().arg_true():
            faults[row] = "cannot be read as libSVM text: invalid utf-8" + (
                "" if self.encoding == "utf-8" else f" after decoding as {self.encoding}"
            )
        for row in (widths != self.width).fill_null(value=False).arg_true() if self.width else range(lines.height):
            if row not in faults:
                faults[row] = self._uneven(lines["line"][row], widths[row])
        good = pl.Series([row not in faults for row in range(lines.height)], dtype=pl.Boolean) if faults else None
        columns = self._columns(cells, good, faults)
        if faults:
            for row in sorted(faults):
                self.faults.add(row=self.read + row, line=int(lines["number"][row]), reason=faults[row])
            keep = pl.Series([row not in faults for row in range(lines.height)], dtype=pl.Boolean)
            columns = {name: column.filter(keep) for name, column in columns.items()}
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        for name in [n for n in frame.columns if n.endswith(_NUMBER)]:
            if bool((frame[name].cast(pl.Float64) != 1).any()):
                self.numeric.add(name.removesuffix(_NUMBER))
            else:
                frame = frame.drop(name)
        self.read += lines.height
        return Piece(frame=frame, read=lines.height, gaps=self.faults.flush(read=self.read))

    def _learn_width(self, numbers: pl.Series, cells: pl.Series, widths: pl.Series) -> None:
        for row in (widths > 0).fill_null(value=False).arg_true():
            if cells[row][1:].str.contains(_PAIR).all() or self.faults.rejects.tolerance == 0:
                self.width, self.first = int(widths[row]), int(numbers[row])
                return

    def _uneven(self, line: str, width: int) -> str:
        if not width or not self.width:
            return "must be `label index:value ...`" + self._got(line)
        return f"must have {self.width} pairs like line {self.first}, got {width}"

    def _got(self, text: str) -> str:
        return f", got {quoted(text)}" if self.faults.rejects.quotes else ""

    def _columns(self, cells: pl.Series, good: pl.Series | None, faults: dict[int, str]) -> dict[str, pl.Series]:
        """Return indices and numbers, and note the pairs that are none."""
        columns = {"label": cells.list.get(0, null_on_oob=True)}
        for k in range(1, self.width + 1):
            pair = cells.list.get(k, null_on_oob=True)
            parts = pair.str.extract_groups(_PAIR)
            index, value = parts.struct.field("1"), parts.struct.field("2")
            bad = value.cast(pl.Float64, strict=False).is_null()
            bad |= pair.str.len_bytes() > self.max_cell
            for row in (bad if good is None else bad & good).arg_true():
                faults.setdefault(row, "must hold pairs `index:value`" + self._got(pair[row]))
            columns[f"f{k}"], columns[f"f{k}{_NUMBER}"] = index, value
        return columns


def _texts(data: bytes) -> pl.Series:
    """Return the lines of a block, null where one is no text."""
    lines = data.split(b"\n")[:-1]
    try:
        return pl.Series("line", lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.Series(
            "line", [None if undecodable(t, encoding="utf-8") else t.decode() for t in lines], dtype=pl.String
        )
