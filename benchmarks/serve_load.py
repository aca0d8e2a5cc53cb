"""Load on `ctrsel serve` over the loopback device: rows a second and latency with 1, 8 and 32 clients.

    python benchmarks/serve_load.py [--seconds 8] [--rows 1 100] [--out docs/measured/serving.json]

A process serves a DeepFM (width 16, hidden 64-64) of 20 fields with 20,000 values that was not trained, which costs what a
trained one does; another process asks, each client with one kept connection and the next request as soon as the last is
answered. Latency is what the client sees. Every answer must be a 200.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl


def build(folder: Path) -> pl.DataFrame:
    """Save a net and return raw rows for it."""
    import torch

    from ctrsel.core.config import LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.models.layout import Layout
    from ctrsel.models.model import Model
    from ctrsel.models.net import NetPredictor
    from ctrsel.models.network import Net

    rng = np.random.default_rng(0)
    rows = 50_000
    columns = {f"field_{i}": [f"v{v}" for v in rng.zipf(1.3, rows) % 1000] for i in range(20)}
    frame = pl.DataFrame({"click": rng.integers(0, 2, rows), **columns})
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click")), seed=0)
    torch.manual_seed(0)
    backbone = DeepFM(hidden=(64, 64))
    net = Net(backbone, Layout.of(table.encoder, history=False), width=16, labels=1)
    Model(encoder=table.encoder, predictor=NetPredictor(backbone=backbone, width=16, labels=1, net=net)).save(
        folder / "model"
    )
    return frame.drop("click").head(2000)


async def client(port: int, bodies: list[bytes], until: float, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.perf_counter() < until:
        body = bodies[number % len(bodies)]
        number += 1
        started = time.perf_counter()
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"not a 200: {answer[:200]!r}")
        length = next(
            int(line.split(b":")[1]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        took.append(time.perf_counter() - started)
    writer.close()


async def load(port: int, clients: int, bodies: list[bytes], seconds: float) -> tuple[list[float], float]:
    await asyncio.gather(*(client(port, bodies, time.perf_counter() + 1.0, []) for _ in range(clients)))
    took: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(client(port, bodies, started + seconds, took) for _ in range(clients)))
    return took, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        rows = build(folder)
        command = [sys.executable, "-c", "from ctrsel.cli import main; raise SystemExit(main())"]
        process = stack.enter_context(
            subprocess.Popen(
                [*command, "serve", str(folder / "model"), "--port", "0", "--json", "-q"], stdout=subprocess.PIPE
            )
        )
        stack.callback(process.send_signal, signal.SIGTERM)
        port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
        for many in given.rows:
            bodies = [json.dumps({"rows": rows[i : i + many].to_dicts()}).encode() for i in range(0, 2000 - many, many)]
            for clients in given.clients:
                took, seconds = asyncio.run(load(port, clients, bodies, given.seconds))
                p50, p99 = np.percentile(took, [50, 99]) * 1000
                line = {
                    "clients": clients,
                    "rows_a_request": many,
                    "rows_a_second": round(len(took) * many / seconds),
                    "requests_a_second": round(len(took) / seconds, 1),
                    "p50_ms": round(float(p50), 2),
                    "p99_ms": round(float(p99), 2),
                    "requests": len(took),
                }
                found.append(line)
                print(json.dumps(line), flush=True)
    if given.out is not None:
        facts = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "results": found}
        given.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
