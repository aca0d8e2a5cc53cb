"""Rejects: the rows that could not be read, each with its place and reason; none is lost without a word."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from ctrsel.core.errors import ConfigError, DataError

__all__ = ["Rejects"]

_COLUMNS = {"part": pl.String, "file": pl.String, "row": pl.Int64, "line": pl.Int64, "reason": pl.String}


@dataclass(kw_only=True)
class Rejects:
    """Rows that were rejected, and the share of the rows that may be.

    With a tolerance of 0 the first fault is refused at once. Else faults are gathered, and `check` refuses when they
    are more than the tolerance allows.

    Attributes:
        tolerance: Largest share of the rows read that may be rejected, in [0, 1).
        quotes: Whether reasons may quote a file's text; not where some field is sensitive, since readers know no fields.
        frames: What was rejected so far: part, file, row (counted from 1 in the file, header not counted), line
            (of text files, counted from 1) and reason; a reason never holds a value of a sensitive field.
    """

    tolerance: float = 0.0
    quotes: bool = True
    frames: list[pl.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"ingest.tolerance: must be a share in [0, 1), got {self.tolerance}")

    @property
    def rows(self) -> int:
        """How many rows were rejected so far."""
        return sum(f.height for f in self.frames)

    def add(self, *, part: str, file: str, row: int | None, reason: str, line: int | None = None) -> None:
        """Reject one row.

        Raises:
            DataError: At once, if nothing is tolerated.
        """
        if self.tolerance == 0:
            raise DataError(f"{file}: {reason}")
        self.frames.append(
            pl.DataFrame(
                {"part": [part], "file": [file], "row": [row], "line": [line], "reason": [reason]}, schema=_COLUMNS
            )
        )

    def add_many(self, frame: pl.DataFrame) -> None:
        """Reject the rows of a frame with the columns part, file, row, line, reason.

        Raises:
            DataError: At once, if nothing is tolerated.
        """
        if not frame.height:
            return
        if self.tolerance == 0:
            raise DataError(f"{frame['file'][0]}: {frame['reason'][0]}")
        self.frames.append(frame.select(pl.col(n).cast(t) for n, t in _COLUMNS.items()))

    def check(self, read: int) -> None:
        """Refuse when more rows were rejected than are tolerated.

        Args:
            read: Rows read in all, rejected ones included.

        Raises:
            DataError: With the count, the share and the first reasons.
        """
        if self.rows <= self.tolerance * read:
            return
        counts = self.frame()["reason"].value_counts(sort=True, name="n") if self.rows else None
        common = "" if counts is None else f"; most often: {counts['reason'][0]} ({counts['n'][0]} rows)"
        raise DataError(
            f"{self.rows} of {read} rows ({self.rows / max(read, 1):.2%}) had to be rejected, more than the "
            f"{self.tolerance:.2%} of ingest.tolerance{common}"
        )

    def frame(self) -> pl.DataFrame:
        """Return all rejected rows in the order in which they were found."""
        return pl.concat(self.frames) if self.frames else pl.DataFrame(schema=_COLUMNS)

    def untold(self, path: Path, *, files: Collection[str]) -> Rejects:
        """Return those that a file of earlier rejects does not list, where files are read for the second time.

        Args:
            path: What `save` wrote, or no file.
            files: Names of files that are what they were when those were written.

        Raises:
            DataError: If the file is damaged.
        """
        if not self.rows or not files or not path.is_file():
            return self
        try:
            told = pl.read_csv(path, schema=_COLUMNS)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{path}: expected rejected rows as CSV, got {str(error).splitlines()[0][:200]}") from error
        known = told.filter(pl.col("file").is_in(sorted(files)))
        fresh = self.frame().join(known, on=list(_COLUMNS), how="anti", nulls_equal=True, maintain_order="left")
        return replace(self, frames=[fresh] if fresh.height else [])

    def text(self, *, header: bool = True) -> str:
        """Return them as CSV."""
        return self.frame().write_csv(include_header=header)

    def save(self, path: Path) -> None:
        """Write them as CSV, after what stands in the file already."""
        with path.open("ab") as file:
            file.write(self.text(header=file.tell() == 0).encode())
