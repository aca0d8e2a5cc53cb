"""Drift between the splits: fields by the population stability index, the label by its base rate.

Lewis (1994); the limit of chance is that of a chi-square: for two samples of one distribution PSI / (1/a + 1/b) has
about K - 1 degrees of freedom (Yurdakul, 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import special

from ctrsel.data.audit._contract import Check
from ctrsel.records.audit import Finding

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["Drift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Check):
    """Warn of fields and labels that moved more than a threshold and more than chance explains.

    Attributes:
        psi: Threshold of the population stability index in nats; 0.25 is the usual sign of a moved field.
        rate: Threshold of the label: base rates that differ by this factor.
        chance: How rarely a table without drift is warned of, per field and split.
    """

    psi: float = 0.25
    rate: float = 1.2
    chance: float = 1e-4

    def check(self, view: AuditView) -> list[Finding]:
        """Compare every other split with training."""
        others = [s for s in view.splits if s != "train"]
        found = []
        for name in view.table.schema.names:
            moved = []
            for split in others:
                drift = view.drift(name, split)
                if drift is None:
                    continue
                value, cells = drift
                noise = (1 / view.rows("train") + 1 / view.rows(split)) * _chi_square(cells - 1, self.chance)
                if value > max(self.psi, noise):
                    moved.append((value, split))
            if moved:
                measured = ", ".join(f"{value:.2f} to {split}" for value, split in moved)
                found.append(
                    Finding(
                        rule="drift",
                        field=name,
                        severity="warn",
                        number=max(moved)[0],
                        evidence=f"The population stability index from training is {measured}; over {self.psi:.2f} a field has moved.",
                        advice=(
                            "The later splits show what it costs; a field that only tells when a row was made is no feature."
                            if view.in_time_order
                            else "Split by time to see what it costs; a field that only tells when a row was made is no feature."
                        ),
                    )
                )
        for split in others:
            finding = self._label(view, split)
            if finding is not None:
                found.append(finding)
        return found

    def _label(self, view: AuditView, split: str) -> Finding | None:
        n, m = view.rows("train"), view.rows(split)
        a, b = view.base_rate("train"), view.base_rate(split)
        pooled = (view.positives("train") + view.positives(split)) / (n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        if error == 0 or min(a, b) == 0:
            return None
        z, factor = abs(a - b) / error, max(a, b) / min(a, b)
        if factor < self.rate or z * z < _chi_square(1, self.chance):
            return None
        return Finding(
            rule="drift",
            field=None,
            severity="warn",
            number=factor,
            evidence=(
                f"The base rate is {a:.2%} in training and {b:.2%} in {split} ({z:.1f} standard errors); "
                f"a factor over {self.rate} is a drift."
            ),
            advice="Predicted rates will be off by about this factor there: calibrate on recent rows, or sample alike.",
        )


def _chi_square(degrees: int, tail: float) -> float:
    return float(special.chdtri(degrees, tail)) if degrees > 0 else 0.0
