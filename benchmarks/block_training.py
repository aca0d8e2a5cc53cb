"""Train from blocks on disk under a cap of memory, beside the same training in memory without one.

    python benchmarks/block_training.py speed [--cap 640] [--fields 40] [--repeats 1]
    python benchmarks/block_training.py auc   [--rows 1000000] [--seeds 10]

speed: a table four times the cap. The cap is RLIMIT_DATA on a process of its own (all private writable memory, touched or
not; pages of files do not count), and the pages of the table and of the blocks are dropped before the epoch (posix_fadvise),
so that both come from the disk. Prints rows per second (of the clock; and of CPU time and waiting for the disk, which a
shared machine disturbs less), the time of writing the blocks and the peak of RssAnon.

auc: rows sorted by time, of sessions, with ads that come and go, effects that drift and a moving rate: what a full shuffle
in memory reaches, beside shuffled blocks and, to show that the order matters, beside blocks of neighbouring rows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.memory import anonymous_memory
from ctrsel.core.seeds import generator
from ctrsel.data.batches import Batch
from ctrsel.data.blocks import Blocks
from ctrsel.data.ingest import ingest
from ctrsel.data.rows import RowMatrix, Rows
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.train import net_memory, net_run
from ctrsel.train.net import NetLearner

LEARNER = NetLearner(
    backbone=DeepFM(hidden=(32,), dropout=0.0), width=4, batch_size=4096, max_epochs=1, embedding_l2=1e-5, threads=1
)
VALUES = 70_000  # of a field in `speed`: four bytes a code, as in a large log


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    speed_ = commands.add_parser("speed")
    speed_.add_argument("--cap", type=int, default=640, help="MiB")
    speed_.add_argument("--fields", type=int, default=40)
    speed_.add_argument("--times", type=float, default=4.0, help="bytes of the table / cap")
    speed_.add_argument("--repeats", type=int, default=1)
    auc_ = commands.add_parser("auc")
    auc_.add_argument("--rows", type=int, default=1_000_000)
    auc_.add_argument("--seeds", type=int, default=10)
    auc_.add_argument("--epochs", type=int, default=4)
    child_ = commands.add_parser("child")
    child_.add_argument("table", type=Path)
    child_.add_argument("--rows", choices=("memory", "blocks"))
    child_.add_argument("--cap", type=int, default=0)
    given = parser.parse_args()
    if given.command == "speed":
        speed(cap=given.cap, fields=given.fields, times=given.times, repeats=given.repeats)
    elif given.command == "auc":
        auc(rows=given.rows, seeds=given.seeds, epochs=given.epochs)
    else:
        child(given.table, rows=given.rows, cap=given.cap)


# speed


def speed(*, cap: int, fields: int, times: float, repeats: int) -> None:
    """Make the table, train on it twice in processes of their own, and compare."""
    with tempfile.TemporaryDirectory(prefix="block-training-") as folder:
        path = Path(folder) / "table"
        began = time.perf_counter()
        rows = int(times * cap * 2**20 / (4 * fields + 12))
        large_table(rows, fields=fields).save(path)
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        print(
            f"table: {rows:,} rows x {fields} fields, {size / 2**20:,.0f} MiB = {size / 2**20 / cap:.2f} x the cap of "
            f"{cap} MiB; made in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        rates: dict[str, list[dict[str, float]]] = {"blocks": [], "memory": []}
        for _ in range(repeats):
            for kind in ("blocks", "memory"):
                found = in_child(path, rows=kind, cap=cap if kind == "blocks" else 0)
                rates[kind].append(found)
                print(
                    f"{kind:7} {found['rows_per_second']:9,.0f} rows/s over the epoch, {found['steady']:9,.0f} in the "
                    f"median of its windows, {found['busy']:9,.0f} per second of work   opened in {found['opened']:6.1f} s   "
                    f"RssAnon at most {found['peak'] / 2**20:6,.0f} MiB (before the fit {found['before'] / 2**20:,.0f})   "
                    f"valid AUC {found['auc']:.4f}   of {found['seconds']:.0f} s in all, {found['cpu']:.0f} s CPU",
                    flush=True,
                )
        for name in ("rows_per_second", "steady", "busy"):
            blocks, memory = (max(found[name] for found in rates[kind]) for kind in ("blocks", "memory"))
            print(f"ratio by {name}: {blocks / memory:.3f} (promised: at least 0.80)")


def large_table(rows: int, *, fields: int) -> Table:
    """Return a table in a scratch file, its codes drawn with a falling popularity, its labels from planted effects."""
    names = [f"f{j:02d}" for j in range(fields)]
    shared = {name: FieldConfig(kind="categorical", vocabulary=names[0]) for name in names[1:]}
    schema = SchemaConfig(label=LabelConfig(name="click"), fields={names[0]: FieldConfig(kind="categorical"), **shared})
    few = pl.DataFrame({"click": np.arange(VALUES * 2) % 2, **{name: np.arange(VALUES * 2) % VALUES for name in names}})
    encoder = ingest(few, schema=schema, seed=0).encoder
    dtypes = [np.dtype(np.uint32)] * fields
    *columns, labels, numbers = mapped_arrays(
        [(rows, d) for d in dtypes] + [(rows, np.dtype(np.float32)), (rows, np.dtype(np.int64))]
    )
    size = encoder.size(names[0])
    effects = generator(0, "effects").normal(size=(fields, size)) * 0.25
    for start in range(0, rows, 1 << 18):
        stop = min(start + (1 << 18), rows)
        rng = generator(0, "rows", start)
        z = np.full(stop - start, -1.5)
        for j, column in enumerate(columns):
            draw = rng.random(stop - start, dtype=np.float32)
            codes = 3 + (draw * draw * draw * np.float32(size - 3)).astype(np.uint32)
            column[start:stop] = codes
            if j < 8:
                z += effects[j][codes]
        labels[start:stop] = rng.random(stop - start) < 1 / (1 + np.exp(-z))
        numbers[start:stop] = np.arange(start, stop)
    cut = rows - min(rows // 20, 200_000)
    return Table(
        encoder=encoder,
        columns=dict(zip(names, columns, strict=True)),
        labels=labels[:, None],
        row=numbers,
        splits={"train": (0, cut), "valid": (cut, rows)},
        source="benchmark",
    )


def in_child(path: Path, *, rows: str, cap: int) -> dict[str, float]:
    """Train in a process of its own and return what it tells."""
    command = [sys.executable, __file__, "child", str(path), "--rows", rows, "--cap", str(cap)]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{rows}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def child(path: Path, *, rows: str, cap: int) -> None:
    """Train one epoch, with `cap` MiB of memory if it is not 0, and print what was measured."""
    if cap:
        resource.setrlimit(resource.RLIMIT_DATA, (cap << 20, cap << 20))
    began, opened = time.perf_counter(), [0.0]
    plain = net_memory.open_rows

    def cold(*args: Any, **settings: Any) -> Rows:
        drop(path)
        first = time.perf_counter()
        found = plain(*args, **settings)
        opened[0] = time.perf_counter() - first
        if isinstance(found, Blocks):
            evict(found._file.fileno())
        drop(path)
        return found

    net_memory.open_rows = cold
    clock = Clock()
    table = Table.load(path)
    peak = Peak()
    # "auto" must choose the blocks by itself under the cap.
    fit = replace(LEARNER, rows="auto" if cap else rows).fit(table, seed=1)
    facts = {
        "rows_per_second": fit.history[0]["rows_per_second"],
        "steady": clock.steady(),
        "busy": clock.busy(),
        "opened": opened[0],
        "before": peak.before,
        "peak": peak.stop(),
        "auc": fit.valid["auc"],
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time(),
    }
    print(json.dumps(facts))


class Clock:
    """When each training batch was asked for, and how long blocks were waited for."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float, int]] = []  # seconds, CPU seconds of this thread, rows
        self._waited = 0.0
        plain, read = net_run.batches, Blocks._read

        def watched(*args: Any, **settings: Any) -> Iterator[Batch]:
            self._waited = 0.0
            for batch in plain(*args, **settings):
                self._seen.append((time.perf_counter(), time.thread_time(), len(batch.rows)))
                yield batch

        def timed(blocks: Blocks, block: int) -> Any:
            began, busy = time.perf_counter(), time.thread_time()
            found = read(blocks, block)
            self._waited += time.perf_counter() - began - (time.thread_time() - busy)
            return found

        net_run.batches, Blocks._read = watched, timed  # type: ignore[method-assign]

    def busy(self) -> float:
        """Return rows per second of work: CPU seconds and seconds in which a block was waited for.

        Other people's work on the machine, which takes turns with this, is left out.
        """
        rows = sum(n for *_, n in self._seen[:-1])
        return rows / (self._seen[-1][1] - self._seen[0][1] + self._waited)

    def steady(self, *, window: int = 64) -> float:
        """Return the median rows per second over windows of 64 batches: four blocks, read and trained on."""
        rates = []
        for first in range(0, len(self._seen) - window, window):
            some = self._seen[first : first + window + 1]
            rates.append(sum(n for *_, n in some[:-1]) / (some[-1][0] - some[0][0]))
        return float(np.median(rates)) if rates else math.nan


