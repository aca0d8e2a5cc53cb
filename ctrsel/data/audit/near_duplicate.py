"""Near duplicates: two fields that say almost the same, by normalised mutual information with the part of chance removed.

Vinh, Epps and Bailey (2010), "Information theoretic measures for clusterings comparison" (adjusted, over the larger entropy);
pairs are screened by the tau of Goodman and Kruskal (1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["NearDuplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate(Check):
    """Warn, or note, of each field that an earlier one nearly repeats; exact renamings are left to `duplicate`.

    What is less than a near repetition and follows from the other field is a coarser level of it: `dependency` tells.
    Lists, and fields of which no two sampled rows have the same value, are not compared.

    Attributes:
        warn: Normalised mutual information that is warned of.
        note: Normalised mutual information that is noted.
        screen: Least tau in both directions of a pair whose information is computed.
        one_way: Share of agreeing pairs from which one field determines the other.
        differ: Least number of pairs of rows that would differ by chance; fewer prove nothing.
    """

    warn: float = 0.95
    note: float = 0.8
    screen: float = 0.5
    one_way: float = 0.996
    differ: int = 30

    def check(self, view: AuditView) -> list[Finding]:
        """Compare each field with the earlier ones, the likest three by tau."""
        pairs = view.pairs
        enough = pairs.links[:, None] * (1 - pairs.by_chance)[None, :] >= self.differ
        both = np.where(enough & enough.T, np.fmin(pairs.tau, pairs.tau.T), 0.0)
        repeated = {i for i, name in enumerate(pairs.names) if name in view.renamings}
        found = []
        for b, name in enumerate(pairs.names):
            if b in repeated:
                continue
            likest = [a for a in np.argsort(-both[:b, b], kind="stable").tolist() if a not in repeated][:3]
            values = [(pairs.alike(a, b), a) for a in likest if both[a, b] >= self.screen]
            value, a = max(values, default=(0.0, 0))
            one_way = max(pairs.agreement[a, b], pairs.agreement[b, a]) >= self.one_way
            if value < self.note or (value < self.warn and one_way):
                continue
            repeated.add(b)
            other = pairs.names[a]
            found.append(
                Finding(
                    rule="near_duplicate",
                    field=name,
                    severity="warn" if value >= self.warn else "note",
                    number=value,
                    evidence=(
                        f"Normalised mutual information with {other!r}, chance removed, is {value:.3f} on {pairs.codes.shape[1]:,} "
                        f"training rows (warning from {self.warn}); rows alike in {other!r} are alike here in "
                        f"{pairs.agreement[a, b]:.1%} of the pairs, the other way round in {pairs.agreement[b, a]:.1%}."
                    ),
                    advice=f"Keep the one of {other!r} and {name!r} that is surer to be there; together they split attributions.",
                )
            )
        return found
