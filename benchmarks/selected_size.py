"""What does a smaller model save? File, memory and time of DeepFM retrained on shares of its fields and values.

    python benchmarks/selected_size.py [--rows 200000] [--values 1000000] [--fields 40] [--rounds 5]

A table of `--fields` categorical fields with `--values` values in all (Zipf, exponent 1.1), random labels: what a model of a
size costs, not what it predicts. The net is trained for one epoch on the rows with all values, with half, a fifth and a
twentieth of them (the most frequent ones), and with half of the fields; saved, and loaded by a process of its own.

    file       bytes of the saved model, its Encoder with the values' texts included
    memory     what the process holds more (RssAnon) once the model is loaded and has scored
    load       seconds
    bulk       microseconds a row: a raw frame of 20,000 rows, texts looked up; a table of codes
    one row    milliseconds of one row in process, the median

Medians of the rounds, in which the sizes take turns. Nothing is counted in gates: every figure is that of the model that
would be served.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

ROWS_SCORED = 20_000


def main() -> None:
    """Train and save each size, then let processes load and score them in turns; or be one of these."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--fields", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(score(arguments.child, arguments.child.parent / "raw.parquet")))
        return
    with tempfile.TemporaryDirectory(prefix="selected-size-") as scratch:
        sizes = save(Path(scratch), arguments)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in sizes}
        for _ in range(arguments.rounds):
            for name in sizes:
                command = [sys.executable, __file__, "--child", str(Path(scratch) / name)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        print(
            "| kept | fields | values | file MB | memory MB | load s | raw frame us/row | codes us/row | one row ms |"
        )
        print("| --- |" + " --- |" * 8)
        for name, (fields, values, size) in sizes.items():
            m = {k: median(f[k] for f in found[name]) for k in found[name][0]}
            print(
                f"| {name.replace('_', ' ')} | {fields} | {values:,} | {size / 1e6:.1f} | {m['memory'] / 1e6:.0f} | "
                f"{m['load']:.2f} | {m['raw']:.1f} | {m['codes']:.1f} | {m['one']:.2f} |",
                flush=True,
            )


def save(folder: Path, arguments: argparse.Namespace) -> dict[str, tuple[int, int, int]]:
    """Train and save the sizes; return fields, values and bytes of each."""
    from ctrsel.core.config import LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.select import Problem, Size
    from ctrsel.select.frequent import MostFrequent
    from ctrsel.select.random import RandomValues
    from ctrsel.train.net import NetLearner
    from ctrsel.train.optimisers.lazy_adagrad import LazyAdagrad

    rng = np.random.default_rng(1)
    each = arguments.values // arguments.fields
    share = 1 / np.arange(1, each + 1) ** 1.1
    share /= share.sum()
    edges = share.cumsum()
    columns = {
        f"f{i}": [f"value-{i}-{c}" for c in np.searchsorted(edges, rng.random(arguments.rows)).tolist()]
        for i in range(arguments.fields)
    }
    raw = pl.DataFrame({"click": (rng.random(arguments.rows) < 0.2).astype(np.int8), **columns})
    raw.head(ROWS_SCORED).drop("click").write_parquet(folder / "raw.parquet")
    table = ingest(raw, schema=SchemaConfig(label=LabelConfig(name="click")), seed=1).without("test")
    learner = NetLearner(
        backbone=DeepFM(hidden=(400, 400, 400)),
        width=16,
        batch_size=4096,
        optimiser=LazyAdagrad(row_wise=True),
        max_epochs=1,
    )
    problem = Problem(table=table, learner=learner)
    values = MostFrequent().search(problem, sizes=(), seed=1)
    sets = {
        "all": problem.everything(),
        **{f"{s:.0%}_of_values": values.at(Size(number=int(s * problem.n_values))) for s in (0.5, 0.2, 0.05)},
        "half_of_fields": RandomValues()
        .search(problem, sizes=(), seed=1)
        .at(Size(number=arguments.fields // 2, of="fields")),
    }
    sizes = {}
    for name, features in sets.items():
        model = learner.fit(table, features, seed=1).model
        model.save(folder / name)
        size = sum(f.stat().st_size for f in (folder / name).rglob("*") if f.is_file())
        sizes[name] = (features.n_fields, features.n_values, size)
    return sizes


def score(path: Path, rows: Path) -> dict[str, float]:
    """Load a model and score; return what it took."""
    import torch
    from block_training import anonymous_memory

    from ctrsel.models.model import Model

    torch.set_num_threads(1)
    raw = pl.read_parquet(rows)
    torch.zeros(8, 8) @ torch.zeros(8, 8)
    before, began = anonymous_memory(), time.perf_counter()
    model = Model.load(path)
    load = time.perf_counter() - began
    model.logits(raw[:64])
    memory = anonymous_memory() - before
    codes = model.encoder.encode(raw)
    seconds = {"raw": [], "codes": [], "one": []}  # type: dict[str, list[float]]
    for _ in range(3):
        for name, data in (("raw", raw), ("codes", codes)):
            began = time.perf_counter()
            model.logits(data)
            seconds[name].append((time.perf_counter() - began) / raw.height * 1e6)
    for i in range(300):
        row = raw[i]
        began = time.perf_counter()
        model.logits(row)
        seconds["one"].append((time.perf_counter() - began) * 1e3)
    return {"memory": float(memory), "load": load, **{k: median(v) for k, v in seconds.items()}}


if __name__ == "__main__":
    main()
