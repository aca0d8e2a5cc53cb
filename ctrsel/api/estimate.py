"""Estimate: rows, values, bytes, memory and time of a run before it starts, from a sample and documented constants.

Reference: Heaps, "Information retrieval: computational and theoretical aspects", 1978, for how the number of distinct
values grows with the rows (a power law, whose exponent is read off the sample and its first quarter).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from ctrsel.api.costs import ASSUMED, COSTS, MEMORY, NetShape, tree_rounds, tree_seconds
from ctrsel.api.plan import Plan, component_key, plan
from ctrsel.api.sample import Sample, is_untyped, sample_source
from ctrsel.api.stages import stored_table
from ctrsel.api.training_cost import TrainingCost
from ctrsel.core.config import DataConfig, RunConfig
from ctrsel.data.encoder import Encoder
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.infer import infer_schema
from ctrsel.data.intake import source_files
from ctrsel.data.layouts import layout_schema
from ctrsel.data.table import Ragged, Table
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.models.cost import backbone_cost
from ctrsel.models.layout import Layout
from ctrsel.rank import CountRanker, ModelRanker
from ctrsel.rank.pair_cost import estimate as pair_cost
from ctrsel.records.feature_set import RESERVED
from ctrsel.records.schema import Schema
from ctrsel.select import CONTROLS
from ctrsel.train import Learner

__all__ = ["Estimate", "NetEstimate", "StageEstimate", "estimate"]

_MARGIN = 0.8  # of the free memory: beyond it a run may be ended by the system


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage: seconds, and the peak of its memory in bytes, libraries and table included."""

    name: str
    seconds: float
    memory: int


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
    size, seen = _stored_size(stored_table(config)) if config.data.store is not None else _sampled_size(config)

    def shape(learner: Learner) -> NetShape | None:
        return _net(learner, size.encoder, rows=size.rows["train"])

    costs = {name: TrainingCost.of(learner, shape) for name, learner in made.learners.items()}
    stages = tuple(_stages(made, size, costs))
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
        values=size.encoder.total - RESERVED * len(size.encoder.sizes),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grown:
    """An encoder of the sample and how many codes each vocabulary will have over all training rows."""

    sample: Encoder
    sizes: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    rows: Mapping[str, int]
    columns: int
    encoder: _Grown
    raw: int
    table: int
    untyped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    rows: int
    exact_rows: bool
    exact_values: bool
    told: bool = True


def _sampled_size(config: RunConfig) -> tuple[_Size, _Seen]:
    """Estimate the table from the first rows of its sources."""
    samples = {name: _sample(config.data, name, pattern) for name, pattern in source_files(config.data).items()}
    rows = _rows(samples, config)
    sampled = samples["train"]
    encoder = _grown(sampled.frame, _schema(sampled, config), rows["train"])
    size = _Size(
        rows=rows,
        columns=sampled.frame.width,
        encoder=encoder,
        raw=sum(int(s.frame.estimated_size() * s.rows / max(s.frame.height, 1)) for s in samples.values()),
        table=_table_bytes(encoder, sum(rows.values()), sampled.frame),
        untyped=config.data.dataset is None and is_untyped(str(config.data.train), format=config.data.format),
    )
    return size, _Seen(
        rows=sampled.frame.height,
        exact_rows=all(s.exact for s in samples.values()),
        exact_values=sampled.whole and sampled.told and "valid" in samples and "test" in samples,
        told=all(s.told for s in samples.values()),
    )


def _stored_size(table: Table) -> tuple[_Size, _Seen]:
    """Measure a table that is stored already."""
    arrays = [a for c in table.columns.values() for a in ((c.offsets, c.codes) if isinstance(c, Ragged) else (c,))]
    size = _Size(
        rows={k: stop - start for k, (start, stop) in table.splits.items()},
        columns=len(table.columns),
        encoder=_Grown(sample=table.encoder, sizes={k: v.size for k, v in table.encoder.vocabularies.items()}),
        raw=0,
        table=int(sum(a.nbytes for a in arrays)) + 12 * table.n_rows,
        untyped=False,
    )
    return size, _Seen(rows=table.n_rows, exact_rows=True, exact_values=True)


def _sample(data: DataConfig, name: str, pattern: str) -> Sample:
    limit = 100_000 if name == "train" else 10_000
    kind = "parquet" if data.dataset is not None else data.format
    return sample_source(
        pattern, format=kind, cap=data.rows, limit=limit, encoding=data.encoding, connection=data.connection
    )


def _rows(samples: Mapping[str, Sample], config: RunConfig) -> dict[str, int]:
    given = {name: s.rows for name, s in samples.items()}
    shares = {"valid": config.split.valid, "test": config.split.test}
    carved = {k: round(given["train"] * v) for k, v in shares.items() if k not in given}
    rows = {**given, **carved, "train": given["train"] - sum(carved.values())}
    return {k: rows[k] for k in ("train", "valid", "test")}


def _schema(sample: Sample, config: RunConfig) -> Schema:
    frame = sample.frame
    given = layout_schema(config.data.format, frame.columns, config.schema) or config.schema
    label = given.label.name
    if label in frame.columns and not sample.whole and frame[label].n_unique() < 2:
        # Rows sorted by label: the first ones cannot show both values, which is no fault of the data.
        frame = frame.with_columns((pl.int_range(pl.len()) % 2).alias(label))
        given = replace(given, label=replace(given.label, positive=None))
    untyped = config.data.dataset is None and is_untyped(str(config.data.train), format=config.data.format)
    return infer_schema(frame, given, config.ingest, untyped=untyped)


