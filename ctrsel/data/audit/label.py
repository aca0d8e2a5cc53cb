"""Label problems: very unequal labels, or too few of one to train or to measure on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["LabelBalance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBalance(Check):
    """Warn of extreme base rates and of splits with few rows of the rarer label.

    Attributes:
        rate: The rarer label's share of the training rows.
        few: Rows of the rarer label in a split: the standard error of an AUC is about 0.3 / sqrt(rows).
    """

    rate: float = 1e-3
    few: int = 100

    def check(self, view: AuditView) -> list[Finding]:
        """Look at the training base rate, then at each split's rarer label."""
        found = []
        label = view.table.schema.labels[0]
        rate = view.base_rate("train")
        if min(rate, 1 - rate) < self.rate:
            found.append(
                Finding(
                    rule="label",
                    field=None,
                    severity="warn",
                    number=rate,
                    evidence=(
                        f"The base rate of {label.name!r} in training is {rate:.4%}; "
                        f"rates under {self.rate:.1%} or over {1 - self.rate:.1%} are extreme."
                    ),
                    advice=(
                        f"Check that {label.positive!r} is the positive value; "
                        "if negatives were sampled, say how in schema.sampling_rate."
                    ),
                )
            )
        for split in view.splits:
            positives, rows = view.positives(split), view.rows(split)
            rarer = min(positives, rows - positives)
            if rarer < self.few:
                which = "positive" if positives <= rows - positives else "negative"
                found.append(
                    Finding(
                        rule="label",
                        field=None,
                        severity="warn",
                        number=float(rarer),
                        evidence=f"Split {split!r} has {rarer} {which} rows of {rows:,}; under {self.few} nothing can be measured well.",
                        advice="Use more rows or a larger share for this split; read its intervals before its figures.",
                    )
                )
        return found
