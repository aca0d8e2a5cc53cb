"""Strong fields: one field alone ranks held-out rows suspiciously well, though it does not determine the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["StrongField"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrongField(Check):
    """Warn of a field whose held-out AUC alone is from `auc` up to `leak`, where the leak check stops.

    Attributes:
        auc: Where suspicion begins.
        leak: Where the leak check takes over.
        chance: Largest probability of such an AUC for a field of noise, on so few rows of the rarer label.
    """

    auc: float = 0.90
    leak: float = 0.995
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare each field's validation AUC with the threshold."""
        found = []
        for name in view.table.schema.names:
            value = view.auc(name)
            if value is None or not self.auc <= value < self.leak or view.auc_luck(value) > self.chance:
                continue
            found.append(
                Finding(
                    rule="strong_field",
                    field=name,
                    severity="warn",
                    number=value,
                    evidence=(
                        f"The field alone, scored by training rates, has a validation AUC of {value:.4f} on "
                        f"{view.rows('valid'):,} rows; from {self.auc:.2f} on it is suspicious, from {self.leak} on a leak."
                    ),
                    advice="Ask when this value is written: before the outcome it is a fine feature, after it a leak.",
                )
            )
        return found
