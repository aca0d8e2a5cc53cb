"""Fields by the gates of a net: search with a gate on fields, and keep those that it wants most.

References: those of the gates: Wang et al., "AutoField", 2022; Guo et al., "LPFS", 2022; Lin et al., "AdaFS", 2022; Lee et
al., "MvFS", 2023; Yasuda et al., "Sequential attention for feature selection", 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.models.gates import CATALOG as GATES
from ctrsel.models.gates import Gate
from ctrsel.models.gates.autofield import AutoField
from ctrsel.select._contract import Found, Selector
from ctrsel.select.problem import Problem
from ctrsel.select.scored import ScoredFields
from ctrsel.select.size import Size, Unit

__all__ = ["GatedFields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedFields(Selector):
    """Train the net with a gate per field; what is kept is retrained from new weights.

    Attributes:
        gate: The gate method, one on fields.
    """

    units: ClassVar[tuple[Unit, ...]] = ("values", "fields")
    refuses: ClassVar[str] = "its gate closed in the search"
    gate: Gate = field(default_factory=AutoField, metadata={"catalog": GATES})

    def __post_init__(self) -> None:
        if self.gate.site != "field":
            known = [name for name in GATES.names() if GATES.load(name).site == "field"]
            raise ConfigError(
                f"gated_fields.gate: must be a gate on fields, one of {', '.join(known)}; got {describe(self.gate)['use']!r}"
            )

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Search once; gates that pick fields one by one stop at the largest number asked for."""
        gate = self.gate
        asked = [size.number if size.of == "fields" else len(problem.table.schema.names) for size in sizes]
        if asked and not problem.groups and 0 < max(asked) < len(problem.table.schema.names):
            # A group that is too large is passed over, so with groups any field may be asked for.
            gate = gate.reaching(max(asked))
        fit = problem.learner.fit(problem.table, gate=gate, work=problem.work, seed=seed)
        if fit.kept_fields is None or fit.field_scores is None:
            raise ConfigError(
                "select.learner: a selection by gates needs a learner with gates, such as net; got "
                f"{describe(problem.learner)['use']!r}"
            )
        return ScoredFields(
            problem=problem,
            method="gated_fields",
            params=describe(self),
            scores=fit.field_scores,
            wanted=fit.kept_fields if gate.decides else None,
            history=fit.history,
            seconds=fit.seconds,
        )
