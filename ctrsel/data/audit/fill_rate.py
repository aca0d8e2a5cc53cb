"""Fill rate by label: a field that is filled in for one label much more often than for the other.

The effect size is Cohen's h, 2 asin(sqrt(p1)) - 2 asin(sqrt(p0)) (Cohen, 1988), for which 0.8 is large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding
from ctrsel.records.feature_set import MISSING

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["FillRate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRate(Check):
    """Warn where the missing shares of positives and negatives differ by a large effect, beyond chance.

    Attributes:
        effect: Least |h|.
        chance: Largest two-sided p-value of no difference.
    """

    effect: float = 0.8
    chance: float = 1e-6

    def check(self, view: AuditView) -> list[Finding]:
        """Compare missing shares by label over training and validation rows."""
        found = []
        for name in view.table.schema.names:
            counts = [view.counts(name, split) for split in ("train", "valid")]
            positives = sum(view.positives(split) for split in ("train", "valid"))
            negatives = sum(view.rows(split) for split in ("train", "valid")) - positives
            missing_positive = int(sum(c.positives[MISSING] for c in counts))
            missing_negative = int(sum(c.totals[MISSING] for c in counts)) - missing_positive
            if not positives or not negatives:
                continue
            p, q = missing_positive / positives, missing_negative / negatives
            h = 2 * math.asin(math.sqrt(p)) - 2 * math.asin(math.sqrt(q))
            z = abs(h) / math.sqrt(1 / positives + 1 / negatives)
            if abs(h) < self.effect or 2 * special.ndtr(-z) > self.chance:
                continue
            found.append(
                Finding(
                    rule="fill_rate",
                    field=name,
                    severity="warn",
                    number=h,
                    evidence=(
                        f"Missing in {p:.1%} of the positive and {q:.1%} of the negative rows: Cohen's h is {h:.2f}, "
                        f"from {self.effect} on it is large; missingness alone has an AUC of {0.5 + abs(p - q) / 2:.3f}."
                    ),
                    advice="A field that is filled in because of the outcome is a leak: ask who fills it, and when.",
                )
            )
        return found
