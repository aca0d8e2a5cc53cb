"""Faults: rows of the raw rows that break a rule, found after reading; refused at once, or rejected under a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

__all__ = ["SHOWN", "Faults", "shown_values"]

SHOWN = 200  # rejected values are written down with their text; longer ones are cut


@dataclass(kw_only=True)
class Faults:
    """Which raw rows are out, and why.

    Attributes:
        raw: The rows.
        rejects: Where they are written down; its tolerance says whether any may be.
        bad: Boolean `[N]`: rows that are out.
    """

    raw: RawRows
    rejects: Rejects
    bad: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.bad = np.zeros(self.raw.n_rows, dtype=bool)

    def add(self, rows: np.ndarray, reason: str | Callable[[], pl.Series], *, refuse: Callable[[], str]) -> None:
        """Reject rows.

        Args:
            rows: Raw row numbers, ascending; a row that is out already is not written down twice.
            reason: One reason for all, or a function that returns one for each.
            refuse: The sentence that says what is wrong with the first of them.

        Raises:
            DataError: At once, if nothing is tolerated.
        """
        if not len(rows):
            return
        if self.rejects.tolerance == 0:
            raise DataError(refuse())
        fresh = ~self.bad[rows]
        reasons = (
            pl.Series([reason], dtype=pl.String).new_from_index(0, len(rows)) if isinstance(reason, str) else reason()
        )
        where = self.locate(rows[fresh])
        self.rejects.add_many(where.with_columns(reasons.filter(fresh).alias("reason")))
        self.bad[rows] = True

    def add_values(self, rows: np.ndarray, chunk: pl.Series, start: int, *, rule: str) -> None:
        """Reject rows by their values in one column.

        Args:
            rows: As in `add`, all of them rows of the chunk.
            chunk: Values of the column.
            start: Raw row number of the first of them.
            rule: What is required; the value follows.

        Raises:
            DataError: As in `add`.
        """
        # A time that is refused has no text.
        plain = chunk.to_physical() if chunk.dtype.is_temporal() else chunk

        def sentence() -> str:
            return f"{self.raw.place(int(rows[0]))} of {rule}, got {plain[int(rows[0]) - start]!r}"

        def reasons() -> pl.Series:
            return shown_values(f"{rule}, got ", plain.gather(rows - start).cast(pl.String, strict=False))

        self.add(rows, reasons, refuse=sentence)

    def locate(self, rows: np.ndarray) -> pl.DataFrame:
        """Return part, file, row in the file (counted from 1) and line (unknown here) of raw rows."""
        shards = self.raw.shards
        starts = np.concatenate([[0], np.cumsum([s.rows for s in shards])])
        of = np.searchsorted(starts, rows, side="right") - 1
        number = rows - starts[of] + 1
        for i in np.unique(of):
            number[of == i] = shards[i].numbers(number[of == i] - 1) + 1
        return pl.DataFrame(
            {
                "part": pl.Series([s.part for s in shards], dtype=pl.String).gather(of),
                "file": pl.Series([s.name for s in shards], dtype=pl.String).gather(of),
                "row": number.astype(np.int64),
                "line": pl.Series([None], dtype=pl.Int64).new_from_index(0, len(rows)),
            }
        )


def shown_values(rule: str, values: pl.Series) -> pl.Series:
    """Return one reason for each value: the rule, and the value as a short text in one line."""
    shown = values.fill_null("nothing").str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")  # in one line
    return pl.select(pl.concat_str([pl.lit(rule), shown])).to_series()
