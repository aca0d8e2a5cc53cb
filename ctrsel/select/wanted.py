"""Wanted: how much a selection may keep, as it is said before the table is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctrsel.core.errors import ConfigError
from ctrsel.select.size import Size

if TYPE_CHECKING:
    from ctrsel.select.problem import Problem

__all__ = ["Wanted", "share_of"]

_FORMS = "a share such as 0.2 or 20%, a number of fields such as {fields: 12}, or auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A share of the values, a number of fields, or neither: the smallest size that costs nothing that can be measured.

    Attributes:
        share: Of the table's values, at most.
        fields: How many fields.
        place: Where it was said, for messages.
    """

    share: float | None = None
    fields: int | None = None
    place: str = "size"

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"{self.place}: must be a share in (0, 1], got {self.share:g}")
        if self.fields is not None and self.fields < 1:
            raise ConfigError(f"{self.place}: must be at least 1 field, got {self.fields}")

    @staticmethod
    def read(given: Any, *, place: str) -> Wanted:
        """Read what a config or a caller says.

        Raises:
            ConfigError: If it is none of the forms.

        Examples:
            >>> Wanted.read("20%", place="size").share, Wanted.read({"fields": 12}, place="size").fields
            (0.2, 12)
            >>> Wanted.read("12 fields", place="size").fields, Wanted.read("auto", place="size").auto
            (12, True)
        """
        if isinstance(given, Wanted):
            return given
        if isinstance(given, int | float) and not isinstance(given, bool):
            return Wanted(share=float(given), place=place)
        if isinstance(given, Mapping) and list(given) == ["fields"]:
            number = given["fields"]
            if isinstance(number, int) and not isinstance(number, bool):
                return Wanted(fields=number, place=place)
        if isinstance(given, str):
            text = given.strip().lower()
            if text == "auto":
                return Wanted(place=place)
            if counted := re.fullmatch(r"(\d+) fields?", text):
                return Wanted(fields=int(counted[1]), place=place)
            share = share_of(text)
            if share is not None:
                return Wanted(share=share, place=place)
        raise ConfigError(f"{place}: expected {_FORMS}, got {given!r}")

    @property
    def auto(self) -> bool:
        """Whether the size is to be found."""
        return self.share is None and self.fields is None

    @property
    def most(self) -> float:
        """At most this share of the values, as far as it is known before the table is: for estimates."""
        return 1.0 if self.share is None else self.share

    def check(self, fields: Sequence[str]) -> None:
        """Refuse a number of fields that a table does not have.

        Raises:
            ConfigError: If there are fewer.
        """
        if self.fields is not None and self.fields > len(fields):
            raise ConfigError(f"{self.place}: the table has {len(fields)} fields to choose from, got {self.fields}")

    def of(self, problem: Problem) -> Size:
        """Return the size for a table.

        Raises:
            ConfigError: If the table has fewer fields, or the size is to be found.
        """
        self.check(problem.table.schema.names)
        if self.fields is not None:
            return Size(number=self.fields, of="fields")
        if self.share is None:
            raise ConfigError(f"{self.place}: auto has to be found by training; name a size")
        return Size(number=int(self.share * problem.n_values + 1e-9))  # 0.29 of 100 is a little less than 29


def share_of(text: str) -> float | None:
    """Return the number of a text such as "20%" or "0.2"; None if it is none.

    Examples:
        >>> share_of("20%"), share_of("0.2"), share_of("a fifth")
        (0.2, 0.2, None)
    """
    found = re.fullmatch(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)", text.strip().lower())
    if found is None:
        return None
    return float(found[1]) / (100 if found[2] else 1)
