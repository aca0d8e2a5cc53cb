"""What a search with gates costs beside training the same net once: CPU seconds and memory, all epochs of both counted.

    python benchmarks/gate_search.py [--rows 1000000] [--values 2000000] [--gates calibrated_optfs lpfs] [--epochs 3] [--out page.md]

40 fields whose values are drawn by Zipf's law (exponent 1.1) and numbered at random; a tenth of the values of every fourth
field moves the log-odds, by a normal number of standard deviation 1. Eight tenths of the rows are trained on, a tenth
validates. The net is DeepFM of width 16 with hidden layers 400-400-400, batches of 4096, lazy Adam; "train" is the net
by its own protocol (until two epochs in a row are no better), each search takes its gate's epochs, or those of `--epochs`, unless
its patience ends it. Each run has a process of its own.

The memory is the most that no file holds (RssAnon), over what the process held before the fit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

F = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=2_000_000)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--gates", nargs="*", default=["calibrated_optfs"])
    parser.add_argument("--epochs", type=int, help="of each search, in place of the gate's own")
    parser.add_argument("--data", type=Path, help="a folder that keeps the table from call to call")
    parser.add_argument("--out", type=Path, help="append a table to this Markdown file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        args.data = args.data or Path(folder)
        if not (args.data / "table").is_dir():
            made(args)
        found = {}
        for name in ("train", *args.gates):
            found[name] = child(name, args)
            print(name, json.dumps(found[name]), flush=True)
    page = table(found, args)
    print(page)
    if args.out:
        with args.out.open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def made(args: argparse.Namespace) -> None:
    """Write the table."""
    import polars as pl

    rng, size = np.random.default_rng(7), args.values // F
    shares = np.cumsum(np.arange(1, size + 1) ** -1.1)
    logit, columns = np.full(args.rows, -2.0), {}
    for field in range(F):
        ranks = np.searchsorted(shares, rng.random(args.rows) * shares[-1])
        if field % 4 == 0:
            effect = np.where(rng.random(size) < 0.1, rng.normal(size=size), 0.0)
            logit += effect[ranks]
        columns[f"f{field}"] = rng.permutation(size)[ranks].astype(np.int32)
    label = (rng.random(args.rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    frame = pl.DataFrame({"label": label, **{k: pl.Series(v).cast(pl.String) for k, v in columns.items()}})
    from ctrsel.core.config import LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest

    schema = SchemaConfig(label=LabelConfig(name="label"))
    ingest(frame, schema=schema, seed=1).save(args.data / "table")


def child(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
    command = [sys.executable, __file__, "--child", name, "--data", str(args.data)]
    for key in ("rows", "values", "width", "hidden", "batch"):
        command += [f"--{key}", str(getattr(args, key))]
    command += [] if args.epochs is None else ["--epochs", str(args.epochs)]
    environment = os.environ | dict.fromkeys(names, "1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, or search."""
    import ctrsel
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.models.gates import CATALOG
    from ctrsel.train.net import NetLearner
    from ctrsel.train.optimisers.lazy_adam import LazyAdam

    data = ctrsel.load_table(args.data / "table").without("test")
    net = NetLearner(
        backbone=DeepFM(hidden=(args.hidden,) * 3),
        width=args.width,
        batch_size=args.batch,
        optimiser=LazyAdam(),
        rows="memory",
    )
    own = {} if args.epochs is None else {"epochs": args.epochs}
    gate = None if args.child == "train" else CATALOG.load(args.child)(**own)
    peak = Peak()
    wall, cpu = time.perf_counter(), time.process_time()
    fit = net.fit(data, gate=gate, seed=1)
    return {
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
        "bytes": peak.stop(),
        "values": data.encoder.n_values,
        "train_rows": data.part("train").n_rows,
        "epochs": fit.epochs,
        "auc": fit.valid["auc"],
        "kept": fit.history[-1].get("kept", 1.0),
        "gaps": [round(h.get("gap", 0.0), 5) for h in fit.history],
        "shares": [round(h.get("kept", 1.0), 3) for h in fit.history],
        "aucs": [round(h["valid_auc"], 4) for h in fit.history],
    }


class Peak:
    """The largest RssAnon from now on over what it is now, looked at 50 times a second."""

    def __init__(self) -> None:
        self.before = self.most = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def _now() -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self._now())

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.most - self.before


def table(found: dict[str, dict[str, Any]], args: argparse.Namespace) -> str:
    """Write a line for each run, beside training."""
    base = found["train"]
    lines = [
        f"{base['train_rows']:,} training rows, {F} fields, {base['values']:,} values, batches of {args.batch}",
        "",
        "| run | epochs | CPU seconds | x training | per epoch | peak MB | x training | kept | valid AUC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, f in found.items():
        epoch = f["cpu_seconds"] / f["epochs"] / (base["cpu_seconds"] / base["epochs"])
        lines.append(
            f"| {name} | {f['epochs']} | {f['cpu_seconds']:.0f} | {f['cpu_seconds'] / base['cpu_seconds']:.2f} | {epoch:.2f} "
            f"| {f['bytes'] / 1e6:.0f} | {f['bytes'] / base['bytes']:.2f} | {f['kept']:.3f} | {f['auc']:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
