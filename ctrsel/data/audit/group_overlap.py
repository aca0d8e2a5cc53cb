"""Group leakage: rows of one group (a user, a session) on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["GroupOverlap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOverlap(Check):
    """Warn where held-out rows belong to groups of training; note it where the splits follow each other in time.

    A split by group has no such row, and where one split has none another one must not have any either. In a split by
    time known groups come back, as they do in use: a fact to know, not a fault. Without `schema.group` it is silent.

    Attributes:
        share: Least share of a split's rows.
    """

    share: float = 0.01

    def check(self, view: AuditView) -> list[Finding]:
        """Look up the groups of validation and test rows among those of training."""
        group = view.table.group
        if group is None:
            return []
        known = np.unique(group[view.table.span("train")])
        shares = {s: _share(known, np.asarray(group[view.table.span(s)])) for s in view.splits if s != "train"}
        worst = max(shares.values())
        if worst < self.share:
            return []
        by_group = min(shares.values()) == 0
        ordered = not by_group and view.in_time_order
        measured = ", ".join(f"{share:.1%} of the {split} rows" for split, share in shares.items())
        why = (
            "another split has none, so the splits are meant to be by group"
            if by_group
            else "the splits follow each other in time"
            if ordered
            else "the splits are not in time order either"
        )
        return [
            Finding(
                rule="group_overlap",
                field=None,
                severity="note" if ordered else "warn",
                number=worst,
                evidence=(
                    f"{measured} belong to a {view.table.schema.group!r} of the {len(known):,} in training "
                    f"(threshold {self.share:.0%}); {why}."
                ),
                advice=(
                    "These figures hold for groups that come back; for new ones choose split.use: group."
                    if ordered
                    else "Choose split.use: group if the model will meet new groups, else what it learned of a group flatters it."
                ),
            )
        ]


def _share(known: np.ndarray, groups: np.ndarray) -> float:
    """Share of rows whose group is among the known ones, which are sorted."""
    if not len(groups) or not len(known):
        return 0.0
    distinct, rows = np.unique(groups, return_counts=True)
    place = np.minimum(np.searchsorted(known, distinct), len(known) - 1)
    return float(rows[known[place] == distinct].sum()) / len(groups)
