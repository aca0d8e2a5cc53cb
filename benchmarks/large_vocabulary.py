"""Training steps of DeepFM on a vocabulary of 5M values: ours, plain torch's and FuxiCTR's, in rows per second and memory.

    python benchmarks/large_vocabulary.py [--fuxictr CLONE --python PYTHON] [--threads 1] [--rounds 3] [--out page.md]

40 fields of 125,000 values each, drawn by Zipf's law (exponent 1.1) and numbered at random, width 16, hidden layers
400-400-400 without normalisation or dropout, batches of 4096, gradients clipped at 10, random labels: what a step costs,
not what it learns. Each contender runs in a process of its own, one after the other, in `--rounds` rounds, so that a busy
machine is busy for all; the medians of the rounds are shown. Two steps go ahead unmeasured.

    floor          the network alone on random rows of the same shape, with their gradient: no table, no look-up
    dense_adam     ours, over the whole table
    lazy_adam ...  ours, of touched rows
    torch dense    one nn.Embedding a table, torch.optim.Adam as it comes
    torch fused    the same with fused=True
    torch sparse   sparse=True and torch.optim.SparseAdam for the tables (which are not clipped)
    fuxictr        its DeepFM and its own train_step; "l2" with embedding_regularizer=1e-5

Beside the rows per second: those per second of CPU (right on a busy machine), the share of the matrix products' rate that was
measured in the same process before and after, and the largest memory of the process that no file holds. All memory of
moments is written once beforehand: an array that is zero takes no memory before it is touched, but a long run touches it.

FuxiCTR needs an environment of its own with a clone, torch and its requirements; this file is run by its Python and imports
nothing of ctrsel then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

F, D, B, HIDDEN_UNITS = 40, 16, 4096, (400, 400, 400)
BATCHES = 12
OURS = {
    "dense_adam": {"use": "dense_adam"},
    "lazy_adam": {"use": "lazy_adam"},
    "lazy_adam row-wise": {"use": "lazy_adam", "row_wise": True},
    "lazy_adagrad": {"use": "lazy_adagrad"},
    "lazy_adagrad row-wise": {"use": "lazy_adagrad", "row_wise": True},
}
TORCH = ("torch dense", "torch fused", "torch sparse")
FUXICTR = {"fuxictr": None, "fuxictr l2": 1e-5}

Step = Callable[[Any, Any], None]  # codes int32 [B, F] and labels float32 [B, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuxictr", type=Path, help="folder of a clone of FuxiCTR")
    parser.add_argument("--python", default=sys.executable, help="the Python of its environment")
    parser.add_argument("--values", type=int, default=5_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16, help="measured ones; fewer after --seconds, but 3")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--only", nargs="*", help="names of contenders")
    parser.add_argument("--bf16", action="store_true", help="ours once more under torch's autocast")
    parser.add_argument("--out", type=Path, help="append a table to this Markdown file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run(args)))
        return
    names = ["floor", *OURS, *TORCH, *(FUXICTR if args.fuxictr else ()), *(["lazy_adam bf16"] if args.bf16 else ())]
    if args.only:
        names = [name for name in names if name in args.only]
    with tempfile.TemporaryDirectory() as folder:
        args.data = Path(folder) / "batches.npy"
        codes = zipf(args.values)
        np.save(args.data, codes)
        distinct = statistics.mean(len(np.unique(batch)) for batch in codes)
        print(f"{args.values:,} values; {distinct:,.0f} distinct rows a batch of {B * F:,} look-ups", flush=True)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for round_ in range(args.rounds):
            for name in names:
                found[name].append(child(name, args))
                print(round_ + 1, name, json.dumps(found[name][-1]), flush=True)
    page = table(found, args, distinct)
    print(page)
    if args.out:
        with args.out.open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def zipf(values: int) -> np.ndarray:
    """Return batches of codes, int32 `[BATCHES, B, F]`; the first 3 codes of a field are reserved."""
    rng, size = np.random.default_rng(7), values // F
    shares = np.cumsum(np.arange(1, size - 2) ** -1.1)
    ranks = np.searchsorted(shares, rng.random((BATCHES, B, F)) * shares[-1])
    for field in range(F):
        ranks[:, :, field] = rng.permutation(size - 3)[ranks[:, :, field]] + 3 + field * size
    return ranks.astype(np.int32)


def child(name: str, args: argparse.Namespace) -> dict[str, float]:
    python = args.python if name in FUXICTR else sys.executable
    threads = str(args.threads)
    environment = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"),
        threads,
    )
    command = [python, __file__, "--child", name, "--data", str(args.data)]
    for key in ("values", "threads", "steps", "seconds", "fuxictr"):
        if getattr(args, key) is not None:
            command += [f"--{key}", str(getattr(args, key))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(args: argparse.Namespace) -> dict[str, float]:
    """Measure one contender in this process."""
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    codes = np.load(args.data)
    labels = torch.randint(0, 2, (B, 1)).float()
    peak = Peak()
    gemm = [matrix_rate()]
    if args.child in FUXICTR:
        step = fuxictr(args, FUXICTR[args.child])
    elif args.child in TORCH:
        step = plain(args)
    elif args.child == "floor":
        step = floor()
    else:
        step = ours(args)
    for i in range(2):
        step(codes[i], labels)
    wall, cpu = [], []
    began = time.perf_counter()
    while len(wall) < args.steps and (len(wall) < 3 or time.perf_counter() - began < args.seconds):
        batch = codes[(2 + len(wall)) % len(codes)]
        t, c = time.perf_counter(), time.process_time()
        step(batch, labels)
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
    gemm.append(matrix_rate())
    shapes = [*zip((F * D, *HIDDEN_UNITS), (*HIDDEN_UNITS, 1), strict=True)]
    flops = 6 * sum(a * b for a, b in shapes)  # a row's, forward and backward
    rate = B / statistics.median(wall)
    return {
        "rows_per_second": rate,
        "rows_per_cpu_second": B / statistics.median(cpu),
        "share_of_products": B / statistics.median(cpu) * flops / max(gemm),
        "peak_bytes": peak.stop(),
        "steps": len(wall),
    }


def matrix_rate() -> float:
    """Return multiplications and additions per second of CPU in products of the first layer's shape."""
    import torch

    a, b = torch.randn(B, F * D), torch.randn(F * D, HIDDEN_UNITS[0])
    best = 0.0
    for _ in range(4):
        c = time.process_time()
        a @ b
        best = max(best, 2 * a.shape[0] * b.shape[0] * b.shape[1] / (time.process_time() - c))
    return best


