"""Duplicate fields: two fields whose training codes are the same up to renaming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Duplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Check):
    """Warn of each field that says the same as an earlier one: a one-to-one renaming on all training rows.

    Constants, and fields with another value in every row, are left to the checks that are about them; copies with
    exceptions to `near_duplicate`.
    """

    def check(self, view: AuditView) -> list[Finding]:
        """Compare fields of one form (one value, a float, a list) with each other."""
        rows = view.rows("train")
        return [
            Finding(
                rule="duplicate",
                field=name,
                severity="warn",
                number=1.0,
                evidence=f"Its codes are a one-to-one renaming of those of {first!r} in 100 % of the {rows:,} training rows.",
                advice=f"Keep one of {first!r} and {name!r}; the other costs memory and splits attributions.",
            )
            for name, first in view.renamings.items()
        ]
