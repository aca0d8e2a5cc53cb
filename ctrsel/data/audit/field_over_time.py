"""Covariate drift by time window: the values of a field move over the windows of the time column.

Population stability index (Lewis, 1994) of a window against all others, with the chi-square limit of chance of Yurdakul
(2018), shared between the windows (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding
from ctrsel.stats.drift import psi

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["FieldOverTime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOverTime(Check):
    """Warn of a field that moved from the first third of the time to the last; note one that is strange in one window.

    A clock (hour, weekday) differs between windows and comes back, and so does a field that was broken for a day: a note.
    Without `schema.time` it is silent.

    Attributes:
        psi: Threshold of the population stability index in nats.
        chance: How rarely a table without drift is told of, per field.
    """

    psi: float = 0.25
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare the first third of the windows with the last, and each window with all others."""
        cut = view.windows
        if cut is None:
            return []
        found = []
        for name in view.table.schema.names:
            cells = cut.cells(view, name)
            third = cut.third()
            ends = self._moved(cells[:third].sum(axis=0), cells[-third:].sum(axis=0), tests=1)
            whole = cells.sum(axis=0)
            each = [self._moved(window, whole - window, tests=cut.count) for window in cells]
            strongest = int(np.argmax([value for value, _ in each]))
            lasting = ends[1]
            if not lasting and not any(moved for _, moved in each):
                continue
            value = ends[0] if lasting else each[strongest][0]
            found.append(
                Finding(
                    rule="field_over_time",
                    field=name,
                    severity="warn" if lasting else "note",
                    number=value,
                    evidence=(
                        f"Over {cut.count} windows of {view.table.schema.time!r} the population stability index is {ends[0]:.2f} "
                        f"from the first third to the last, and {each[strongest][0]:.2f} of window {strongest + 1} against the "
                        f"others; from {self.psi:.2f} on, and beyond chance, a field has moved."
                    ),
                    advice=(
                        "The later splits show what it costs; a field that only tells when a row was made is no feature."
                        if lasting and view.in_time_order
                        else "Use split.use: time to see what it costs; a field that only tells when a row was made is no feature."
                        if lasting
                        else f"A clock comes back and is fine; else see whether the field was broken in window {strongest + 1}."
                    ),
                )
            )
        return found

    def _moved(self, a: np.ndarray, b: np.ndarray, *, tests: int) -> tuple[float, bool]:
        """Index of two sets of counts, and whether it is large and beyond chance."""
        value = psi(a, b)
        if value is None:
            return 0.0, False
        degrees = int(((a > 0) | (b > 0)).sum()) - 1
        if degrees < 1:
            return value, False
        noise = (1 / a.sum() + 1 / b.sum()) * float(special.chdtri(degrees, self.chance / tests))
        return value, value > max(self.psi, noise)
