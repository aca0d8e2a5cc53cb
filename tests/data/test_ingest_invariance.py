"""Invariance: threads, chunks, shards, spilling and containers change no digest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data import row_encoder
from ctrsel.data.ingest import ingest
from ctrsel.data.raw import RawRows
from ctrsel.data.table import Table

SCHEMA = SchemaConfig(
    label=LabelConfig(name="click"),
    time="at",
    group="user",
    weight="weight",
    fields={
        "user": FieldConfig(min_count=2),
        "friend": FieldConfig(vocabulary="user"),
        "hashed": FieldConfig(hash_buckets=50),
        "tags": FieldConfig(kind="multivalued"),
        "price": FieldConfig(kind="numeric", bucket="quantile", bins=7),
        "count": FieldConfig(kind="numeric", bucket="log2"),
        "score": FieldConfig(kind="numeric", bucket="none"),
    },
)


def draw(rows: int) -> pl.DataFrame:
    """Draw a table with a field of every kind, with missing cells, skewed values, and nearly a value a row."""
    rng = np.random.default_rng(0)
    user = (rows * rng.random(rows) ** 2).astype(int)

    def some(values: pl.Series, share: float) -> pl.Series:
        return values.set(pl.Series(rng.random(rows) < share), None)

    words = pl.Series("w", [f"w{i}" for i in range(30)])
    tags = [words.gather(rng.integers(0, 30, rows)) for _ in range(3)]
    return pl.DataFrame(
        {
            "click": rng.integers(0, 2, rows),
            "at": pl.Series(rng.integers(0, 10**6, rows)),
            "weight": rng.random(rows),
            "user": some("u" + pl.Series(user).cast(pl.String), 0.05),
            "friend": "u" + pl.Series(rng.permutation(user) // 2).cast(pl.String),
            "row": "id_" + pl.Series(rng.permutation(rows)).cast(pl.String),
            "few": some(words.gather(rng.integers(0, 5, rows)), 0.2),
            "hashed": "h" + pl.Series(rng.integers(0, rows // 3, rows)).cast(pl.String),
            "tags": pl.select(pl.concat_str([pl.Series("a", tags[0]), tags[1].alias("b"), tags[2].alias("c")], separator="|")).to_series(),
            "price": some(pl.Series(rng.lognormal(0, 2, rows).round(3)), 0.1),
            "count": pl.Series(rng.geometric(0.01, rows)),
            "score": some(pl.Series(rng.standard_normal(rows)), 0.1),
        }
    )  # fmt: skip


def digest(data, *, out: Path | None = None, memory_gb: float | None = None, use: str = "stratified") -> str:
    table = ingest(data, schema=SCHEMA, split=SplitConfig(use=use), settings=IngestConfig(memory_gb=memory_gb), out=out)
    assert out is None or Table.load(out).digest == table.digest
    table.__dict__.pop("digest", None)  # of what is stored, not as it was noted
    return table.digest


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return draw(20_000)


@pytest.fixture(scope="module")
def expected(frame) -> str:
    return digest(frame)


@pytest.mark.parametrize("rows", [997, 8192])
def test_chunks(frame, expected, rows, monkeypatch) -> None:
    whole = RawRows.chunks
    monkeypatch.setattr(RawRows, "chunks", lambda self, column, **more: whole(self, column, **{**more, "rows": rows}))
    assert digest(frame) == expected


@pytest.mark.parametrize("threads", [1, 4])
def test_vocabularies_at_once(frame, expected, threads, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(row_encoder.pl, "thread_pool_size", lambda: threads)
    assert digest(frame, out=tmp_path / "store") == expected


def test_spilling(frame, expected, tmp_path, caplog) -> None:
    with caplog.at_level("INFO", "ctrsel"):
        assert digest(frame, memory_gb=0.002) == expected
    assert "values exceed memory" in caplog.messages
    assert digest(frame, memory_gb=0.002, out=tmp_path / "store") == expected


def test_shards_however_the_system_lists_them(frame, expected, tmp_path, monkeypatch) -> None:
    cuts = [0, 7_000, 7_001, 20_000]
    for i in (2, 0, 1):
        frame[cuts[i] : cuts[i + 1]].write_parquet(tmp_path / f"part-{i}.parquet", row_group_size=4_000)
    assert digest(str(tmp_path / "part-*.parquet")) == expected
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: sorted(listed(self, pattern), reverse=True))
    assert digest(str(tmp_path / "part-*.parquet"), out=tmp_path / "store") == expected


def test_containers(frame, expected, tmp_path) -> None:
    frame.write_csv(tmp_path / "x.csv")
    frame.write_parquet(tmp_path / "x.parquet", row_group_size=999)
    assert digest(tmp_path / "x.csv") == expected
    assert digest(tmp_path / "x.csv", memory_gb=0.002) == expected
    assert digest(tmp_path / "x.parquet", out=tmp_path / "store") == expected


@pytest.mark.parametrize("use", ["hash", "time", "group"])
def test_every_split(frame, use, tmp_path) -> None:
    frame.write_parquet(tmp_path / "x.parquet")
    assert digest(tmp_path / "x.parquet", out=tmp_path / "store", memory_gb=0.002, use=use) == digest(frame, use=use)


@pytest.mark.slow
def test_many_rows_with_other_threads_memory_and_shards(tmp_path) -> None:
    frame = draw(300_000)
    frame.write_csv(tmp_path / "x.csv")
    frame.write_parquet(tmp_path / "x.parquet")
    for i in range(7):
        frame[i * 45_000 : (i + 1) * 45_000].write_parquet(tmp_path / f"part-{i}.parquet")
    expected = digest(frame)
    for number, (threads, source, memory_gb) in enumerate(
        [
            (1, "x.parquet", None),
            (4, "x.parquet", None),
            (4, "part-*.parquet", 0.02),
            (1, "x.csv", 0.02),
            (2, "x.csv", 8),
        ]
    ):
        command = [sys.executable, __file__, str(tmp_path / source), str(tmp_path / f"{number}"), json.dumps(memory_gb)]
        environment = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert json.loads(done.stdout.splitlines()[-1]) == [threads, expected]


if __name__ == "__main__":  # one ingest in a process of its own
    found = digest(sys.argv[1], out=Path(sys.argv[2]), memory_gb=json.loads(sys.argv[3]))
    sys.stdout.write(json.dumps([pl.thread_pool_size(), found]) + "\n")
