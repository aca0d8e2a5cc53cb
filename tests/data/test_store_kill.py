"""A store is the old one or the new one, wherever the process that writes it is killed."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.data.table import Table

ROWS = 20_000
WRITE = """
import sys
from ctrsel.core.config import LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data.append import append
from ctrsel.data.ingest import ingest
print("ready", flush=True)
if sys.argv[1] == "ingest":
    schema = SchemaConfig(label=LabelConfig(name="y"), time="t")
    ingest(sys.argv[3], schema=schema, split=SplitConfig(use="time"), seed=2, out=sys.argv[2])
else:
    append(sys.argv[2], sys.argv[3])
print("done", flush=True)
"""


def rows(start: int, *, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    fields = {f"f{i}": [f"v{x}" for x in rng.zipf(1.3, ROWS).clip(1, 10 ** (1 + i % 5))] for i in range(8)}
    return pl.DataFrame({"y": rng.integers(0, 2, ROWS), "t": np.arange(start, start + ROWS), **fields})


def write(what: str, store: Path, data: Path, *, kill_after: float | None) -> tuple[bool, float]:
    """Run a writer; return whether it ended by itself, and its seconds since it was ready."""
    command = [sys.executable, "-c", WRITE, what, str(store), str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=500)
        assert kill_after is not None or out == "done\n", err
        return out == "done\n", time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("what", ["ingest", "append"])
def test_kill_at_thirty_random_points(tmp_path: Path, what: str) -> None:
    first, more = tmp_path / "first.parquet", tmp_path / "more.parquet"
    rows(0, seed=1).write_parquet(first)
    rows(ROWS, seed=2).write_parquet(more)
    write("ingest", tmp_path / "old", first, kill_after=None)
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    took = min(write(what, tmp_path / "new", more, kill_after=None)[1] for _ in range(2 if what == "ingest" else 1))
    known = {Table.load(tmp_path / name).digest: name for name in ("old", "new")}
    assert len(known) == 2
    draw = random.Random(7)
    seen: list[str] = []
    store = tmp_path / "work" / "store"
    for _ in range(30):
        shutil.rmtree(store.parent, ignore_errors=True)
        shutil.copytree(tmp_path / "old", store)
        write(what, store, more, kill_after=draw.uniform(0, 1.2 * took))
        found = Table.load(store)  # whole, whatever it is
        assert found.digest in known
        np.testing.assert_array_equal(found.columns["f3"], Table.load(tmp_path / known[found.digest]).columns["f3"])
        seen.append(known[found.digest])
        if len(seen) % 5 == 0 and len(last := set(seen[-5:])) == 1:  # the machine is slower or faster now than it was
            took *= 1.5 if last == {"old"} else 1 / 1.5
        # What was left half-written is in nobody's way.
        if len(seen) % 10 == 0:
            write(what, store, more, kill_after=None)
            assert Table.load(store).digest == Table.load(tmp_path / "new").digest
            assert [p.name for p in store.parent.iterdir() if "scratch" in p.name] == []
    assert set(seen) == {"old", "new"}, "the kills must fall before and after the change"
