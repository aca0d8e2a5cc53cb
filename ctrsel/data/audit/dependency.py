"""Functional dependencies: fields whose value follows from that of another one, as the country follows from the city.

The error is g3, the least share of the rows that must go for the dependency to hold (Kivinen and Mannila, 1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.data.audit._pairs import exceptions
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit._pairs import PairSample
    from ctrsel.data.audit.view import AuditView

__all__ = ["Dependency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency(Check):
    """Note, in one line per field, which finer fields determine it: a hierarchy to know, not a fault.

    A dependency is measured on the training rows whose value of the finer field repeats, so that a row number determines
    nothing. Screened on pairs of sampled rows; what passes is counted on all training rows. Floats and lists are not looked at,
    and pairs that are nearly the same both ways are left to `near_duplicate`.

    Attributes:
        error: Largest share of exceptions (g3) on these rows.
        support: Least share of the training rows whose value of the finer field repeats.
        differ: Least number of pairs of rows that would differ by chance; fewer prove nothing.
        alike: Normalised mutual information from which the two are near duplicates.
        tries: At most so many finer fields are counted per field, the closest (what this one tells most of) first.
    """

    error: float = 1e-3
    support: float = 0.1
    differ: int = 30
    alike: float = 0.95
    tries: int = 3

    def check(self, view: AuditView) -> list[Finding]:
        """Look for the finer fields of each field, the closest first."""
        pairs = view.pairs
        values = [int(np.count_nonzero(view.counts(name, "train").totals)) for name in pairs.names]
        found = []
        for b, name in enumerate(pairs.names):
            if self._usable(view, name):
                sure = self._determined(view, pairs, values, b)
                if sure:
                    found.append(self._finding(name, values[b], sure))
        return found

    def _usable(self, view: AuditView, name: str) -> bool:
        return name not in view.renamings and not view.table.schema.field(name).is_float

    def _determined(
        self, view: AuditView, pairs: PairSample, values: list[int], b: int
    ) -> list[tuple[str, int, int, float]]:
        """Finer fields that determine field b, their repeated values, the rows that show it and the share of exceptions."""
        # A share e of exceptions makes up to 2 e of the pairs differ; the sample may be unlucky by as much again.
        seen = (pairs.agreement[:, b] >= 1 - 4 * self.error) & (pairs.links * (1 - pairs.by_chance[b]) >= self.differ)
        # Where rare values are pooled the finer field may be left with fewer codes, so their number alone does not tell.
        back = pairs.agreement[b] >= 1 - 4 * self.error
        finer = [
            a
            for a in np.flatnonzero(seen).tolist()
            if a != b and (values[a] > values[b] or not back[a]) and self._usable(view, pairs.names[a])
        ]
        sure = []
        for a in sorted(finer, key=lambda i: (-float(np.nan_to_num(pairs.tau[b, i])), i))[: self.tries]:
            if pairs.tau[b, a] >= self.alike / 2 and pairs.alike(a, b) >= self.alike:
                continue
            rows, wrong, repeated = exceptions(view, pairs.names[a], pairs.names[b])
            if rows >= self.support * view.rows("train") and wrong <= self.error * rows:
                sure.append((pairs.names[a], repeated, rows, wrong / rows))
        return sure

    def _finding(self, name: str, values: int, sure: list[tuple[str, int, int, float]]) -> Finding:
        closest, repeated, rows, error = sure[0]
        others = ", ".join(repr(other) for other, _, _, _ in sure[1:])
        return Finding(
            rule="dependency",
            field=name,
            severity="note",
            number=1 - error,
            evidence=(
                f"Each of the {repeated:,} repeated values of {closest!r} ({rows:,} training rows) has one of its {values:,} values, "
                f"with {error:.2%} exceptions (at most {self.error:.1%})"
                + (f"; {others} determine it too." if others else ".")
            ),
            advice=f"A coarser level of {closest!r}: of use where values of that are rare; it can go if the table must be smaller.",
        )
