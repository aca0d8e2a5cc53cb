"""ValueTest: values by the nats that their shrunken rates save over the rate of what is dropped, from counts alone.

References: Morris, "Parametric empirical Bayes inference: theory and applications", 1983 (a value's rate is drawn to the
field's by as much as values differ beyond chance); Roulston, "Estimating the errors on measured entropy and mutual
information", 1999 (information from few rows is too large, by what shuffled labels would give).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from scipy import special

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.ranges import choose
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select._contract import Found, Selector
from ctrsel.select._drop_rounds import drop_in_rounds
from ctrsel.select._label_counts import label_counts_of
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredValues
from ctrsel.select.size import Size
from ctrsel.stats.value_effects import value_effects

__all__ = ["ValueTest"]

Against = Literal["field", "dropped"]
_CENTRES = 33  # rates that are tried for what is dropped first


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTest(Selector):
    """Score a value by what its training rows would lose if they had the rate of "other", less what chance would lose.

    Attributes:
        against: The rate of "other": that of all rows of the "field", or that of what is "dropped", which is told anew in
            rounds: where most values of a field are alike and unlike its mean, they are what can go.
        share: Of the values left, how many go in a round.
    """

    against: Against = field(default="dropped", metadata=choose(*get_args(Against)))
    share: float = 0.1

    def __post_init__(self) -> None:
        if self.against not in get_args(Against):
            raise ConfigError(
                f"value_test.against: must be one of {', '.join(get_args(Against))}, got {self.against!r}"
            )
        if not 0 < self.share <= 1:
            raise ConfigError(f"value_test.share: must be in (0, 1], got {self.share}")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Count training rows; the seed is not used.

        Raises:
            DataError: If rows have weights.
        """
        began = time.perf_counter()
        if problem.table.weight is not None:
            raise DataError(
                "value_test: counts rows and cannot tell values of weighted rows apart; leave schema.weight out, or use "
                "value_loss"
            )
        fields = {
            name: _Effects.of(counts.positives, counts.totals)
            for name, (counts, _) in label_counts_of(problem.table).items()
        }
        if self.against == "field":
            scores = {name: f.nats(f.base) for name, f in fields.items()}
        else:
            least = min((s.number for s in sizes if s.of == "values"), default=1)
            scores = drop_in_rounds(
                lambda gone: {name: f.nats(f.rate_of(gone[name])) for name, f in fields.items()},
                {name: len(f.rate) for name, f in fields.items()},
                share=self.share,
                least=least,
            )
        return ScoredValues(
            problem=problem,
            method="value_test",
            params=describe(self),
            scores=scores,
            seconds=time.perf_counter() - began,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Effects:
    """The values of one vocabulary.

    Attributes:
        positives: Positive training rows `[V]`.
        totals: Training rows `[V]`.
        rate: Shrunken rates `[V]`.
        chance: Nats that a value's rows would save over the field's rate under shuffled labels, by its shrunken rate `[V]`.
        base: Rate of all rows.
    """

    positives: np.ndarray
    totals: np.ndarray
    rate: np.ndarray
    chance: np.ndarray
    base: float

    @staticmethod
    def of(positives: np.ndarray, totals: np.ndarray) -> _Effects:
        found = value_effects(positives, totals)
        rate, chance, base = np.full(len(totals), 0.5), np.zeros(len(totals)), 0.5
        if found is not None:
            base = found.base
            seen = found.case >= 0
            rate[:] = base
            rate[seen] = special.expit(special.logit(base) + found.log_odds)[found.case[seen]]
            # The squared deviation of a rate from few rows, times how far it is drawn in.
            information = totals * base * (1.0 - base)
            chance = 0.5 * (information / (information + found.deviation**-2.0)) ** 2
        return _Effects(positives=positives, totals=totals, rate=rate, chance=chance, base=base)

    def nats(self, rate: float) -> np.ndarray:
        """Return what the rows of each value would lose at another rate than their own, less what chance explains."""
        own = special.rel_entr(self.rate, rate) + special.rel_entr(1.0 - self.rate, 1.0 - rate)
        return np.asarray(self.totals * own - self.chance, dtype=np.float64)

    def rate_of(self, gone: np.ndarray) -> float:
        """Return the rate of what has gone, "other" included; before anything has, the one from which most could go."""
        if gone.any():
            which = gone.copy()
            which[OTHER] = True
            rows = float(self.totals[which].sum())
            return float((self.positives[which].sum() + self.base) / (rows + 1.0))
        rates = self.rate[RESERVED:]
        if not len(rates):
            return self.base
        half = max(len(rates) // 2, 1)
        tried = np.unique(np.append(np.quantile(rates, np.linspace(0.0, 1.0, _CENTRES)), self.base))
        lost = [float(np.partition(self.nats(c)[RESERVED:], half - 1)[:half].sum()) for c in tried]
        return float(tried[int(np.argmin(lost))])
