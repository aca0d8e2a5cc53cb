"""Pairs of fields: what two rows with the same value of one field say about another field.

Two different rows that agree in A agree in B with a probability that needs no correction for chance; set against that of any
two rows it is Goodman and Kruskal's tau (1954), 1 - E[Gini(B | A)] / Gini(B). Reading it from pairs of rows takes one
comparison per pair of fields and pair of rows, whatever the number of values. Mutual information is computed for the few
pairs of fields that pass this screen, less its value under independence, which shifts of one column stand for, and over the
larger entropy (Vinh, Epps and Bailey, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.seeds import generator
from ctrsel.data.audit._sampling import spread
from ctrsel.records.feature_set import OTHER
from ctrsel.stats._kernel import kernel
from ctrsel.stats.information import entropy

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["PairSample", "exceptions"]

ROWS = 100_000  # training rows that are compared
LINKS = 10_000  # pairs of rows per field
FIRST = 1_000  # pairs of rows that are compared first; the others only where these do not rule out a likeness
HOPELESS = 0.25  # tau on the first pairs
TELLING = 30  # of the first pairs must differ by chance to rule anything out
SHIFTS = 3  # of a column against the other: what mutual information is by chance
CHUNK = 1 << 18  # rows


@dataclass(frozen=True, kw_only=True)
class PairSample:
    """Codes of sampled training rows in a random order, for all fields with one code a row (a float: its bucket).

    Attributes:
        names: Fields with at least two values.
        codes: uint32 `[F, S]`.
    """

    names: tuple[str, ...]
    codes: np.ndarray

    @staticmethod
    def of(view: AuditView) -> PairSample:
        """Draw at most 100,000 training rows; they take 4 bytes a cell."""
        rows = spread(view.table.span("train"), most=ROWS, purpose="pair rows")
        names = [f.name for f in view.table.schema.fields if not f.is_list]
        codes = np.empty((len(names), len(rows)), dtype=np.uint32)
        order = generator(0, "audit", "pair order").permutation(len(rows))
        for i, name in enumerate(names):
            codes[i] = view.codes(name, rows)[order]
        varies = [i for i in range(len(names)) if (codes[i] != codes[i, :1]).any()]
        return PairSample(names=tuple(names[i] for i in varies), codes=codes[varies])

    @cached_property
    def by_chance(self) -> np.ndarray:
        """Probability that two rows agree in a field, `[F]`."""
        s = self.codes.shape[1]
        out = np.empty(len(self.names))
        for i, codes in enumerate(self.codes):
            counts = _counts(codes).astype(np.float64)
            out[i] = float((counts * (counts - 1)).sum()) / max(s * (s - 1), 1)
        return out

    @cached_property
    def links(self) -> np.ndarray:
        """Pairs of rows that agree in a field, int64 `[F]`: on how many pairs its row of `agreement` was measured."""
        return self._measured[0]

    @cached_property
    def agreement(self) -> np.ndarray:
        """Share of the pairs of rows with one value of field A that agree in field B, float64 `[A, B]`; NaN without pairs.

        Where a tenth of the pairs rules out a likeness, it is the share of these.
        """
        return self._measured[1]

    @cached_property
    def tau(self) -> np.ndarray:
        """Goodman and Kruskal's tau of field B given field A, float64 `[A, B]`: 1 where A determines B, 0 by chance."""
        return np.asarray(1 - (1 - self.agreement) / np.maximum(1 - self.by_chance, 1e-12))

    @cached_property
    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        f = len(self.names)
        links, agreement = np.zeros(f, dtype=np.int64), np.full((f, f), np.nan)
        for a, codes in enumerate(self.codes):
            order = np.argsort(codes)
            along = codes[order]
            # Values that were too rare for a code of their own are many values, not one.
            at = np.flatnonzero((along[1:] == along[:-1]) & (along[1:] != OTHER))
            if len(at) > LINKS:
                at = at[np.linspace(0, len(at) - 1, LINKS).astype(np.int64)]
            links[a] = len(at)
            if not len(at):
                continue
            one, two = order[at], order[at + 1]
            step = -(-len(at) // FIRST)
            first, second = one[::step].copy(), two[::step].copy()
            for b, others in enumerate(self.codes):
                differ = 1 - self.by_chance[b]
                if step > 1 and len(first) * differ >= TELLING:
                    agreement[a, b] = np.count_nonzero(others[first] == others[second]) / len(first)
                    if agreement[a, b] < 1 - (1 - HOPELESS) * differ:
                        continue
                agreement[a, b] = np.count_nonzero(others[one] == others[two]) / len(at)
        return links, agreement

    def alike(self, a: int, b: int) -> float:
        """Mutual information of two fields less that by chance, over the larger entropy less the same; at most 1."""
        whole = max(entropy(_counts(self.codes[a])), entropy(_counts(self.codes[b])))
        shifts = [1 + i * (self.codes.shape[1] // (SHIFTS + 1)) for i in range(SHIFTS)]
        value = self._information(a, b, shift=0)
        chance = float(np.mean([self._information(a, b, shift=s) for s in shifts]))
        return (value - chance) / (whole - chance) if whole - chance > 1e-9 else 0.0

    def _information(self, a: int, b: int, *, shift: int) -> float:
        first, second = self.codes[a].astype(np.uint64), np.roll(self.codes[b], shift)
        joint = entropy(_counts((first << np.uint64(32)) | second))
        return entropy(_counts(self.codes[a])) + entropy(_counts(self.codes[b])) - joint


def _counts(codes: np.ndarray) -> np.ndarray:
    """Rows per distinct value."""
    along = np.sort(codes)
    edges = np.flatnonzero(np.concatenate([[True], along[1:] != along[:-1], [True]]))
    return np.diff(edges)


def exceptions(view: AuditView, a: str, b: str) -> tuple[int, int, int]:
    """Count over all training rows how far field A determines field B.

    Only values of A that repeat can show it: rows with another value of A each prove nothing. A rare value without a code of
    its own is left out in A, and is an exception in B.

    Returns:
        Rows whose value of A occurs at least twice, the least of them that must go for each value of A to have one value of B
        (g3 of Kivinen and Mannila, 1995; an upper limit where no value of B has the majority), and how many such values of A.
    """
    totals = view.counts(a, "train").totals
    repeated = totals >= 2
    repeated[OTHER] = False
    rows = view.table.span("train")
    first, second = view.codes(a, rows), view.codes(b, rows)
    vote, lead = np.zeros(len(totals), dtype=np.uint32), np.zeros(len(totals), dtype=np.int64)
    wrong = 0
    for kernel_of in (_vote, _wrong):
        for start in range(0, len(first), CHUNK):
            one = first[start : start + CHUNK].astype(np.uint32)
            two = second[start : start + CHUNK].astype(np.uint32)
            wrong += kernel_of(one, two, repeated, vote, lead)
    return int(totals[repeated].sum()), int(wrong), int(repeated.sum())


@kernel
def _vote(a: np.ndarray, b: np.ndarray, counted: np.ndarray, vote: np.ndarray, lead: np.ndarray) -> int:
    # The majority vote of Boyer and Moore (1991): a value that more than half of the rows have is left standing.
    for i in range(a.size):
        code = a[i]
        if not counted[code]:
            continue
        if lead[code] == 0:
            vote[code] = b[i]
            lead[code] = 1
        elif vote[code] == b[i]:
            lead[code] += 1
        else:
            lead[code] -= 1
    return 0


@kernel
def _wrong(a: np.ndarray, b: np.ndarray, counted: np.ndarray, vote: np.ndarray, lead: np.ndarray) -> int:
    wrong = 0
    for i in range(a.size):
        if counted[a[i]] and (vote[a[i]] != b[i] or b[i] == 1):  # 1 is OTHER
            wrong += 1
    return wrong
