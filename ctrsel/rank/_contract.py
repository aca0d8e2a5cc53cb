"""Rankers: what gives every field a score; a count ranker sees counts only, a model ranker may train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["CountRanker", "ModelRanker", "Ranker"]


class Ranker(ABC):  # noqa: B024  # the two kinds below differ in what they are shown, so there is no common method
    """A frozen dataclass of parameters; a subclass of `CountRanker` or `ModelRanker`.

    Attributes:
        weighted: Whether the score means something when rows have weights; the driver refuses the others on such tables.
    """

    weighted: ClassVar[bool] = False


class CountRanker(Ranker):
    """Scores fields, pairs or values from counts, which the driver makes once for all count rankers.

    Attributes:
        needs: "field" (rows and positive rows per code of each field) or "rows" (those, and the coded rows to count
            fields together or under moved labels).
    """

    needs: ClassVar[Literal["field", "rows"]] = "field"

    @abstractmethod
    def score(self, counts: TableCounts) -> Ranking:
        """Rank the counted fields, best first; the fields that could not be counted are passed on as refused."""


class ModelRanker(Ranker):
    """Scores fields by what a model makes of them."""

    @property
    def fits(self) -> int:
        """Trainings of a learner of its own that a score takes even where a model is given, for estimates of cost."""
        return 0

    @abstractmethod
    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Rank the fields of a table without its test split.

        Args:
            table: Training and validation rows.
            seed: Of everything drawn.
            model: A model already fitted on this table, used in place of a training of the ranker's own.
        """