class Peak:
    """The largest RssAnon from now on, looked at 50 times a second."""

    def __init__(self) -> None:
        self.before = self.most = anonymous_memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, anonymous_memory())

    def stop(self) -> int:
        """Return it."""
        self._over.set()
        self._thread.join()
        return self.most


def drop(folder: Path) -> None:
    """Drop the pages of a folder's files; those that are mapped at the moment stay."""
    for file in folder.rglob("*.npy"):
        with file.open("rb") as opened:
            evict(opened.fileno())


def evict(handle: int) -> None:
    """Write a file's pages out and drop them."""
    os.fdatasync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


# auc


class Neighbours(Blocks):
    """Blocks of neighbouring rows: what shuffling of blocks alone would train on."""

    def _draws(self, start: int, stop: int) -> np.ndarray:
        blocks = len(self.sizes)
        return (np.arange(start, stop) * blocks // len(self)).astype(np.uint16)


def auc(*, rows: int, seeds: int, epochs: int) -> None:
    """Compare AUC on rows held out at random."""
    table = drifting_table(rows)
    # Seeds of one kind must lie closer together than what is to be shown: a small net without batch norm, and patience.
    net = DeepFM(hidden=(16,), dropout=0.0, batch_norm=False)
    learner = replace(
        LEARNER,
        backbone=net,
        width=8,
        max_epochs=epochs,
        learning_rate=1e-3,
        embedding_l2=1e-3,
        lr_drop=1.0,
        patience=epochs,
    )
    kinds = {"memory": RowMatrix, "blocks": Blocks, "neighbours": Neighbours}
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    began = time.perf_counter()
    for seed in range(seeds):
        for kind, maker in kinds.items():
            if kind == "neighbours" and seed >= 3:
                continue  # far off; three seeds show it

            def opened(table: Table, split: str, *, maker: Any = maker, seed: int, **_: Any) -> Rows:
                return maker(table, split) if maker is RowMatrix else maker(table, split, seed=seed, block_rows=1 << 15)

            net_memory.open_rows = opened
            found[kind].append(learner.fit(table, seed=seed).valid["auc"])
        done = {kind: values[seed] for kind, values in found.items() if seed < len(values)}
        print("  ".join(f"{kind} {value:.5f}" for kind, value in done.items()), flush=True)
    base = np.array(found["memory"])
    train = table.span("train").stop
    print(f"{train:,} training rows in {round(train / (1 << 15))} blocks, {time.perf_counter() - began:.0f} s")
    print(f"{'memory':10} AUC {base.mean():.5f}, deviation over seeds {base.std(ddof=1):.5f}")
    for kind in ("blocks", "neighbours"):
        d = np.array(found[kind]) - base[: len(found[kind])]
        print(f"{kind:10} difference {d.mean():+.5f}, deviation {d.std(ddof=1):.5f}, of the mean {sem(d):.5f}")
    print("promised: blocks within .001")


def sem(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def drifting_table(rows: int) -> Table:
    """Return rows sorted by time: sessions of a user on a site, ads with a short life, a rate and effects that move."""
    rng = generator(0, "drifting")
    session = np.repeat(np.arange(rows), rng.geometric(0.1, rows))[:rows]
    t = np.arange(rows) / rows
    user = (rng.random(rows) ** 2 * 5_000).astype(np.int64)[session]
    site = (rng.random(rows) ** 2 * 300).astype(np.int64)[session]
    ad = ((t * 400).astype(np.int64) + (rng.random(rows) ** 2 * 120).astype(np.int64)) % 450  # a window that moves on
    hour = (t * 24 * 30).astype(np.int64) % 24
    place = rng.integers(0, 8, rows)
    drift = rng.normal(size=(2, 300)) * 0.15
    angle = 2 * np.pi * t
    z = (
        -1.2
        + 0.5 * np.sin(6 * angle)
        + 0.4 * rng.normal(size=5_000)[user]
        + drift[0][site] * np.cos(angle / 2)
        + drift[1][site] * np.sin(angle / 2)
        + 0.7 * rng.normal(size=450)[ad]
        + 0.3 * rng.normal(size=24)[hour]
        + 0.3 * rng.normal(size=8)[place]
    )
    frame = pl.DataFrame(
        {
            "click": (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(np.int8),
            **{"user": user, "site": site, "ad": ad, "hour": hour, "place": place},
        }
    )
    fields = {name: FieldConfig(kind="categorical") for name in ("user", "site", "ad", "hour", "place")}
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), fields=fields), seed=0).without("test")
    assert (np.diff(table.row[table.span("train")]) > 0).all()  # still in the order of time
    return table


if __name__ == "__main__":
    main()
