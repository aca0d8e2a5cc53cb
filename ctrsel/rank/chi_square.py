"""ChiSquare: Pearson's chi-square of field and label, against its exact mean and variance under shuffled labels.

References: Pearson, "On the criterion that a given system of deviations ...", 1900 (the statistic); Haldane, "The mean and
variance of chi-square, when used as a test of homogeneity, when expectations are small", 1940 (the moments); Benjamini and
Hochberg, "Controlling the false discovery rate", 1995 (q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import choose_null
from ctrsel.rank._single import field_frame, shape_of
from ctrsel.records.ranking import Ranking
from ctrsel.stats.chi_square import chi_square_test
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["ChiSquare"]

_UNITS = {"z": "sd", "chi_square": "chi-square"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquare(CountRanker):
    """Pearson's chi-square on the training rows; its null needs no expected count of five, as nothing is approximated.

    Columns of the ranking: `chi_square`, `expected` (its exact mean under shuffled labels, `N (K - 1) / (N - 1)`), `z`,
    `p` (exact for two values, else the gamma tail with the exact mean and variance), `q` (Benjamini-Hochberg), `values`,
    `missing_share`.

    Attributes:
        by: What the score is: "z", or the plain "chi_square", which rises with the number of values.
    """

    by: Literal["z", "chi_square"] = "z"

    def __post_init__(self) -> None:
        if self.by not in _UNITS:
            raise ConfigError(f"chi_square.by: must be one of {', '.join(_UNITS)}, got {self.by!r}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names. A constant field, or one of unique values, has z 0."""
        null = choose_null(counts, null="exact", draws=0, min_shift=0.0, ranker="chi_square")
        tests = {n: chi_square_test(c.train.positives, c.train.totals) for n, c in counts.fields.items()}
        q = dict(zip(tests, benjamini_hochberg(np.array([t.p_value for t in tests.values()])).tolist(), strict=True))
        rows = {
            name: {
                "chi_square": test.value,
                "expected": test.expected,
                "z": test.z,
                "p": test.p_value,
                "q": q[name],
                **shape_of(counts.fields[name]),
            }
            for name, test in tests.items()
        }
        columns = ("chi_square", "expected", "z", "p", "q", "values", "missing_share")
        return Ranking(
            method="chi_square",
            params=describe(self),
            unit=_UNITS[self.by],
            null=null.text if self.by == "z" else None,
            frame=field_frame(rows, score=self.by, columns=columns),
            refused=counts.refused,
            notes=null.notes,
            table=counts.table,
        )
