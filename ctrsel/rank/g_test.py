"""GTest: the likelihood ratio of field and label, ordered by how unlikely it is by chance.

References: Wilks, "The large-sample distribution of the likelihood ratio", 1938; Cochran, "Some methods for strengthening
the common chi-square tests", 1954 (expected counts of five); Benjamini and Hochberg, "Controlling the false discovery rate",
1995 (q).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import choose_null
from ctrsel.rank._single import field_frame, shape_of
from ctrsel.records.ranking import Ranking
from ctrsel.stats.chi_square import g_test
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["GTest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GTest(CountRanker):
    """`G = 2 N MI` on the training rows; the score is -log10 of its p-value, computed also where that is below 1e-308.

    Chi-square is the null only where every cell expects at least five rows. Columns of the ranking: `g`, `expected` (its
    mean under the null), `z`, `p`, `q` (Benjamini-Hochberg), `test` ("chi2", "pooled chi2", "exact" for two values, or
    "shuffled": the gamma tail with the exact moments under shuffled labels), `freedom` (of the chi-square; else null),
    `values`, `missing_share`.

    Attributes:
        rare: What becomes of fields with values of less than 5 / min(p, 1 - p) rows. "exact" compares them with shuffled
            labels; "pool" takes the rare values together as one and compares with chi-square.
    """

    rare: Literal["exact", "pool"] = "exact"

    def __post_init__(self) -> None:
        if self.rare not in ("exact", "pool"):
            raise ConfigError(f"g_test.rare: must be exact or pool, got {self.rare!r}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names. A constant field, or one of unique values, scores 0."""
        null = choose_null(counts, null="exact", draws=0, min_shift=0.0, ranker="g_test")
        tests = {n: g_test(c.train.positives, c.train.totals, rare=self.rare) for n, c in counts.fields.items()}
        q = dict(zip(tests, benjamini_hochberg(np.array([t.p_value for t in tests.values()])).tolist(), strict=True))
        rows = {
            name: {
                "score": abs(test.log_p) / log(10),
                "g": test.value,
                "expected": test.expected,
                "z": test.z,
                "p": test.p_value,
                "q": q[name],
                "test": test.how,
                "freedom": None if test.freedom is None else float(test.freedom),
                **shape_of(counts.fields[name]),
            }
            for name, test in tests.items()
        }
        rest = "the exact moments under shuffled labels" if self.rare == "exact" else "rare values pooled"
        columns = ("g", "expected", "z", "p", "q", "test", "freedom", "values", "missing_share")
        return Ranking(
            method="g_test",
            params=describe(self),
            unit="-log10 p",
            null=f"chi-square where every cell expects five rows, elsewhere {rest} (column `test`)",
            frame=field_frame(rows, score="score", columns=columns, texts=("test",)),
            refused=counts.refused,
            notes=null.notes,
            table=counts.table,
        )
