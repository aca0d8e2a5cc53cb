"""DistanceCorrelation: dependence of field and label by distances between rows, where values are equal or not.

Reference: Szekely, Rizzo and Bakirov, "Measuring and testing dependence by correlation of distances", 2007; Szekely and
Rizzo, "Partial distance correlation with methods for dissimilarities", 2014, equation 2.4 (bias-corrected).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import ranked, untold, varying
from ctrsel.stats.distance_correlation import distance_test
from ctrsel.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["DistanceCorrelation"]

_ALIKE = "all rows but one are equally far from each other in the field or the label, or there are fewer than 4 rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceCorrelation(CountRanker):
    """Bias-corrected squared distance correlation with distances of 0 and 1, over all training rows, from counts.

    Two rows are 1 apart in a field if their values differ. The sums over pairs of rows then are sums over values, so
    nothing is sampled. Columns: `dcor` (plug-in, in [0, 1]; it rises with the number of values), `z`, `p` and `q`. The
    score orders fields as `z` does: under shuffled labels its variance is 2 / (n (n - 3)) for every field.
    """

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        names, refused = varying(counts)
        refused.update(untold(counts, names))
        tests = {}
        for name in names:
            train = counts.fields[name].train
            test = distance_test(train.positives, train.totals)
            if test is not None:
                tests[name] = test
            else:
                refused.setdefault(name, _ALIKE)
        q = benjamini_hochberg(np.array([t.p_value for t in tests.values()]))
        return ranked(
            self,
            counts,
            {name: t.corrected for name, t in tests.items()},
            unit="squared correlation",
            null="exact mean and variance under shuffled labels",
            refused=refused,
            columns={
                "dcor": {name: t.value for name, t in tests.items()},
                "z": {name: t.z for name, t in tests.items()},
                "p": {name: t.p_value for name, t in tests.items()},
                "q": dict(zip(tests, q.tolist(), strict=True)),
            },
        )