def layout(values: int) -> Any:
    from ctrsel.models.layout import Layout

    return Layout(
        total_codes=values,
        code_fields=tuple(f"f{i}" for i in range(F)),
        pooled=(),
        floats=(),
        histories=(),
        targets=(),
        starts=tuple(i * (values // F) for i in range(F)),
    )


def backbone() -> Any:
    from ctrsel.models.backbones.deepfm import DeepFM

    return DeepFM(hidden=HIDDEN_UNITS, batch_norm=False, dropout=0.0)


def ours(args: argparse.Namespace) -> Step:
    import torch

    from ctrsel.models.embedding import Inputs
    from ctrsel.models.network import Net
    from ctrsel.train.optimisers import CATALOG
    from ctrsel.train.pieces import in_pieces
    from ctrsel.train.steps.bce import BCE

    given = dict(OURS[args.child.removesuffix(" bf16")])
    optimiser = CATALOG.load(given.pop("use"))(**given)
    net = in_pieces(Net(backbone(), layout(args.values), width=D, labels=1, sparse=optimiser.sparse))
    updates = optimiser.build(net, learning_rate=1e-3, embedding_l2=0.0, clip=10.0)
    if optimiser.sparse:
        state = updates.state()["rows"]
        state.fill_(1e-12)  # so that all of it is in memory
    low = args.child.endswith("bf16")

    def step(codes: Any, labels: Any) -> None:
        inputs = Inputs(torch.from_numpy(codes).long(), torch.zeros(B, 0), {})
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            loss = BCE().objective(net, inputs, labels, None)
        updates.step(loss)

    return step


def floor() -> Step:
    import torch
    from torch.nn import functional

    from ctrsel.models.embedded import Embedded
    from ctrsel.train.pieces import in_pieces

    net = in_pieces(backbone().build(layout(F * 4).shape(width=D, labels=1)))
    adam = torch.optim.Adam(net.parameters(), fused=True)
    rows, first = torch.randn(B, F, D, requires_grad=True), torch.randn(B, F, 1, requires_grad=True)

    def step(codes: Any, labels: Any) -> None:
        adam.zero_grad()
        rows.grad = first.grad = None
        logits = net(Embedded(main=rows, first_order=first, floats=torch.zeros(B, 0))).logits
        functional.binary_cross_entropy_with_logits(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        adam.step()

    return step


def plain(args: argparse.Namespace) -> Step:
    """A DeepFM as one would write it."""
    import torch
    from torch import nn
    from torch.nn import functional

    sparse = args.child == "torch sparse"
    main, first = nn.Embedding(args.values, D, sparse=sparse), nn.Embedding(args.values, 1, sparse=sparse)
    for part in (main, first):
        nn.init.normal_(part.weight, std=1e-4)
    layers: list[nn.Module] = []
    inputs = F * D
    for units in HIDDEN_UNITS:
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        inputs = units
    mlp = nn.Sequential(*layers, nn.Linear(inputs, 1))
    tables = [main.weight, first.weight]
    if sparse:
        optimisers = [torch.optim.Adam(mlp.parameters()), torch.optim.SparseAdam(tables)]
        clipped = [*mlp.parameters()]
    else:
        clipped = [*mlp.parameters(), *tables]
        optimisers = [torch.optim.Adam(clipped, fused=True if args.child == "torch fused" else None)]

    def step(codes: Any, labels: Any) -> None:
        for optimiser in optimisers:
            optimiser.zero_grad()
        ids = torch.from_numpy(codes).long()
        e = main(ids)
        total = e.sum(1)
        pairs = 0.5 * (total * total - (e * e).sum(1)).sum(1, keepdim=True)
        logits = first(ids).sum(1) + pairs + mlp(e.flatten(1))
        functional.binary_cross_entropy_with_logits(logits, labels).backward()
        nn.utils.clip_grad_norm_(clipped, 10.0)
        for optimiser in optimisers:
            optimiser.step()

    return step


def fuxictr(args: argparse.Namespace, l2: float | None) -> Step:
    """FuxiCTR's DeepFM and its train_step on tensors that are in memory."""
    import torch

    sys.path[:0] = [str(args.fuxictr), str(args.fuxictr / "model_zoo" / "DeepFM" / "DeepFM_torch")]
    from fuxictr.features import FeatureMap
    from src import DeepFM

    names = [f"f{i}" for i in range(F)]
    features = FeatureMap("large", ".")
    spec = {"source": "", "type": "categorical", "vocab_size": args.values // F}
    features.features.update({name: dict(spec) for name in names})
    features.labels, features.num_fields, features.default_emb_dim = ["label"], F, D
    model = DeepFM(
        features,
        embedding_dim=D,
        hidden_units=list(HIDDEN_UNITS),
        embedding_regularizer=l2,
        net_regularizer=None,
        optimizer="adam",
        loss="binary_crossentropy",
        task="binary_classification",
        learning_rate=1e-3,
        metrics=["AUC"],
        model_root=".",
        verbose=0,
    )
    model._max_gradient_norm = 10.0
    model.train()
    size = args.values // F

    def step(codes: Any, labels: Any) -> None:
        ids = torch.from_numpy(codes).long()
        batch = {name: ids[:, i] - i * size for i, name in enumerate(names)}
        model.train_step(batch | {"label": labels})

    return step


class Peak:
    """The largest RssAnon from now on, looked at 50 times a second."""

    def __init__(self) -> None:
        self.most = self._now()
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
        return self.most


def table(found: dict[str, list[dict[str, float]]], args: argparse.Namespace, distinct: float) -> str:
    """Write the medians of the rounds, beside the last contender's."""
    keys = ("rows_per_second", "rows_per_cpu_second", "share_of_products", "peak_bytes")
    middle = {name: {k: statistics.median(run[k] for run in runs) for k in keys} for name, runs in found.items()}
    beside = next((name for name in ("fuxictr l2", "torch dense") if name in middle), None)
    lines = [
        f"{args.values:,} values, {distinct:,.0f} distinct rows a batch, {args.threads} thread(s), "
        f"medians of {args.rounds} alternating runs; ratios to {beside} (of one round each: their median)",
        "",
        "| contender | rows/s | rows/CPU-s | ratio | ratio, CPU | matrix limit | peak MB | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, values in middle.items():
        ratios = {
            k: statistics.median(a[k] / b[k] for a, b in zip(found[name], found[beside], strict=True))
            if beside
            else 1.0
            for k in keys
        }
        lines.append(
            f"| {name} | {values['rows_per_second']:,.0f} | {values['rows_per_cpu_second']:,.0f} | "
            f"{ratios['rows_per_second']:.2f} | {ratios['rows_per_cpu_second']:.2f} | {values['share_of_products']:.0%} | "
            f"{values['peak_bytes'] / 1e6:,.0f} | {ratios['peak_bytes']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
