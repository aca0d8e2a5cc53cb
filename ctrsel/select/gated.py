"""The gated recipe: search with gates, harden, rewind; the protocol then retrains on the smaller table.

Reference: Lyu et al., 2023, "Optimizing Feature Set for Click-Through Rate Prediction" (OptFS), for the recipe;
any value gate can stand in for its gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.models.gates import CATALOG as GATES
from ctrsel.models.gates import Gate
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredValues
from ctrsel.select.size import Size

__all__ = ["Gated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated(Selector):
    """Train the net with a gate per value, keep the values whose gate stays open.

    DEVIATION(OptFS): if more gates stay open than the size allows, the open ones of the most frequent values are kept: most
    gates' parameters say open or closed, and among open gates their order says little, since all of them saturate. A gate whose
    scores are `ordered` is cut by them.

    Attributes:
        gate: The gate method.
        fill: Whether a size that is larger than what stays open takes the best closed values as well; of gates that are
            `ordered` only, the others take no closed value.
    """

    refuses: ClassVar[str] = "its gate closed in the search"

    fill: bool = True
    gate: Gate = field(default_factory=CalibratedOptFS, metadata={"catalog": GATES})

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Search on the training split; a size keeps open gates."""
        fit = problem.learner.fit(problem.table, gate=self.gate, work=problem.work, seed=seed)
        kept, scores, rewound, history, seconds = fit.kept, fit.scores, fit.rewound, fit.history, fit.seconds
        if kept is None or scores is None:
            raise ConfigError(
                f"select.learner: a gated selection needs a learner with gates, such as net; got {describe(problem.learner)['use']!r}"
            )
        del fit  # its tables go before those that a retraining starts from are made again: never two of them at once
        counts = {n: v.counts.astype(np.float64) for n, v in problem.table.encoder.vocabularies.items()}
        return ScoredValues(
            problem=problem,
            method="gated",
            params=describe(self),
            scores=scores if self.gate.ordered else counts,
            wanted=None if self.fill and self.gate.ordered else kept,
            shown=scores,  # the evidence is the gates'
            snapshot=None if rewound is None else rewound.model(),
            history=history,
            seconds=seconds,
        )
