"""InformationValue: the divergence between a field's values among positive and among negative rows, less what chance makes.

References: Kullback and Leibler, "On information and sufficiency", 1951 (equation 2.6); Good, "Probability and the Weighing
of Evidence", 1950 (weight of evidence); Benjamini and Hochberg, "Controlling the false discovery rate", 1995 (q). The
nulls: `_nulls.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import NullName, check_null, choose_null
from ctrsel.rank._single import field_frame, shape_of
from ctrsel.records.ranking import Ranking
from ctrsel.stats.information_value import information_value_test, weight_of_evidence
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctrsel.rank.counts import FieldCounts, TableCounts

__all__ = ["InformationValue"]

_UNITS = {"effect": "nats", "z": "sd", "iv": "nats"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationValue(CountRanker):
    """Information value `IV = sum (u - d) ln(u / d)` over the values' shares u of positive and d of negative training rows.

    `ln(u / d)` is a value's weight of evidence. Columns of the ranking: `iv`, `expected_iv` (its mean under the null),
    `iv_minus_expected` (all in nats), `z`, `p`, `q` (Benjamini-Hochberg), `lowest_woe` and `highest_woe` (weights of
    evidence, nats), `values`, `missing_share`. Rows with weights count by their weight.

    Attributes:
        by: What the score is: "effect" (`iv_minus_expected`), "z", or the plain "iv", which rises with the number of
            values.
        smoothing: Rows (of average weight) at the base rate that every value gets, so that no share is 0.
        null: What becomes of the labels: as for `mutual_information`.
        draws: Number of draws, where the null is drawn.
        min_shift: Least shift, as a share of the rows.
    """

    weighted: ClassVar[bool] = True  # shares by weight; the null moves labels between weighted rows

    by: Literal["effect", "z", "iv"] = "effect"
    smoothing: float = 1.0
    null: NullName = "auto"
    draws: int = 199
    min_shift: float = 0.05

    def __post_init__(self) -> None:
        if self.by not in _UNITS:
            raise ConfigError(f"information_value.by: must be one of {', '.join(_UNITS)}, got {self.by!r}")
        if self.smoothing <= 0:
            raise ConfigError(f"information_value.smoothing: must be above 0 rows, got {self.smoothing}")
        check_null("information_value", self.null, self.draws, self.min_shift)

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names. A constant field, or one of unique values, scores 0.

        Raises:
            ConfigError: The exact null for rows with weights.
            DataError: The rows or the column that the null needs are not here.
        """
        null = choose_null(
            counts, null=self.null, draws=self.draws, min_shift=self.min_shift, ranker="information_value"
        )
        drawn: dict[str, npt.NDArray[np.float64]] = {}
        if null.name != "exact":
            drawn = null.values(
                counts, statistic="information_value", smoothing=self.smoothing, ranker="information_value"
            )
        rows = {name: self._row(field, drawn.get(name)) for name, field in counts.fields.items()}
        q = benjamini_hochberg(np.array([row["p"] for row in rows.values()])).tolist()
        columns = ("iv", "expected_iv", "iv_minus_expected", "z", "p", "q", "lowest_woe", "highest_woe")
        score = "iv_minus_expected" if self.by == "effect" else self.by
        return Ranking(
            method="information_value",
            params=describe(self),
            unit=_UNITS[self.by],
            null=None if self.by == "iv" else null.text,
            frame=field_frame(
                {name: {**row, "q": q[i]} for i, (name, row) in enumerate(rows.items())},
                score=score,
                columns=(*columns, "values", "missing_share"),
            ),
            refused=counts.refused,
            notes=null.notes,
            table=counts.table,
        )

    def _row(self, counts: FieldCounts, drawn: npt.NDArray[np.float64] | None) -> dict[str, Any]:
        train, smoothing = counts.train, self.smoothing
        yes: npt.NDArray[Any] = train.positives
        rows: npt.NDArray[Any] = train.totals
        if counts.weighted_train is not None:
            yes, rows = counts.weighted_train.positives, counts.weighted_train.totals
            smoothing *= float(rows.sum()) / max(train.rows, 1)
        test = information_value_test(yes, rows, smoothing=max(smoothing, 1e-300), drawn=drawn)
        woe = weight_of_evidence(yes, rows, smoothing=max(smoothing, 1e-300))
        return {
            "iv": test.value,
            "expected_iv": test.expected,
            "iv_minus_expected": test.excess,
            "z": test.z,
            "p": test.p_value,
            "lowest_woe": float(woe.min(initial=0.0)),
            "highest_woe": float(woe.max(initial=0.0)),
            **shape_of(counts),
        }
