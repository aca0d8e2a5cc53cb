"""Leaks: fields that all but determine the label on held-out rows, or that are only known after the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.stats.intervals import wilson

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Leak"]

_ADVICE = (
    "If the value is made after the outcome, add the field to schema.ignore; if it is truly known before, "
    "name it in audit.accept."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak(Check):
    """Stop on near-determinism only; what is merely strong is left to other checks, as warnings.

    A field stops the run if (i) its held-out AUC alone is at least `auc`; or (ii) the held-out rows with one value of
    it, or where it is missing, or where it is not, are positive with at least `precision` and hold at least `share` of
    the held-out positives; or (iii) the schema says that it is known only after the outcome.

    A value that is popular among positives may reach (ii) by luck. So training must say the same, training and
    validation together must be beyond luck for an honest value with ten times the odds of the base rate, and, where
    there are counter-examples at all, their rate must be surely under what a leak could have. Where rows are too few for
    that, (ii) is a warning.

    Bucketed numbers are seen bucket by bucket: a copy of a very rare label with noise shares a bucket with other rows
    and may only be warned of; one with a heavy value for "nothing" has buckets of its own and stops.

    Attributes:
        auc: Of rule (i).
        each: Least number of validation rows of each label for rule (i).
        precision: Of rule (ii).
        share: Of the validation positives, rule (ii).
        held_out: Least number of validation rows with the value, rule (ii).
        rows: Least number of training and validation rows with it.
        odds: How many times the odds of the base rate an honest value may have.
        luck: Largest probability that such values look like this, over all candidates of a field.
        sure: With counter-examples: lower limit, at 95 %, that the precision must reach.
    """

    auc: float = 0.995
    each: int = 5
    precision: float = 0.999
    share: float = 0.01
    held_out: int = 3
    rows: int = 20
    odds: float = 10.0
    luck: float = 0.01
    sure: float = 0.9985

    def check(self, view: AuditView) -> list[Finding]:
        """Apply the three rules to each field; the first that holds is told."""
        found = []
        for field in view.table.schema.fields:
            finding = (
                self._after(field.name)
                if field.available_at == "after"
                else self._alone(view, field.name) or self._value(view, field.name)
            )
            if finding is not None:
                found.append(finding)
        return found

    def _after(self, name: str) -> Finding:
        return Finding(
            rule="leak",
            field=name,
            severity="stop",
            number=None,
            evidence="The schema says available_at: after, so the value is not known when a prediction is made.",
            advice="Add the field to schema.ignore; to train with it all the same, name it in audit.accept.",
        )

    def _alone(self, view: AuditView, name: str) -> Finding | None:
        positives, rows = view.positives("valid"), view.rows("valid")
        value = view.auc(name)
        if value is None or value < self.auc or min(positives, rows - positives) < self.each:
            return None
        return Finding(
            rule="leak",
            field=name,
            severity="stop",
            number=value,
            evidence=(
                f"The field alone, scored by training rates, has a validation AUC of {value:.4f} on {rows:,} rows; "
                f"from {self.auc} on it determines the label."
            ),
            advice=_ADVICE,
        )

    def _value(self, view: AuditView, name: str) -> Finding | None:
        codes, k, n, train_k, train_n = _candidates(view, name)
        positives = view.positives("valid")
        eligible = (n >= 1) & (k >= self.share * max(positives, 1))
        precise = np.flatnonzero(eligible & (k >= self.precision * n) & (train_k >= self.precision * train_n))
        base = (view.positives("train") + positives) / (view.rows("train") + view.rows("valid"))
        # Every value that could have held so many positives was tried, whether or not it does.
        tried = int(((n >= 1) & (n >= self.share * positives)).sum())
        honest = base * self.odds / (1 - base + base * self.odds)
        best: tuple[bool, float, int] | None = None
        for i in precise.tolist():
            both_k, both_n = int(k[i] + train_k[i]), int(n[i] + train_n[i])
            # P(at least both_k of both_n positive) for an honest value, over all that were tried.
            chance = float(special.bdtrc(both_k - 1, both_n, honest)) * tried
            clear = both_k == both_n or (wilson(both_k, both_n).low or 0.0) >= self.sure
            stop = bool(clear and chance <= self.luck and n[i] >= self.held_out and both_n >= self.rows)
            # What could be luck at the base rate itself is not worth a word.
            told = stop or float(special.bdtrc(both_k - 1, both_n, base)) * tried <= self.luck
            if told and (best is None or (stop, k[i]) > best[:2]):
                best = (stop, float(k[i]), i)
        if best is None:
            return None
        stop, _, i = best
        what = "a present value" if codes[i] < 0 else view.shown(name, int(codes[i]))
        return Finding(
            rule="leak",
            field=name,
            severity="stop" if stop else "warn",
            number=float(k[i] / n[i]),
            evidence=(
                f"Of the {n[i]:,} validation rows with {what}, {k[i]:,} are positive ({k[i] / n[i]:.2%}, threshold "
                f"{self.precision:.1%}), which is {k[i] / positives:.1%} of the positives (threshold {self.share:.0%}); "
                f"in training {train_k[i]:,} of {train_n[i]:,}"
                + ("." if stop else "; too few rows to be sure that it is not luck.")
            ),
            advice=_ADVICE,
        )


def _candidates(view: AuditView, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes (-1 = present), and positives and rows of each in validation and in training.

    Rare and unseen values are many values, not one, so `OTHER` is no candidate but counts as present.
    """
    valid, train = view.counts(name, "valid"), view.counts(name, "train")
    codes = np.flatnonzero(valid.totals)
    codes = codes[codes != OTHER]
    columns = [codes]
    for counts, split in ((valid, "valid"), (train, "train")):
        columns += [counts.positives[codes], counts.totals[codes]]
        columns[-2] = np.append(columns[-2], view.positives(split) - counts.positives[MISSING])
        columns[-1] = np.append(columns[-1], view.rows(split) - counts.totals[MISSING])
    return np.append(codes, -1), columns[1], columns[2], columns[3], columns[4]
