"""Tally: what became of every row that was read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrsel.core.errors import DataError

__all__ = ["STORE", "Tally"]

STORE = "ingest.json"  # beside a stored table: what an increment needs to know, and what became of the rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Row counts of an ingest; what was read is stored, or it is told here why not.

    Attributes:
        read: Rows of the sources.
        stored: Rows of the table.
        rejected: Rows that break a rule; they are listed with their reasons.
        young: Rows whose outcome may still come (label delay); they are left for a later increment.
        future: Rows later than the time as of which the table is made.
        known: Increments: rows not later than the newest stored one of a source that was read before, and rejected rows
            of one that are listed already.
        late: Increments: such rows of a source that was not; they came too late and are not stored.
    """

    read: int
    stored: int
    rejected: int = 0
    young: int = 0
    future: int = 0
    known: int = 0
    late: int = 0

    def __post_init__(self) -> None:
        told = self.stored + self.rejected + self.young + self.future + self.known + self.late
        if told != self.read:
            raise AssertionError(f"{self.read} rows were read, but {told} are accounted for")

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{k: v + getattr(other, k) for k, v in asdict(self).items()})

    @staticmethod
    def of_store(folder: Path) -> Tally | None:
        """Return what became of the rows of a stored table, over all increments; None if ingest did not write it.

        Raises:
            DataError: If the file that tells it is damaged.
        """
        file = folder / STORE
        if not file.is_file():
            return None
        try:
            return Tally(**json.loads(file.read_text(encoding="utf-8"))["tally"])
        except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(f"{file}: expected the row counts that ingest wrote, got {reason}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """Say it in words.

        Examples:
            >>> Tally(read=100, stored=97, rejected=1, young=2).sentence()
            '100 rows read, 97 stored, 1 rejected, 2 too young'
        """
        names = {
            "rejected": "rejected",
            "young": "too young",
            "future": "in the future",
            "known": "stored before",
            "late": "too late",
        }
        rest = "".join(f", {n:,} {text}" for k, text in names.items() if (n := getattr(self, k)))
        return f"{self.read:,} rows read, {self.stored:,} stored{rest}"
