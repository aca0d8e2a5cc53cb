"""Target drift by time window: the base rate moves over the windows of the time column by more than binomial noise.

The dispersion test is Pearson's chi-square of W rates, and the variation between windows is its moment estimate with the
noise of the rates removed (DerSimonian and Laird, 1986).
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
    from ctrsel.data.audit.view import AuditView

__all__ = ["LabelOverTime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOverTime(Check):
    """Warn of a base rate that moved from the first third of the time to the last; note one that comes and goes.

    With many rows any difference is significant, so an effect is asked for as well: the coefficient of variation of the
    rarer label's rate between windows, the binomial noise removed. Hours of the day do that too, and come back: what is
    not moved from the first third of the windows to the last is a note. Without `schema.time` it is silent.

    Attributes:
        variation: Least coefficient of variation.
        rate: Factor between the first and the last third that is a lasting drift.
        chance: Largest probability of such a dispersion by luck.
    """

    variation: float = 0.1
    rate: float = 1.2
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Test the dispersion of the base rates of the windows."""
        cut = view.windows
        if cut is None:
            return []
        n, k = cut.rows, cut.positives
        total = int(n.sum())
        rate = float(k.sum()) / total
        noise = rate * (1 - rate)
        if not noise:
            return []
        rates = k / n
        dispersion = float((n * np.square(rates - rate)).sum()) / noise
        between = noise * max(dispersion - (cut.count - 1), 0.0) / (total - float(np.square(n).sum()) / total)
        effect = math.sqrt(between) / min(rate, 1 - rate)
        if effect < self.variation or dispersion < float(special.chdtri(cut.count - 1, self.chance)):
            return []
        third = cut.third()
        first, last = float(k[:third].sum() / n[:third].sum()), float(k[-third:].sum() / n[-third:].sum())
        rarer = (first, last) if rate <= 0.5 else (1 - first, 1 - last)
        lasting = max(rarer) >= self.rate * min(rarer)
        return [
            Finding(
                rule="label_over_time",
                field=None,
                severity="warn" if lasting else "note",
                number=effect,
                evidence=(
                    f"Over {cut.count} windows of {view.table.schema.time!r} the base rate goes from {rates.min():.2%} to "
                    f"{rates.max():.2%}, {first:.2%} in the first third and {last:.2%} in the last; beyond binomial noise the rarer "
                    f"label's rate varies by {effect:.0%} (threshold {self.variation:.0%}; dispersion {dispersion / (cut.count - 1):,.1f}, "
                    "by luck 1)."
                ),
                advice=(
                    "Train on recent rows and calibrate often: a rate that was learned over all the time is nobody's."
                    if lasting and view.in_time_order
                    else "Use split.use: time, train on recent rows and calibrate often: a rate of all the time is nobody's."
                    if lasting
                    else "It comes and goes: a field for the hour or the weekday may hold it; see that no window is damaged."
                ),
            )
        ]
