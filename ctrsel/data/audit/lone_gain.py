"""Lone gain: how much one field adds to an additive score of all the others on held-out rows.

The score is naive Bayes (the sum over fields of smoothed training log-odds): a cheap stand-in for a model of the other
fields, which over-counts fields that say the same and knows no interaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding
from ctrsel.stats.auc import auc

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["LoneGain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneGain(Check):
    """Warn of the field that the others cannot stand in for: an outlier in what it adds to their AUC.

    Attributes:
        gain: Least gain in AUC.
        fold: How many times the next largest gain it must be.
        alone: Least held-out AUC of the field alone; the one informative field of a weak table is no suspect.
        strong: Held-out AUC alone from which `strong_field` and `leak` speak of the field.
        rows: At most this many validation rows are scored.
        chance: Largest probability of the AUC alone for a field of noise, on so few rows of the rarer label.
    """

    gain: float = 0.05
    fold: float = 3.0
    alone: float = 0.7
    strong: float = 0.9
    rows: int = 100_000
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare the AUC of the additive score with and without each field."""
        names = view.table.schema.names
        if len(names) < 3:
            return []
        labels = view.labels[view.table.span("valid")][: self.rows]
        each = {name: view.scores(name)[: self.rows].copy() for name in names}
        total = np.sum(list(each.values()), axis=0)
        whole = auc(labels, total)
        if whole is None:
            return []
        without = {name: auc(labels, total - score) or 0.5 for name, score in each.items()}
        gains = sorted(((whole - value, name) for name, value in without.items()), reverse=True)
        (gain, name), (second, _) = gains[:2]
        alone = view.auc(name)
        if gain < self.gain or gain < self.fold * second or alone is None or not self.alone <= alone < self.strong:
            return []
        if view.auc_luck(alone) > self.chance:
            return []
        return [
            Finding(
                rule="lone_gain",
                field=name,
                severity="warn",
                number=gain,
                evidence=(
                    f"By naive Bayes on {len(labels):,} validation rows, AUC is {without[name]:.4f} without the field and "
                    f"{whole:.4f} with it: a gain of {gain:.4f} (threshold {self.gain}), the next field's is {second:.4f}; "
                    f"alone it has {alone:.4f} (threshold {self.alone})."
                ),
                advice="Ask when this value is written; if it is known before the outcome, nothing is wrong.",
            )
        ]
