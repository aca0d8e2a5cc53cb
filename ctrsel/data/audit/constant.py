"""Constant fields: one value in all training rows, so nothing can be learned from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding
from ctrsel.records.feature_set import MISSING

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Check):
    """Warn of a field with one value in all training rows; note one whose other values are rarer than `rare`."""

    rare: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare the largest share of one value with 1."""
        found = []
        rows = view.rows("train")
        for field in view.table.schema.fields:
            if field.is_list and view.missing_share(field.name, "train") < 1:
                continue
            totals = view.counts(field.name, "train").totals
            top = int(np.argmax(totals))
            share = int(totals[top]) / rows
            if share < 1 - self.rare or (share < 1 and rows < 1 / self.rare):
                continue
            what = "missing" if top == MISSING else "the same value"
            found.append(
                Finding(
                    rule="constant",
                    field=field.name,
                    severity="warn" if share == 1 else "note",
                    number=share,
                    evidence=f"{totals[top]:,} of {rows:,} training rows are {what} ({share:.4%}).",
                    advice="Leave the field out (schema.ignore), or mend the source if it should vary.",
                )
            )
        return found
