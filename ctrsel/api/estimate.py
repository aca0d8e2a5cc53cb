"""Estimate: rows, values, bytes, memory and time of a run before it starts, from a sample and documented constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ctrsel.api.costs import NetShape
from ctrsel.api.plan import plan
from ctrsel.api.stage_estimates import StageEstimate, stage_estimates
from ctrsel.api.stages import stored_table
from ctrsel.api.table_size import SampledEncoder, sampled_size, stored_size
from ctrsel.api.training_cost import TrainingCost
from ctrsel.core.config import RunConfig
from ctrsel.models.cost import backbone_cost
from ctrsel.models.layout import Layout
from ctrsel.train import Learner

__all__ = ["Estimate", "NetEstimate", "estimate"]

_MARGIN = 0.8  # of the free memory: beyond it a run may be ended by the system


@dataclass(frozen=True, slots=True, kw_only=True)
class NetEstimate:
    """A learner's nets on all values, one or more, in bytes: embeddings, other weights, what one optimiser holds.

    `multiply_adds` are those of their matrix products for one row, forward.
    """

    learner: str
    embedding_rows: int
    embedding_bytes: int
    network_bytes: int
    optimiser_bytes: int
    multiply_adds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would take.

    Attributes:
        rows: By split.
        exact_rows: Whether the rows were counted.
        sampled_rows: Training rows that were looked at.
        fields: How many.
        values: Distinct values with a code of their own in the training rows.
        exact_values: Whether the sample held all rows.
        raw_bytes: The raw rows in memory.
        table_bytes: The table in memory and on disk.
        nets: One entry per net.
        stages: In order.
        free_memory: Bytes that the machine has free now.
        warnings: Sentences.
    """

    rows: Mapping[str, int]
    exact_rows: bool
    sampled_rows: int
    fields: int
    values: int
    exact_values: bool
    raw_bytes: int
    table_bytes: int
    nets: tuple[NetEstimate, ...]
    stages: tuple[StageEstimate, ...]
    free_memory: int
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of the whole run, nothing reused."""
        return sum(s.seconds for s in self.stages)

    @property
    def memory(self) -> int:
        """Peak over the stages, bytes."""
        return max(s.memory for s in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "seconds": self.seconds, "memory": self.memory}


def estimate(config: RunConfig) -> Estimate:
    """Estimate a run; at most 100,000 rows per file are read and nothing is written.

    Raises:
        ConfigError, DataError: As the run itself would, for what can be seen without all rows.
    """
    import psutil

    made = plan(config)
    size, seen = stored_size(stored_table(config)) if config.data.store is not None else sampled_size(config)

    def shape(learner: Learner) -> NetShape | None:
        return _net(learner, size.encoder, rows=size.rows["train"])

    costs = {name: TrainingCost.of(learner, shape) for name, learner in made.learners.items()}
    stages = tuple(stage_estimates(made, size, costs))
    free = int(psutil.virtual_memory().available)
    warnings = []
    if not seen.told:
        warnings.append(
            f"how many rows the source has is not known before all are read: the figures are for its first {seen.rows:,}"
        )
    if config.crosses is not None:
        warnings.append("crosses are chosen in the run: their values and columns are not in these figures")
    warnings += [f"how long {n} takes is not known; it is left out of the times" for n, c in costs.items() if c.unknown]
    peak = max(stages, key=lambda s: s.memory)
    if peak.memory > _MARGIN * free:
        warnings.append(
            f"{peak.name} needs about {peak.memory / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; raise "
            "ingest.min_count, lower learners.*.width or data.rows, or take a larger machine"
        )
    return Estimate(
        rows=dict(size.rows),
        exact_rows=seen.exact_rows,
        sampled_rows=seen.rows,
        fields=len(size.encoder.sample.fields),
        values=size.encoder.values,
        exact_values=seen.exact_values,
        raw_bytes=size.raw,
        table_bytes=size.table,
        nets=tuple(
            NetEstimate(
                learner=name,
                embedding_rows=cost.embedding_rows,
                embedding_bytes=cost.embedding_bytes,
                network_bytes=cost.network_bytes,
                optimiser_bytes=cost.optimiser_bytes,
                multiply_adds=cost.multiply_adds,
            )
            for name, cost in costs.items()
            if cost.nets
        ),
        stages=stages,
        free_memory=free,
        warnings=tuple(warnings),
    )


def _net(learner: Learner, encoder: SampledEncoder, *, rows: int) -> NetShape | None:
    """Return what training costs, None for a learner without a backbone."""
    backbone = getattr(learner, "backbone", None)
    if backbone is None:
        return None
    settings: Any = learner
    layout = Layout.of(encoder.sample, history="history" in backbone.lookups)
    width = backbone.row_width(settings.width, labels=1)
    return NetShape(
        slots=len(layout.slots),
        width=width,
        rows=encoder.total,
        backbone=backbone_cost(backbone, layout.shape(width=width, labels=1)),
        batch=settings.rows_per_step(rows),
        threads=settings.threads,
    )
