"""MutualInformation: what each field alone tells about the label, beyond what its number of values explains.

References: Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", 2010 (the mean under
shuffled labels, the adjusted value); Benjamini and Hochberg, "Controlling the false discovery rate", 1995 (q); Roulston,
"Estimating the errors on measured entropy and mutual information", 1999 (the interval). The drawn nulls: `_nulls.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import NullName, check_null, choose_null
from ctrsel.rank._single import gain_of, shape_of
from ctrsel.records.ranking import Ranking
from ctrsel.stats.information_test import drawn_information_test, information_test
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.stats.permutation import expected_mutual_information

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctrsel.rank.counts import FieldCounts, TableCounts

__all__ = ["MutualInformation"]

_BALANCED = -6.0  # z below which a field's rates are too much alike for chance

_UNITS = {"effect": "nats", "z": "sd", "ami": "share", "held_out_gain": "nats"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualInformation(CountRanker):
    """Mutual information of field and label on the training rows, against the same field with labels that mean nothing.

    Columns of the ranking: `mi`, `expected_mi` (its mean under the null), `mi_minus_expected` (the effect), `low` and
    `high` (a 95 % interval of the effect; all in nats), `ami`, `z`, `p`, `q` (Benjamini-Hochberg over the fields),
    `held_out_gain` (nats a validation row that the field's smoothed rates save; null without validation rows), `values`
    (with a code of their own and training rows), `missing_share` (of training rows). A constant field, or one with a
    value of its own in every row, scores 0.

    Rows with weights count by their weight, in the information as in the held-out gain.

    Attributes:
        by: What the score is. "effect": `mi_minus_expected` where `q` is at most `alpha`, 0 where chance may explain the
            field; those stand in the order of what they save on validation rows (of `z` without such rows). It tells
            signal from noise as well as "z" does (benchmarks/rank_detection.py), and puts strong fields of many values
            before weak ones of few. "z", "ami" and "held_out_gain" are these columns.
        alpha: Share of false discoveries that the effect may contain.
        prior: Rows at the base rate that smooth a value's rate for the held-out gain.
        null: What becomes of the labels. "exact": shuffled over the rows, mean and variance worked out. "shuffled": the
            same by draws. "shift": moved in a circle along time, for rows that resemble their neighbours in time.
            "group": exchanged between groups, for rows that resemble others of their group. "auto": "exact", or
            "shuffled" where rows have weights.
        draws: Number of draws, where the null is drawn.
        min_shift: Least shift, as a share of the rows; it should span what one row still knows of another.
    """

    weighted: ClassVar[bool] = True  # sums of weights in place of rows; the null moves labels between weighted rows

    by: Literal["effect", "z", "ami", "held_out_gain"] = "effect"
    alpha: float = 0.05
    prior: float = 20.0
    null: NullName = "auto"
    draws: int = 199
    min_shift: float = 0.05

    def __post_init__(self) -> None:
        if self.by not in _UNITS:
            raise ConfigError(f"mutual_information.by: must be one of {', '.join(_UNITS)}, got {self.by!r}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"mutual_information.alpha: must be between 0 and 1, got {self.alpha}")
        if self.prior <= 0:
            raise ConfigError(f"mutual_information.prior: must be above 0 rows, got {self.prior}")
        check_null("mutual_information", self.null, self.draws, self.min_shift)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of `z`, then of their names.

        Raises:
            ConfigError: The exact null for rows with weights.
            DataError: The rows or the column that the null needs are not here, or no validation rows are but asked for.
        """
        import polars as pl

        null = choose_null(
            counts, null=self.null, draws=self.draws, min_shift=self.min_shift, ranker="mutual_information"
        )
        drawn = (
            {} if null.name == "exact" else null.values(counts, statistic="information", ranker="mutual_information")
        )
        found = [self._row(c, drawn.get(name)) for name, c in counts.fields.items()]
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
        order = np.lexsort((np.array(names, dtype=str), -z, -self._tie_order(found, score), -score))
        numbers = ("mi", "expected_mi", "mi_minus_expected", "low", "high", "ami", "z", "p", "q", "held_out_gain")
        schema = {
            "field": pl.String,
            "score": pl.Float64,
            "rank": pl.Int64,
            **dict.fromkeys(numbers, pl.Float64),
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
            null=null.text,
            frame=pl.DataFrame(rows, schema=schema),
            refused=counts.refused,
            notes=null.notes + _balanced(names, z),
            table=counts.table,
        )

    def _tie_order(
        self, found: Sequence[Mapping[str, float | None]], score: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Order of the fields that score 0: by what they save on validation rows, those that can tell nothing last.

        Among fields that chance may explain, `z` would put a noise id of a million values before one of two values as often
        as behind it; their rates on other rows tell them apart.
        """
        if self.by != "effect":
            return np.zeros(len(found))
        gain = np.array([row["held_out_gain"] or 0.0 for row in found])
        still = np.array([row["z"] == 0 and row["mi"] == row["expected_mi"] for row in found], dtype=bool)
        return np.where(score > 0, 0.0, np.where(still, -np.inf, gain))

    def _row(self, counts: FieldCounts, drawn: npt.NDArray[np.float64] | None) -> dict[str, float | None]:
        train = counts.train
        if drawn is None:
            test = information_test(*train.distinct())
        else:
            sums = train if counts.weighted_train is None else counts.weighted_train
            test = drawn_information_test(
                sums.positives,
                sums.totals,
                drawn,
                rows=train.rows,
                expected_if_independent=expected_mutual_information(int(train.positives.sum()), train.totals),
            )
        return {
            "mi": test.value,
            "expected_mi": test.expected,
            "mi_minus_expected": test.excess,
            "low": test.low,
            "high": test.high,
            "ami": test.adjusted,
            "z": test.z,
            "p": test.p_value,
            "held_out_gain": gain_of(counts, prior=self.prior),
            **shape_of(counts),
        }


def _balanced(names: Sequence[str], z: npt.NDArray[np.float64]) -> tuple[str, ...]:
    """Note fields whose rates are more alike than chance allows: their rows were drawn so, and they may matter in pairs."""
    told = [f"{name} (z {value:.0f})" for name, value in zip(names, z, strict=True) if value < _BALANCED]
    if not told:
        return ()
    return (
        f"the label's rate is more even over the values than shuffled labels make it: {', '.join(told)}; where negative rows "
        "were drawn per value, such a field tells nothing alone and may tell much beside another one (see `interactions`)",
    )
