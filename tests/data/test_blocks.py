"""Blocks: uniform, of bounded memory, and gone when the process is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ctrsel.core.errors import DataError
from ctrsel.data.batches import batches
from ctrsel.data.blocks import Blocks
from ctrsel.data.record import Record
from ctrsel.testing.tables import sequence_table, tiny_table

TABLE = tiny_table(rows=4000)
N = TABLE.span("train").stop


def order(blocks: Blocks, *, seed: int = 1, epoch: int = 0) -> np.ndarray:
    return np.concatenate([b.rows for b in batches(TABLE, "train", size=100, seed=seed, epoch=epoch, rows=blocks)])


def test_blocks_are_about_equal_and_uniform_over_the_rows() -> None:
    with Blocks(TABLE, "train", seed=1, block_rows=300) as blocks:
        assert len(blocks.sizes) == round(N / 300)
        assert blocks.sizes.sum() == N
        # Each block's rows are spread over time like any sample: a chi-squared test of tenths by blocks.
        seen = np.zeros((len(blocks.sizes), 10))
        for block in range(len(blocks.sizes)):
            content, _ = blocks._read(block)
            numbers = blocks._record.batch([(content, {})]).rows
            seen[block] = np.bincount(numbers * 10 // N, minlength=10)
        assert stats.chi2_contingency(seen).pvalue > 1e-3


def test_neighbours_in_the_table_are_no_neighbours_in_an_epoch() -> None:
    with Blocks(TABLE, "train", seed=1, block_rows=300) as blocks:
        for epoch in range(3):
            rows = order(blocks, epoch=epoch)
            assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.06
            assert abs(np.corrcoef(rows, np.arange(N))[0, 1]) < 0.06


def test_what_is_written_does_not_depend_on_the_memory_that_may_be_used() -> None:
    table = sequence_table(rows=5000)
    made = []
    for memory in (1, 64 << 20):  # pieces of 1,024 rows, and one piece
        with Blocks(table, None, seed=3, block_rows=256, memory=memory) as blocks:
            assert (blocks._piece < 5000) == (memory == 1)
            made.append([(b.rows, b.codes, b.lists) for b in blocks.draw([(0, 5000)], seed=1, epoch=1)])
    for (r, c, lists), (r2, c2, lists2) in zip(*made, strict=True):
        assert np.array_equal(r, r2)
        assert np.array_equal(c, c2)
        assert all(np.array_equal(a, b) for name in lists for a, b in zip(lists[name], lists2[name], strict=True))


def test_seeds_assign_differently() -> None:
    with Blocks(TABLE, "train", seed=1, block_rows=300) as one, Blocks(TABLE, "train", seed=2, block_rows=300) as two:
        assert not np.array_equal(one.sizes, two.sizes)


def test_a_record_is_compact_and_aligned() -> None:
    record = Record(TABLE, slice(0, N))
    # u2 row; f4 load; f4 label; site, ad, noise and hour of one byte, id of two: 16 bytes
    assert record.size == 16
    assert all(where.start % dtype.itemsize == 0 for where, dtype in record._parts.values())


def test_few_rows_and_no_rows() -> None:
    table = replace(sequence_table(rows=50), splits={"train": (0, 1), "none": (1, 1)})
    with Blocks(table, "train", seed=1, block_rows=4) as blocks:
        (batch,) = batches(table, "train", size=10, seed=1, rows=blocks)
        assert batch.rows.tolist() == [0]
    with Blocks(table, "none", seed=1) as blocks:
        assert list(batches(table, "none", size=10, seed=1, rows=blocks)) == []
    with Blocks(table, None, seed=1, block_rows=1) as blocks:  # some blocks are empty
        assert (blocks.sizes == 0).any()
        assert sum(len(b.rows) for b in batches(table, None, size=3, seed=1, rows=blocks)) == 50


def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    with pytest.raises(DataError, match="of scratch are needed here"):
        Blocks(TABLE, "train", seed=1, scratch=tmp_path / "nowhere")


def test_only_blocks_that_are_needed_are_read(monkeypatch) -> None:
    with Blocks(TABLE, "train", seed=1, block_rows=300) as blocks:
        read = []
        plain = Blocks._read
        monkeypatch.setattr(Blocks, "_read", lambda self, block: read.append(block) or plain(self, block))
        list(blocks.sample(200, size=100, seed=1))
        assert len(read) <= 2
        read.clear()
        order(blocks)
        assert sorted(read) == list(range(len(blocks.sizes)))  # once each
        read.clear()
        list(batches(TABLE, "train", size=100, seed=1, rows=blocks, start=N // 100))
        assert len(read) == 1


def test_nothing_is_left_behind_even_after_a_kill(tmp_path) -> None:
    code = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from ctrsel.data.blocks import Blocks
        from ctrsel.testing.tables import tiny_table
        blocks = Blocks(tiny_table(rows=500), "train", seed=1, scratch=Path(sys.argv[1]))
        next(blocks.draw([(0, 10)], seed=1, epoch=0))
        print(blocks.nbytes, flush=True)
        sys.stdin.read()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        os.kill(process.pid, signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
