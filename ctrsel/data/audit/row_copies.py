"""Copies: validation or test rows that are training rows, and rows that were written more than once.

Equal rows are natural where fields have few values. What chance gives is read from training itself: a held-out row of the
same source equals a training row as often as a training row equals another one. Rows with a rare or unseen value are set
against training rows with one: values without a code of their own look alike, and held-out rows have more of them.
Draws that are independent, however unequal their cells, leave f1 rows alone, f2 pairs and f3 threes with (2 f2)^2 <= f1 * 6 f3
on average, as moments of a mixture of Poisson laws (Good and Toulmin, 1956); more pairs than that were written twice.
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
        chance: Largest probability of such a share by luck.
    """

    note: float = 0.01
    warn: float = 0.05
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare validation and test with training, then the sizes of groups of equal training rows."""
        groups = view.row_groups
        if groups is None:
            return []
        return [f for f in (self._between(view, groups), self._within(view, groups)) if f is not None]

    def _between(self, view: AuditView, groups: RowGroups) -> Finding | None:
        train, rows = groups.rows[:, 0].astype(np.float64), view.rows("train")
        twins = np.where(train > 1, train, 0.0)
        pooled = float(twins[groups.pooled].sum()) / max(groups.pooled_rows[0], 1)
        told, worst, natural = [], 0.0, 0.0
        for place, split in ((1, "valid"), (2, "test")):
            if split not in view.splits or not view.rows(split):
                continue
            held, n = groups.rows[:, place] * (train > 0).astype(np.float64), view.rows(split)
            share = float(held.sum()) / n
            chance = float(twins[~groups.pooled].sum()) / rows + pooled * groups.pooled_rows[place] / n
            # Rows of one group come and go together, so a group is the unit of luck.
            error = math.sqrt(float(np.square(held).sum()) / n**2 + float(np.square(twins).sum()) / rows**2)
            excess = (share - chance) / (1 - chance) if chance < 1 else 0.0
            if excess >= self.note and share - chance >= -float(special.ndtri(self.chance)) * error:
                told.append(f"{share:.1%} of the {split} rows" + (self._labels(groups) if split == "valid" else ""))
                worst, natural = max((worst, natural), (excess, chance))
        if not told:
            return None
        return Finding(
            rule="row_copies",
            field=None,
            severity="warn" if worst >= self.warn else "note",
            number=worst,
            evidence=(
                f"{' and '.join(told)} equal a training row in all {groups.fields} fields; as often as training rows equal "
                f"each other it would be {natural:.1%}: {worst:.1%} of the rest are copies (warning from {self.warn:.0%})."
            ),
            advice="Make the splits anew from rows without copies: held-out figures on rows that were trained on flatter.",
        )

    def _labels(self, groups: RowGroups) -> str:
        train, valid = groups.rows[:, 0].astype(np.int64), groups.rows[:, 1].astype(np.int64)
        positive = groups.positives.astype(np.int64)
        # A copy in label too: the training row's group holds the validation row's label.
        yes, no = positive[:, 1] * (positive[:, 0] > 0), (valid - positive[:, 1]) * (train > positive[:, 0])
        both = valid[train > 0].sum()
        return f" ({int(yes.sum() + no.sum()) / max(int(both), 1):.0%} of them in the label too)"

    def _within(self, view: AuditView, groups: RowGroups) -> Finding | None:
        rows = view.rows("train")
        sizes = np.bincount(np.minimum(groups.rows[:, 0], 4), minlength=5)
        alone, pairs, threes = float(sizes[1] + groups.single[0]), float(sizes[2]), float(sizes[3])
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
                f"{2 * sizes[2]:,} of {rows:,} training rows are pairs, equal in all {groups.fields} fields, beside {int(alone):,} "
                f"rows alone and {3 * sizes[3]:,} in threes; independent rows would be in at most {2 * natural:,.0f}: "
                f"{excess:.1%} of the rows are copies (warning from {self.warn:.0%})."
            ),
            advice="See whether rows are written twice; drop the copies, or keep copies on one side with split.use: time or group.",
        )
