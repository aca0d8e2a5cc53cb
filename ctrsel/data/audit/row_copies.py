"""Copies: validation or test rows that are training rows, and rows that were written more than once.

Equal rows are natural where fields have few values, so what chance gives is read from the training rows: with f1 of n of them
alone, f2 pairs and f3 threes, a held-out row of the same source equals exactly one training row with probability 2 f2 / n, and a
copy of a training row does with probability f1 / n (Good, 1953, "The population frequencies of species"). Cells with many rows,
which every held-out table hits as well, do not enter. Draws that are independent, however unequal their cells, have
(2 f2)^2 <= f1 * 6 f3 on average, as moments of a mixture of Poisson laws; more pairs than that were written twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit._row_groups import RowGroups
    from ctrsel.data.audit.view import AuditView

__all__ = ["RowCopies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCopies(Check):
    """Tell of copies beyond what chance gives for the table: between the splits, and within training.

    Attributes:
        note: Least share of the rows that are copies, beyond chance.
        warn: Share from which it is a warning.
        apart: How much likelier a copy than another row must be to equal one training row; in tables of a few cells nothing
            tells them apart, and nothing is lost.
        chance: Largest probability of such a share by luck.
    """

    note: float = 0.01
    warn: float = 0.05
    apart: float = 0.05
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare validation and test with training, then the sizes of groups of equal training rows."""
        groups = view.row_groups
        if groups is None:
            return []
        return [f for f in (self._between(view, groups), self._within(view, groups)) if f is not None]

    def _between(self, view: AuditView, groups: RowGroups) -> Finding | None:
        train, rows = groups.rows[:, 0], view.rows("train")
        alone, pairs, threes = _sizes(groups)
        # Values without a code of their own look alike, and held-out rows have more of them than training rows have: rows
        # with one are set against training rows with one.
        pooled = 2 * float((train[groups.pooled] == 2).sum())
        own = (2 * pairs - pooled) / rows
        told, worst, natural = [], 0.0, 0.0
        for place, split in ((1, "valid"), (2, "test")):
            if split not in view.splits or not view.rows(split):
                continue
            n = view.rows(split)
            share = float(groups.rows[train == 1, place].sum()) / n
            chance = own + pooled / max(groups.pooled_rows[0], 1) * groups.pooled_rows[place] / n
            error = math.sqrt(share * (1 - share) / n + (4 * pairs + 6 * threes) / rows**2)
            apart = alone / rows - chance  # how much likelier a copy is to equal one training row
            copies = (share - chance) / apart if apart >= self.apart else 0.0
            if copies >= self.note and share - chance >= -float(special.ndtri(self.chance)) * error:
                told.append(f"{share:.1%} of the {split} rows" + (self._labels(groups) if split == "valid" else ""))
                worst, natural = max((worst, natural), (copies, chance))
        if not told:
            return None
        return Finding(
            rule="row_copies",
            field=None,
            severity="warn" if worst >= self.warn else "note",
            number=worst,
            evidence=(
                f"{' and '.join(told)} equal exactly one training row in all {groups.fields} fields, where chance gives "
                f"{natural:.1%}: about {worst:.1%} are copies of training rows (warning from {self.warn:.0%})."
            ),
            advice="Make the splits anew from rows without copies: held-out figures on rows that were trained on flatter.",
        )

    def _labels(self, groups: RowGroups) -> str:
        one = groups.rows[:, 0] == 1
        rows, positive = groups.rows[one].astype(np.int64), groups.positives[one].astype(np.int64)
        # A copy in label too: the validation rows that carry the one training row's label.
        same = np.where(positive[:, 0] == 1, positive[:, 1], rows[:, 1] - positive[:, 1])
        return f" ({int(same.sum()) / max(int(rows[:, 1].sum()), 1):.0%} of them in the label too)"

    def _within(self, view: AuditView, groups: RowGroups) -> Finding | None:
        rows = view.rows("train")
        alone, pairs, threes = _sizes(groups)
        # Upper limits of what independent draws would show, three deviations up.
        natural = math.sqrt((alone + 3 * math.sqrt(alone + 1)) * 6 * (threes + 3 * math.sqrt(threes + 1))) / 2
        excess = 2 * (pairs - 3 * math.sqrt(pairs) - natural) / rows
        if excess < self.note:
            return None
        return Finding(
            rule="row_copies",
            field=None,
            severity="warn" if excess >= self.warn else "note",
            number=excess,
            evidence=(
                f"{int(2 * pairs):,} of {rows:,} training rows are pairs, equal in all {groups.fields} fields, beside {int(alone):,} "
                f"rows alone and {int(3 * threes):,} in threes; independent rows would be in at most {2 * natural:,.0f}: "
                f"{excess:.1%} of the rows are copies (warning from {self.warn:.0%})."
            ),
            advice="See whether rows are written twice; drop the copies, or keep copies on one side with split.use: time or group.",
        )


def _sizes(groups: RowGroups) -> tuple[float, float, float]:
    """How many training rows are alone, and how many pairs and threes of equal ones there are."""
    sizes = np.bincount(np.minimum(groups.rows[:, 0], 4), minlength=5)
    return float(sizes[1] + groups.single[0]), float(sizes[2]), float(sizes[3])
