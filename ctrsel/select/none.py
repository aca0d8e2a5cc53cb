"""No selection: every value of every field; what all others are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.select._contract import Selection, Selector
from ctrsel.select.problem import Problem

__all__ = ["NoSelection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSelection(Selector):
    """Keep everything."""

    def select(self, problem: Problem, *, size: int, seed: int) -> Selection:
        """Return the full set, whatever the size."""
        return Selection(features=problem.everything())
