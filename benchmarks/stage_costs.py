"""Measure what the stages of a run cost per unit of work: the constants of `ctrsel/api/estimate.py`.

    python benchmarks/stage_costs.py [rows]

Times are CPU seconds on one thread, so that a busy machine changes them little; memory is the peak of the process.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from ctrsel.api.evaluate import evaluate
from ctrsel.api.plan import plan
from ctrsel.core.config import load_config
from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.explain import explain
from ctrsel.models.cost import backbone_cost
from ctrsel.models.layout import Layout
from ctrsel.rank import rank
from ctrsel.select import Problem
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner


def cpu(name: str, function: Callable, *, units: float, unit: str):
    """Run, print CPU seconds and seconds per unit, return the result."""
    began = time.process_time()
    result = function()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{name:24} {seconds:8.2f} s {seconds / units:10.3g} s per {unit}   peak {peak:,.0f} MiB", flush=True)
    return result


def main() -> None:
    """Measure every stage on the data of the demo."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else None
    config = load_config("configs/census_income.yaml", overrides={} if rows is None else {"data.rows": rows})
    made = plan(config)
    began = time.process_time()
    table = ingest(config.data, schema=config.schema, split=config.split, settings=config.ingest, seed=1)
    cells = table.n_rows * len(table.schema.fields)
    seconds = time.process_time() - began
    print(f"{'ingest':24} {seconds:8.2f} s {seconds / cells:10.3g} s per cell   ({table.n_rows} rows)")
    known = table.without("test")
    train = table.part("train").n_rows
    fields = len(table.schema.fields)
    cpu("audit", lambda: audit(table), units=cells, unit="cell")
    count, _ = made.rankers
    cpu("rank by counts", lambda: rank(known, (count,), seed=1), units=train * fields, unit="training cell")

    trees = replace(made.learners["boosted"], threads=1)
    assert isinstance(trees, BoostedLearner)
    fit = cpu("train trees", lambda: trees.fit(known, seed=1), units=known.n_rows, unit="row, all rounds")
    print(f"{'':24} rounds {len(fit.history)}, log2(leaves) {math.log2(trees.leaves):.2f}")
    cpu("evaluate trees", lambda: evaluate(fit.model, table, seed=1), units=table.part("test").n_rows, unit="test row")
    cpu("explain trees", lambda: explain(fit.model, known, rows=2000, seed=1), units=2000 * fields, unit="cell")

    net = replace(made.learners["net"], threads=1, max_epochs=2)
    assert isinstance(net, NetLearner)
    layout = Layout.of(table.encoder, history=False)
    cost = backbone_cost(net.backbone, layout.shape(width=net.width, labels=1))
    print(f"net: {cost}, {len(layout.slots)} slots of {net.width}, {table.encoder.total_codes} embedding rows")
    small = cpu("train net, 2 epochs", lambda: net.fit(known, seed=1), units=2 * train, unit="row and epoch")
    tiny = replace(net, backbone=replace(net.backbone, hidden=()), max_epochs=2)  # type: ignore[call-arg]
    cpu("  without a perceptron", lambda: tiny.fit(known, seed=1), units=2 * train, unit="row and epoch")
    wide = replace(net, backbone=replace(net.backbone, hidden=(512, 512)), max_epochs=1)  # type: ignore[call-arg]
    print("wide:", backbone_cost(wide.backbone, layout.shape(width=net.width, labels=1)))
    cpu("  wide", lambda: wide.fit(known, seed=1), units=train, unit="row and epoch")
    selector = made.selectors[0]
    gated = replace(selector, gate=replace(selector.gate, epochs=2))  # type: ignore[attr-defined, call-arg]
    problem = Problem(table=known, learner=net)
    cpu(
        "search, 2 epochs",
        lambda: gated.select(problem, size=problem.n_values, seed=1),
        units=2 * train,
        unit="row, epoch",
    )
    cpu("evaluate net", lambda: evaluate(small.model, table, seed=1), units=table.part("test").n_rows, unit="test row")
    cpu("explain net", lambda: explain(small.model, known, rows=64, seed=1), units=64 * 32 * 2 * fields, unit="state")


if __name__ == "__main__":
    main()
