"""Unseen values: how much of the validation and test rows has values that training never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(Check):
    """Warn where at least `warn` of a split's values are new, note where at least `note` are."""

    warn: float = 0.2
    note: float = 0.05

    def check(self, view: AuditView) -> list[Finding]:
        """Take the split with the largest unseen share of each field."""
        found = []
        for name in view.table.schema.names:
            shares = {s: view.unseen_share(name, s) for s in view.splits if s != "train"}
            worst = max(shares.values())
            if worst < self.note:
                continue
            measured = ", ".join(f"{share:.1%} of its {split} values" for split, share in shares.items())
            found.append(
                Finding(
                    rule="unseen",
                    field=name,
                    severity="warn" if worst >= self.warn else "note",
                    number=worst,
                    evidence=f"{measured} never occur in training; the warning starts at {self.warn:.0%}.",
                    advice="Expect it to help less in use than in training; prefer a coarser field, or one that returns.",
                )
            )
        return found
