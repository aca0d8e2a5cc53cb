"""HeldOutGain: what the smoothed rates of a field's values alone save on validation rows.

References: Good, "Rational decisions", 1952 (the logarithmic score); Micci-Barreca, "A preprocessing scheme for
high-cardinality categorical attributes in classification and prediction problems", 2001, equation 3 (rates smoothed
towards the base rate); Benjamini and Hochberg, "Controlling the false discovery rate", 1995 (q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import special

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import dependence_notes
from ctrsel.rank._single import field_frame, gain_of, shape_of
from ctrsel.records.ranking import Ranking
from ctrsel.stats.held_out import log_loss_saved
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["HeldOutGain"]

_TWO_SIDED = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutGain(CountRanker):
    """Log-loss saved per validation row [nats]; the rates are learnt on training rows.

    Columns of the ranking: `held_out_gain` (the score), `error` (its standard error over validation rows), `low`, `high`
    (95 % interval), `z`, `p` (one-sided, that the rates save nothing), `q` (Benjamini-Hochberg), `values`,
    `missing_share`. Rows with weights count by their weight, and the error is that of the weighted mean.

    Attributes:
        prior: Rows (of average weight) at the base rate that smooth a value's rate.
    """

    weighted: ClassVar[bool] = True  # rates, mean and standard error by weight

    prior: float = 20.0

    def __post_init__(self) -> None:
        if self.prior <= 0:
            raise ConfigError(f"held_out_gain.prior: must be above 0 rows, got {self.prior}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names.

        Raises:
            DataError: If there are no validation rows, or rows have weights and only counts are here.
        """
        rows = {}
        for name, field in counts.fields.items():
            gain = gain_of(field, prior=self.prior)
            if gain is None:
                raise DataError("held_out_gain: needs validation rows, and there are none")
            error = self._error(counts, name, gain)
            z = gain / error if error > 0 else 0.0
            rows[name] = {
                "held_out_gain": gain,
                "error": error,
                "low": gain - _TWO_SIDED * error,
                "high": gain + _TWO_SIDED * error,
                "z": z,
                "p": float(special.ndtr(-z)) if error > 0 else 1.0,
                **shape_of(field),
            }
        q = benjamini_hochberg(np.array([row["p"] for row in rows.values()])).tolist()
        columns = ("held_out_gain", "error", "low", "high", "z", "p", "q", "values", "missing_share")
        return Ranking(
            method="held_out_gain",
            params=describe(self),
            unit="nats",
            null="the base rate for every validation row; p from the normal distribution",
            frame=field_frame(
                {name: {**row, "q": q[i]} for i, (name, row) in enumerate(rows.items())},
                score="held_out_gain",
                columns=columns,
            ),
            refused=counts.refused,
            notes=(*counts.notes, *dependence_notes(counts)),
            table=counts.table,
        )

    def _error(self, counts: TableCounts, name: str, gain: float) -> float:
        """Return the standard error of the mean saving over validation rows."""
        field = counts.fields[name]
        valid = field.valid
        assert valid is not None
        if field.weighted_train is None:
            negative, positive = log_loss_saved(field.train.positives, field.train.totals, prior=self.prior)
            yes, no = valid.positives, valid.totals - valid.positives
            squares = float((yes * (positive - gain) ** 2).sum() + (no * (negative - gain) ** 2).sum())
            return float(np.sqrt(squares)) / valid.rows
        rows = counts.valid_rows
        if rows is None or rows.weight is None:
            raise DataError("held_out_gain: the error of a weighted mean needs the rows, but only counts are here")
        sums = field.weighted_train
        prior = self.prior * float(sums.totals.sum()) / max(field.train.rows, 1)
        negative, positive = log_loss_saved(sums.positives, sums.totals, prior=prior)
        saved = np.where(rows.labels == 1, positive[rows.column(name)], negative[rows.column(name)])
        return float(np.sqrt((rows.weight**2 * (saved - gain) ** 2).sum()) / rows.weight.sum())
