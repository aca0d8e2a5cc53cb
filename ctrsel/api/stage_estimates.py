"""Stages of a run before it starts: seconds and memory of each, from the table's size and the costs of its trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ctrsel.api.costs import ASSUMED, COSTS, MEMORY, tree_rounds, tree_seconds
from ctrsel.api.plan import Plan, component_key
from ctrsel.api.table_size import TableSize
from ctrsel.api.training_cost import TrainingCost
from ctrsel.rank import CountRanker, ModelRanker
from ctrsel.rank.pair_cost import estimate as pair_cost
from ctrsel.select import CONTROLS

__all__ = ["StageEstimate", "stage_estimates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage: seconds, and the peak of its memory in bytes, libraries and table included."""

    name: str
    seconds: float
    memory: int


def stage_estimates(made: Plan, size: TableSize, costs: Mapping[str, TrainingCost]) -> list[StageEstimate]:
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
                seconds = searcher.epoch(train) * gate.epochs_on(train) * (1 + COSTS.gate_share)
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