def _grown(frame: pl.DataFrame, schema: Schema, train_rows: int) -> _Grown:
    whole = fit_encoder(frame, schema)
    quarter = fit_encoder(frame.head(max(frame.height // 4, 1)), schema)
    sizes = {}
    for name, vocabulary in whole.vocabularies.items():
        n, before = vocabulary.size - RESERVED, quarter.vocabularies[name].size - RESERVED
        exponent = min(math.log(n / before, 4), 1.0) if n > before > 0 else 0.0
        grown = n * (train_rows / max(frame.height, 1)) ** exponent
        sizes[name] = RESERVED + min(round(grown), max(train_rows, n))
    return _Grown(sample=whole, sizes=sizes)


def _table_bytes(encoder: _Grown, rows: int, frame: pl.DataFrame) -> int:
    total = rows * 12  # a float32 label and the row's number
    for field in encoder.sample.fields:
        if field.is_float:
            total += 4 * rows
            continue
        code = np.dtype(smallest_uint(encoder.sizes[field.vocabulary])).itemsize
        length = 1.0
        if field.is_list:
            codes = encoder.sample.column(field, frame)
            length = codes.offsets[-1] / max(frame.height, 1) if hasattr(codes, "offsets") else 1.0
            total += 8 * rows
        total += int(code * length * rows)
    return total


def _net(learner: Learner, encoder: _Grown, *, rows: int) -> NetShape | None:
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


def _stages(made: Plan, size: _Size, costs: Mapping[str, TrainingCost]) -> list[StageEstimate]:
    """List the stages of a run in order."""
    config, train = made.config, size.rows["train"]
    fields, total = len(size.encoder.sample.fields), sum(size.rows.values())
    resident = MEMORY.base + size.table
    found: list[StageEstimate] = []

    def add(name: str, seconds: float, memory: float = 0) -> None:
        found.append(StageEstimate(name=name, seconds=seconds, memory=int(resident + memory)))

    if config.data.store is None:
        cell = COSTS.ingest_cell + (COSTS.text_cell if size.untyped else 0)
        add("ingest", COSTS.start + cell * total * size.columns, MEMORY.raw * size.raw)
    add("audit", COSTS.audit_cell * total * fields, size.table)

    crosses = config.crosses
    if crosses is not None:
        if made.cross_ranker is not None:
            pairs = pair_cost(rows=train, sizes=list(size.encoder.sizes.values()))
            add(f"rank/{component_key(made.cross_ranker)}", pairs.seconds, pairs.bytes)
        add("cross", COSTS.count_cell * total * (len(crosses.use) + crosses.top))

    valid = size.rows["valid"]
    matrix = train * fields * 4
    bins = MEMORY.tree_bin * train * fields
    for name in sorted(costs, key=lambda n: bool(costs[n].nets)):  # trees first, since a ranker may explain them
        cost = costs[name]
        add(f"train/{name}", cost.seconds(train=train, valid=valid), cost.memory(matrix=matrix, bins=bins))
    plain = crosses is not None and crosses.compare
    if plain:
        again = next(s for s in found if s.name == f"train/{config.select.learner}")
        found.append(replace(again, name=f"{again.name}, without crosses"))
    grown = [learner for learner in made.learners.values() if component_key(learner) == "boosted"]
    for ranker in made.rankers:
        own: Any = getattr(ranker, "learner", None)
        seconds = 0.0 if grown or own is None else tree_seconds(own, train + valid)
        if isinstance(ranker, ModelRanker):
            rounds = tree_rounds(grown[0] if grown else own)
            sample = getattr(ranker, "rows", 2000)
            seconds += COSTS.tree_explained * sample * fields * rounds
            seconds += ranker.fits * tree_seconds(own, min(sample, train)) if ranker.fits else 0.0
        else:
            seconds += COSTS.count_cell * train * fields
            if isinstance(ranker, CountRanker) and ranker.needs == "rows":  # at most every pair of fields
                seconds += pair_cost(rows=train, sizes=list(size.encoder.sizes.values())).seconds
        add(f"rank/{component_key(ranker)}", seconds, bins if isinstance(ranker, ModelRanker) else 0)

    chosen = costs[config.select.learner]
    memory = chosen.memory(matrix=matrix, bins=bins)
    whole = chosen.seconds(train=train, valid=valid)
    retrained = chosen.seconds(train=train, valid=valid, epochs=ASSUMED.retrain_epochs, kept=made.size.most)
    for selector in (*made.selectors, *CONTROLS):
        gate = getattr(selector, "gate", None)
        if gate is not None:
            for searcher, _ in chosen.nets[:1]:
                # Gates are one more column of the table, and of the optimiser's state.
                seconds = searcher.epoch(train) * gate.epochs * (1 + COSTS.gate_share)
                add(f"select/{component_key(selector)}", seconds, searcher.memory * 1.1 + matrix)
        elif fits := selector.fits(fields=fields, rows=train):
            add(f"select/{component_key(selector)}", whole * fits, memory)
        add(f"retrain/{component_key(selector)}", retrained, memory)

    test = size.rows["test"]
    scored = [*costs, *[config.select.learner] * (plain + len(made.selectors) + len(CONTROLS))]
    add("evaluate", sum(costs[n].test_row for n in scored) * test + COSTS.latency * len(scored))
    rounds = sum(tree_rounds(learner) for learner in grown)
    if made.learner not in grown:  # whose chosen form is explained as well
        rounds += chosen.rounds
    seconds = COSTS.tree_explained * config.explain.max_rows * fields * rounds
    states = config.explain.net_rows * config.explain.background * 2 * fields
    seconds += COSTS.states * states * chosen.state
    add("explain", seconds)
    add("report", COSTS.report)
    if config.register.enabled:
        add("register", COSTS.register, 150 << 20)
    return found
