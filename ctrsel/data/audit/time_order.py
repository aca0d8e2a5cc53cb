"""Time leakage: training rows that are later than validation or test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["TimeOrder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOrder(Check):
    """Warn where training holds the future of held-out rows. Without `schema.time` it is silent.

    The measure is the share of pairs of a training row and a held-out row in which the training row is later: 0 for a
    split by time, one half for a random one.

    Attributes:
        warn: Share of pairs that is warned of; less is noted.
        rows: At most this many training rows are compared, evenly spaced in time.
    """

    warn: float = 0.01
    rows: int = 1_000_000

    def check(self, view: AuditView) -> list[Finding]:
        """Compare the times of training with those of each other split."""
        if view.table.time is None:
            return []
        known = np.sort(view.table.time[view.table.span("train")])
        end = known[-1]
        if len(known) > self.rows:
            known = known[np.linspace(0, len(known) - 1, self.rows).astype(np.int64)]
        told, worst = [], 0.0
        for split in (s for s in view.splits if s != "train"):
            times = np.asarray(view.table.time[view.table.span(split)])
            older = float((times < end).mean()) if len(times) else 0.0
            if not older:
                continue
            later = 1 - float(np.searchsorted(known, np.sort(times), side="right").mean()) / len(known)
            worst = max(worst, later)
            told.append(
                f"{older:.1%} of the {split} rows are older than the newest training row, and in {later:.2%} of all pairs the "
                "training row is the later one"
            )
        if not told:
            return []
        return [
            Finding(
                rule="time_order",
                field=None,
                severity="warn" if worst >= self.warn else "note",
                number=worst,
                evidence=f"{'; '.join(told)} (0 % in time order, 50 % in a random split; warning from {self.warn:.0%}).",
                advice="Choose split.use: time, so that figures are of rows later than all that was trained on, as in use.",
            )
        ]
