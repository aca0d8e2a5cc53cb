"""What a vocabulary of millions of values costs: to make, to save, to load, and to look texts up in it.

The texts are ids of 14 characters. Making them counts with writing them, and peaks of memory are of anonymous pages
(RssAnon, looked at every 10 ms): what lies in files is mapped and does not count. Loading and looking up happen in a
fresh process. `--values 50000000` takes about 2.5 GB of disk beside this run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

PART = 1_000_000


def anonymous() -> float:
    """Return the process's anonymous memory in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise OSError("this system does not tell anonymous memory")


@contextmanager
def measured(name: str, into: dict[str, dict[str, float]]) -> Iterator[None]:
    """Note seconds of wall clock and processor, and how far anonymous memory rose at most, in MB."""
    start, peak, done = anonymous(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    done.set()
    watcher.join()
    into[name] = {
        "wall_s": round(wall, 4),
        "cpu_s": round(cpu, 4),
        "peak_mb": round(max(peak, anonymous()) - start, 1),
        "left_mb": round(anonymous() - start, 1),
    }


def ids(numbers: pl.Series) -> pl.Series:
    """Return the text of each number."""
    return pl.select(pl.lit("id") + (numbers * 7919).cast(pl.String).str.zfill(12)).to_series()


def make(values: int, folder: Path) -> dict[str, dict[str, float]]:
    """Make and save an encoder with one field of so many values."""
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.texts import SortedTexts
    from ctrsel.data.vocabulary import vocabulary_of
    from ctrsel.records.schema import Field, Label, Schema

    out: dict[str, dict[str, float]] = {}
    counts = np.random.default_rng(1).zipf(1.7, values).clip(max=10**6).astype(np.int64)
    parts = (
        ids(pl.Series(np.arange(start, min(start + PART, values), dtype=np.int64))) for start in range(0, values, PART)
    )
    with measured("write", out):
        texts = SortedTexts.write(parts, folder / "texts.arrow")
    with measured("vocabulary_of", out):
        vocabulary = vocabulary_of("id", texts, counts, missing=0)
    schema = Schema(labels=(Label(name="y"),), fields=(Field(name="id", kind="categorical", vocabulary="id"),))
    encoder = Encoder(schema=schema, vocabularies={"id": vocabulary}, edges={}, moments={})
    with measured("digest", out):
        _ = encoder.digest
    with measured("save", out):
        encoder.save(folder / "encoder")
    known = texts.take(np.random.default_rng(2).integers(0, values, 1_000_000))
    pl.DataFrame({"id": known}).write_parquet(folder / "asked.parquet")
    with measured("keep half", out):
        _ = texts.keep(np.arange(values) % 2 == 0, scratch=folder)
    with measured("grow by a tenth", out):
        fresh = SortedTexts.join([ids(pl.Series(np.arange(0, values, 10, dtype=np.int64))) + "x"], scratch=folder)
        _ = vocabulary.grow(fresh, np.ones(len(fresh), dtype=np.int64), missing=0, scratch=folder)
    with measured("hash all", out):
        _ = vocabulary_of("id", texts, counts, missing=0, hash_buckets=1 << 20)
    return out


def look_up(folder: Path) -> dict[str, dict[str, float]]:
    """Load the encoder and look texts up."""
    import pyarrow as pa

    from ctrsel.data.encoder import Encoder
    from ctrsel.data.texts import SortedTexts

    assert pa.__version__
    asked = pl.read_parquet(folder / "asked.parquet")["id"]
    mixed = pl.Series("id", [f"{t}?" if i % 10 == 0 else t for i, t in enumerate(asked[:1000].to_list())])
    out: dict[str, dict[str, float]] = {}
    with measured("open the texts", out):
        texts = SortedTexts.load(folder / "encoder" / "values_0.arrow")
    with measured("digest of the texts", out):
        _ = texts.digest
    with measured("load and verify", out):
        encoder = Encoder.load(folder / "encoder")
    values = encoder.vocabularies["id"].values
    with measured("find 1,000 first", out):
        _ = values.find(mixed)
    for name, some in (
        ("find 1,000", mixed),
        ("find 1M first", asked),
        ("find 1M", asked),
        ("find 1M sorted", asked.sort()),
    ):
        with measured(name, out):
            found = values.find(some)
        assert (found >= 0).sum() == (900 if len(some) == 1000 else len(some))
    frame = pl.DataFrame({"id": mixed})
    encoder.encode(frame)
    with measured("serve 1,000 rows", out):
        codes = encoder.encode(frame).columns["id"]
    with measured("texts of 1,000 codes", out):
        names = encoder.vocabularies["id"].texts(codes)
    assert sum(n == "(other)" for n in names) == 100
    return out


def main() -> None:
    """Print one line per step."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--values", type=int, default=2_000_000)
    reader.add_argument("--folder", type=Path, help="where the files go; a temporary folder")
    reader.add_argument("--look-up", action="store_true", help=argparse.SUPPRESS)
    given = reader.parse_args()
    if given.look_up:
        print(json.dumps(look_up(given.folder)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        found = make(given.values, folder)
        size = sum(f.stat().st_size for f in (folder / "encoder").iterdir())
        again = [sys.executable, __file__, "--look-up", "--folder", str(folder)]
        found |= json.loads(subprocess.run(again, check=True, capture_output=True, text=True).stdout)
    print(f"{given.values:,} values, {size:,} bytes on disk")
    print(f"{'':22}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}{'left MB':>10}")
    for step, m in found.items():
        print(f"{step:22}{m['wall_s']:10.3f}{m['cpu_s']:10.3f}{m['peak_mb']:10.1f}{m['left_mb']:10.1f}")


if __name__ == "__main__":
    main()
