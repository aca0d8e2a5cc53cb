"""MutualInformation: what each field alone tells about the label, beyond what its number of values explains.

References: Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", 2010 (the mean under
shuffled labels, the adjusted value); Benjamini and Hochberg, "Controlling the false discovery rate", 1995 (q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank._contract import CountRanker
from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.records.ranking import Ranking
from ctrsel.stats.information import held_out_gain, information_test
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from ctrsel.rank.counts import FieldCounts, TableCounts

__all__ = ["MutualInformation"]

_UNITS = {"effect": "nats", "z": "sd", "ami": "share", "held_out_gain": "nats"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualInformation(CountRanker):
    """Mutual information of field and label on the training rows, against the same field with shuffled labels.

    Columns of the ranking: `mi`, `expected_mi` (its mean under shuffled labels), `mi_minus_expected` (the effect; all
    in nats), `ami`, `z`, `p`, `q` (Benjamini-Hochberg over the fields), `held_out_gain` (nats a validation row that
    the field's smoothed rates save; null without validation rows), `values` (with a code of their own and training
    rows), `missing_share` (of training rows). A constant field, or one with a value of its own in every row, scores 0.

    Attributes:
        by: What the score is. "effect": `mi_minus_expected` where `q` is at most `alpha`, 0 where chance may explain the
            field; those stand in the order of `z`. It tells signal from noise as well as "z" does
            (benchmarks/rank_detection.py), and puts strong fields of many values before weak ones of few. "z", "ami"
            and "held_out_gain" are these columns.
        alpha: Share of false discoveries that the effect may contain.
        prior: Rows at the base rate that smooth a value's rate for the held-out gain.
    """

    by: Literal["effect", "z", "ami", "held_out_gain"] = "effect"
    alpha: float = 0.05
    prior: float = 20.0

    def __post_init__(self) -> None:
        if self.by not in _UNITS:
            raise ConfigError(f"mutual_information.by: must be one of {', '.join(_UNITS)}, got {self.by!r}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"mutual_information.alpha: must be between 0 and 1, got {self.alpha}")
        if self.prior <= 0:
            raise ConfigError(f"mutual_information.prior: must be above 0 rows, got {self.prior}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of `z`, then of their names."""
        import polars as pl

        found = [self._row(c) for c in counts.fields.values()]
        if self.by == "held_out_gain" and any(row["held_out_gain"] is None for row in found):
            raise DataError("mutual_information.by: the held-out gain needs validation rows, and there are none")
        q = benjamini_hochberg(np.array([row["p"] for row in found]))
        z = np.array([row["z"] for row in found], dtype=np.float64)
        if self.by == "effect":
            excess = np.array([row["mi_minus_expected"] for row in found], dtype=np.float64)
            score = np.where(q <= self.alpha, np.maximum(excess, 0.0), 0.0)
        else:
            score = np.array([row[self.by] for row in found], dtype=np.float64)
        names = list(counts.fields)
        order = np.lexsort((np.array(names, dtype=str), -z, -score))
        schema = {
            "field": pl.String,
            "score": pl.Float64,
            "rank": pl.Int64,
            "mi": pl.Float64,
            "expected_mi": pl.Float64,
            "mi_minus_expected": pl.Float64,
            "ami": pl.Float64,
            "z": pl.Float64,
            "p": pl.Float64,
            "q": pl.Float64,
            "held_out_gain": pl.Float64,
            "values": pl.Int64,
            "missing_share": pl.Float64,
        }
        rows = [
            {"field": names[i], "score": score[i], "rank": place + 1, "q": q[i], **found[i]}
            for place, i in enumerate(order.tolist())
        ]
        return Ranking(
            method="mutual_information",
            params=describe(self),
            unit=_UNITS[self.by],
            null="exact mean and variance under shuffled labels",
            frame=pl.DataFrame(rows, schema=schema),
            refused=counts.refused,
            notes=counts.notes,
            table=counts.table,
        )

    def _row(self, counts: FieldCounts) -> dict[str, float | None]:
        train, valid = counts.train, counts.valid
        test = information_test(train.positives, train.totals)
        gain = None
        if valid is not None:
            # Values without validation rows matter through the base rate only: one stands for them all.
            held = valid.totals > 0
            known = [np.append(c[held], c[~held].sum()) for c in (train.positives, train.totals)]
            asked = [np.append(c[held], 0) for c in (valid.positives, valid.totals)]
            gain = held_out_gain(*known, *asked, prior=self.prior)
        return {
            "mi": test.value,
            "expected_mi": test.expected,
            "mi_minus_expected": test.excess,
            "ami": test.adjusted,
            "z": test.z,
            "p": test.p_value,
            "held_out_gain": gain,
            "values": int(np.count_nonzero(train.totals[RESERVED:])),
            "missing_share": float(train.totals[MISSING]) / max(train.rows, 1),
        }
