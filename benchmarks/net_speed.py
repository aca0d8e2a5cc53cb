"""How fast do nets train? Ours beside FuxiCTR's on Frappe: same recipe, rows and batch, one thread, in turns.

    python benchmarks/net_speed.py --data FOLDER [--fuxictr CLONE --python PYTHON] [--models deepfm,dcn_v2,autoint_plus]

Recipes are those of `configs/bars/frappe.yaml`. Every run is a process of its own; the runs of ours, of the floor and of
FuxiCTR take turns, and medians of the epochs and of the runs are shown. A rate leaves validation out; beside rows per
second of the clock stand rows per second of CPU time, which other people's work on a shared machine disturbs less. The
floor is our net without a table: a random dense input and its gradient, loss and Adam on the network's weights, nothing
else. The limit is what the same process reaches in products of large matrices; the share of it counts the net's own
products, three for each layer. Both sides train so many epochs from scratch at the published learning rate, and tell
validation AUC then. Memory is the peak of RssAnon, with what Python and torch take. Without a clone: ours alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import bars

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
RUNNER = Path(__file__).with_name("fuxictr_runner.py")


def main() -> None:
    """Run and print, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds frappe, three files")
    parser.add_argument("--fuxictr", type=Path, help="a clone of FuxiCTR")
    parser.add_argument("--python", type=Path, help="the Python of FuxiCTR's environment")
    parser.add_argument("--models", default="deepfm,dcn_v2,autoint_plus")
    parser.add_argument("--epochs", type=int, default=3, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of our learner, as in YAML")
    parser.add_argument("--child", choices=("ours", "floor"), help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is None:
        compare(arguments)
    else:
        learner = our_learner(arguments.models, arguments)
        facts = ours(learner, arguments) if arguments.child == "ours" else floor(learner, arguments)
        print(json.dumps(facts))


def compare(arguments: argparse.Namespace) -> None:
    """Make the table, run all kinds in turns, and print medians."""
    if (arguments.fuxictr is None) != (arguments.python is None):
        raise SystemExit("--fuxictr and --python are given together")
    from rank_quality import frappe

    with tempfile.TemporaryDirectory(prefix="net-speed-") as scratch:
        folder = Path(scratch)
        frappe(arguments.data).save(folder / "table")
        if arguments.fuxictr is not None:
            recipe = their_recipe(folder, arguments)
        for model in arguments.models.split(","):
            found: dict[str, list[dict[str, Any]]] = {"ours": [], "floor": [], "FuxiCTR": []}
            for _ in range(arguments.runs):
                for kind in ("ours", "floor"):
                    found[kind].append(in_child(kind, model, folder / "table", arguments))
                if arguments.fuxictr is not None:
                    found["FuxiCTR"].append(theirs(model, recipe, arguments))
                print(f"{model}: " + "; ".join(line(k, runs[-1]) for k, runs in found.items() if runs), flush=True)
            print(summary(model, found), flush=True)


def our_learner(model: str, arguments: argparse.Namespace) -> Any:
    """Return our learner of a recipe, to train for a few epochs whatever they bring."""
    import yaml

    from ctrsel.train import CATALOG

    changes = {key: yaml.safe_load(value) for key, _, value in (given.partition("=") for given in arguments.set)}
    learner = CATALOG.create({**bars.learner_specs()[model], **changes}, place=model)
    return replace(learner, max_epochs=arguments.epochs, patience=arguments.epochs, lr_drop=1.0)


def in_child(kind: str, model: str, table: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one of ours in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, "--models", model, "--table", str(table)]
    command += ["--epochs", str(arguments.epochs), *(f"--set={given}" for given in arguments.set)]
    return dict(last(command)[-1])


def last(command: list[str]) -> list[dict[str, Any]]:
    """Run a command with one thread a library and return the objects that it printed."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    return [json.loads(said) for said in done.stdout.splitlines() if said.startswith("{")]


# ours


def ours(learner: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, with a clock around the training batches of each epoch."""
    from block_training import Peak

    from ctrsel.data.table import Table
    from ctrsel.train import net_run

    peak, plain, rates = Peak(), net_run.batches, []

    def timed(*given: Any, **settings: Any) -> Iterator[Any]:
        wall, cpu, rows = time.perf_counter(), time.process_time(), 0
        for batch in plain(*given, **settings):
            rows += len(batch.rows)
            yield batch
        rates.append((rows / (time.perf_counter() - wall), rows / (time.process_time() - cpu)))

    net_run.batches = timed
    fit = learner.fit(Table.load(arguments.table).without("test"), seed=1)
    return {
        "rows_per_second": median(r for r, _ in rates),
        "rows_per_cpu_second": median(r for _, r in rates),
        "valid_auc": fit.history[-1]["valid_auc"],
        "peak_anonymous_bytes": peak.stop(),
    }


def floor(learner: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train our net on one batch of random numbers, and multiply large matrices."""
    import torch

    from ctrsel.data.table import Table
    from ctrsel.models.cost import backbone_cost
    from ctrsel.models.embedded import Embedded
    from ctrsel.models.layout import Layout
    from ctrsel.train.pieces import in_pieces

    torch.set_num_threads(learner.threads)
    torch.manual_seed(1)
    table = Table.load(arguments.table)
    shape = Layout.of(table.encoder, history=False).shape(width=learner.width, labels=1)
    net = in_pieces(learner.backbone.build(shape).train())
    adam = torch.optim.Adam(net.parameters(), lr=learner.learning_rate, fused=True)
    rows = learner.batch_size
    labels = (torch.rand(rows, 1) < 0.33).float()
    width = len(shape.fields)

    def step() -> None:
        first = torch.randn(rows, width, 1, requires_grad=True) if "first_order" in learner.backbone.lookups else None
        main = torch.randn(rows, width, shape.width, requires_grad=True)
        logits = net(Embedded(main=main, first_order=first, floats=torch.zeros(rows, 0))).logits
        adam.zero_grad(set_to_none=True)
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
        adam.step()

    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    steps = table.splits["train"][1] // rows
    step()
    rates = [timed_calls(step, steps) for _ in range(arguments.epochs)]
    products = [timed_calls(lambda: torch.mm(left, right), 16) for _ in range(3 * arguments.epochs)]
    cost = backbone_cost(learner.backbone, shape)
    return {
        "rows_per_second": rows * median(wall for wall, _ in rates),
        "rows_per_cpu_second": rows * median(cpu for _, cpu in rates),
        "operations_per_row": 6 * cost.multiply_adds,
        "limit": 2 * 1024**3 * max(cpu for _, cpu in products),
    }


def timed_calls(function: Any, times: int) -> tuple[float, float]:
    """Return calls per second and per second of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        function()
    return times / (time.perf_counter() - wall), times / (time.process_time() - cpu)


# FuxiCTR's


def their_recipe(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the files as CSV, have them coded once, and return what is the same for all models."""
    import polars as pl

    recipe: dict[str, Any] = {"clone": str(arguments.fuxictr), "work": str(folder / "fuxictr"), "label": "label"}
    for split in ("train", "valid"):
        frame = pl.read_parquet(arguments.data / "frappe" / f"{split}.parquet")
        frame.write_csv(folder / f"{split}.csv")
        recipe |= {split: str(folder / f"{split}.csv"), "fields": [c for c in frame.columns if c != "label"]}
    recipe |= {"epochs": arguments.epochs, "threads": 1, "model": "DeepFM", "params": {}}
    run_theirs("prepare", recipe, arguments)
    return recipe


def theirs(model: str, recipe: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Train FuxiCTR's net; the learning rate stays what it is and nothing stops, as with ours."""
    published = bars.PUBLISHED[model].fuxictr
    if published is None:
        raise SystemExit(f"{model}: no recipe for FuxiCTR is known here")
    name, params = published
    protocol = {"early_stop_patience": arguments.epochs, "reduce_lr_on_plateau": False}
    said = run_theirs("train", {**recipe, "model": name, "params": {**params, **protocol}}, arguments)
    epochs = [s for s in said if s["event"] == "epoch"]
    return {
        "rows_per_second": median(s["rows_per_second"] for s in epochs),
        "rows_per_cpu_second": median(s["rows_per_cpu_second"] for s in epochs),
        "valid_auc": epochs[-1]["valid_auc"],
        "peak_anonymous_bytes": said[-1]["peak_anonymous_bytes"],
    }


def run_theirs(command: str, recipe: Mapping[str, Any], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the runner with the Python of FuxiCTR's environment."""
    file = Path(recipe["work"]).parent / "recipe.json"
    file.write_text(json.dumps(recipe), encoding="utf-8")
    return last([str(arguments.python), str(RUNNER), command, str(file)])


# what is shown


def line(kind: str, facts: Mapping[str, Any]) -> str:
    """Return one run in words."""
    said = f"{kind} {facts['rows_per_second']:,.0f} rows/s ({facts['rows_per_cpu_second']:,.0f} per CPU s)"
    return said + (f", valid AUC {facts['valid_auc']:.4f}" if "valid_auc" in facts else "")


def summary(model: str, found: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return the medians of all runs."""
    middle = {kind: {key: median(run[key] for run in runs) for key in runs[0]} for kind, runs in found.items() if runs}
    own, bare = middle["ours"], middle["floor"]
    share = own["rows_per_cpu_second"] * bare["operations_per_row"] / bare["limit"]
    text = [
        f"{model}, medians: " + "; ".join(line(kind, facts) for kind, facts in middle.items()),
        f"  of the floor {own['rows_per_second'] / bare['rows_per_second']:.2f} "
        f"({own['rows_per_cpu_second'] / bare['rows_per_cpu_second']:.2f} by CPU time); "
        f"{share:.0%} of the {bare['limit'] / 1e9:.0f} GFLOP/s of large matrix products, floor "
        f"{bare['rows_per_cpu_second'] * bare['operations_per_row'] / bare['limit']:.0%}",
        f"  peak anonymous memory {own['peak_anonymous_bytes'] / 2**20:,.0f} MiB",
    ]
    if "FuxiCTR" in middle:
        other = middle["FuxiCTR"]
        text[1] += (
            f"; {own['rows_per_second'] / other['rows_per_second']:.2f} times FuxiCTR "
            f"({own['rows_per_cpu_second'] / other['rows_per_cpu_second']:.2f} by CPU time; promised: 2)"
        )
        text[2] += (
            f", FuxiCTR {other['peak_anonymous_bytes'] / 2**20:,.0f} MiB: "
            f"{own['peak_anonymous_bytes'] / other['peak_anonymous_bytes']:.2f} of it (promised: at most 1.10)"
        )
    return "\n".join(text)


if __name__ == "__main__":
    main()
