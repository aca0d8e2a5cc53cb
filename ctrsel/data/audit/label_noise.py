"""Label noise: rows that are equal in all fields and carry both labels, and what no model of the fields can do about it.

On rows that form groups of equal fields, a classifier errs at least on the rarer label of each group (the Bayes error of
Devroye, Györfi and Lugosi, 1996, of the empirical distribution), and none ranks or predicts better than the groups' own rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["LabelNoise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise(Check):
    """Note how many rows have a twin with the other label; warn where twins disagree more than chance would make them.

    Equal rows with both labels are natural: the same person is shown the same ad twice. Labels of equal rows that are
    drawn independently disagree in at most 2 r (1 - r) of the pairs, r being their base rate; more than that means that
    the two rows are one event, logged once with its outcome and once without.

    Attributes:
        share: Least share of the rows that stand in a group with both labels.
        fold: How many times 2 r (1 - r) is a warning.
        chance: Largest probability of so much disagreement by luck.
    """

    share: float = 0.01
    fold: float = 1.1
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare labels within groups of equal training and validation rows."""
        groups = view.row_groups
        if groups is None:
            return []
        n = groups.rows[:, :2].sum(axis=1, dtype=np.int64)
        k = groups.positives.sum(axis=1, dtype=np.int64)
        k, n = k[n > 1], n[n > 1]
        every, twins = view.rows("train") + view.rows("valid"), int(n.sum())
        mixed = int(n[(k > 0) & (k < n)].sum())
        if mixed < self.share * every:
            return []
        error = float(np.minimum(k, n - k).sum()) / twins
        log_loss = float((special.entr(k / n) + special.entr(1 - k / n)) @ n) / twins
        rate = float(k.sum()) / twins
        by_luck = 2 * rate * (1 - rate)
        pairs = 2 * k * (n - k) / (n - 1)  # per group: its rows times the share of its pairs that disagree
        disagree = float(pairs.sum()) / twins
        deviation = math.sqrt(float(np.square(pairs - by_luck * n).sum()))
        z = (disagree - by_luck) * twins / deviation if deviation else 0.0
        twice = disagree >= self.fold * by_luck and float(special.ndtr(-z)) <= self.chance
        evidence = (
            f"{mixed:,} of {every:,} training and validation rows ({mixed / every:.1%}, threshold {self.share:.0%}) have a twin, "
            f"equal in all {groups.fields} fields, with the other label; on the {twins:,} rows with twins no model errs on "
            f"fewer than {error:.1%}, has an AUC over {_best_auc(k, n):.3f} or a log-loss under {log_loss:.3f}; twins disagree in "
            f"{disagree:.1%} of the pairs, by luck in {by_luck:.1%}."
        )
        return [
            Finding(
                rule="label_noise",
                field=None,
                severity="warn" if twice else "note",
                number=mixed / every,
                evidence=evidence,
                advice=(
                    "Twins disagree more than luck allows: see whether one event is logged twice, with and without its outcome."
                    if twice
                    else "Read a model's figures against these limits; a field that tells such rows apart would help most."
                ),
            )
        ]


def _best_auc(positives: np.ndarray, totals: np.ndarray) -> float:
    """AUC of the groups' own rates: the best of any score that is equal within groups."""
    order = np.argsort(positives / totals, kind="stable")
    yes, no = positives[order].astype(np.float64), (totals - positives)[order].astype(np.float64)
    # Groups of one rate may be ranked in any order: taken together, ties count one half.
    _, starts = np.unique((positives / totals)[order], return_index=True)
    yes, no = np.add.reduceat(yes, starts), np.add.reduceat(no, starts)
    below = np.concatenate([[0.0], np.cumsum(no)[:-1]])
    return float(yes @ (below + no / 2) / (yes.sum() * no.sum()))
