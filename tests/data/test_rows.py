"""Rows in memory and rows in blocks: the same rows with the same content, in orders of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import Batch, batches
from ctrsel.data.blocks import Blocks
from ctrsel.data.rows import RowMatrix
from ctrsel.data.table import Table
from ctrsel.testing.tables import sequence_table, tiny_table


def weighted(table: Table) -> Table:
    return replace(table, weight=np.linspace(0.5, 3, table.n_rows))


TABLES = {
    "tiny": tiny_table(),
    "sequence": weighted(sequence_table()),
    "wide": weighted(tiny_table(rows=3000)),  # `id` has more than 256 values
    "no labels": replace(sequence_table(rows=90), labels=None),
}
KINDS = {
    "matrix": RowMatrix,
    "blocks": lambda table, split: Blocks(table, split, seed=7, block_rows=64),
    "one block": lambda table, split: Blocks(table, split, seed=7),
}
ALL = [(name, kind) for name in TABLES for kind in KINDS]


@pytest.fixture(params=ALL, ids=str)
def opened(request):
    name, kind = request.param
    with KINDS[kind](TABLES[name], "train") as rows:
        yield rows


def content(batch: Batch, table: Table) -> dict[int, tuple]:
    """Return what each row of a batch holds, by row number."""
    found = {}
    for i, row in enumerate(batch.rows.tolist()):
        one = batch.between(i, i + 1)
        lists = tuple(tuple(one.lists[name][1].tolist()) for name in table.list_fields)
        parts = (one.codes, one.floats, one.labels, one.weight)
        found[row] = (*(None if p is None else p.tobytes() for p in parts), lists)
    return found


def test_an_epoch_holds_every_row_once_as_the_columns_have_it(opened) -> None:
    table = opened.table
    expected: dict[int, tuple] = {}
    for batch in batches(table, "train", size=100):
        expected |= content(batch, table)
    found: dict[int, tuple] = {}
    for batch in batches(table, "train", size=33, seed=3, rows=opened):
        assert batch.rows.dtype == np.int64
        assert batch.codes.dtype == np.int32
        assert batch.floats.dtype == np.float32
        assert all(o.dtype == np.int64 and c.dtype == np.int32 for o, c in batch.lists.values())
        some = content(batch, table)
        assert not set(some) & set(found)
        found |= some
    assert found == expected
    assert len(opened) == len(expected)


def test_epochs_and_seeds_have_orders_of_their_own(opened) -> None:
    def order(**arguments):
        return tuple(r for b in batches(opened.table, "train", size=50, rows=opened, **arguments) for r in b.rows)

    orders = {order(seed=s, epoch=e) for s in (1, 2) for e in (0, 1)}
    assert len(orders) == 4
    assert order(seed=1, epoch=1) == order(seed=1, epoch=1)


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(list(KINDS)), size=st.integers(1, 90), start=st.integers(0, 12), of=st.integers(1, 4))
def test_shards_and_a_later_start_are_slices_of_one_stream(kind, size, start, of) -> None:
    table = TABLES["sequence"]
    with KINDS[kind](table, "train") as rows:
        whole = [
            content(b, table) for b in batches(table, "train", size=size, seed=1, epoch=2, rows=rows, other_share=0.1)
        ]
        for i in range(of):
            some = batches(
                table, "train", size=size, seed=1, epoch=2, rows=rows, other_share=0.1, shard=(i, of), start=start
            )
            assert [content(b, table) for b in some] == [w for j, w in enumerate(whole) if j >= start and j % of == i]


def test_a_sample_is_without_replacement_and_not_the_first_rows(opened) -> None:
    table = opened.table
    n = len(opened)
    some = [b.rows for b in opened.sample(40, size=15, seed=3)]
    assert [len(s) for s in some] == [15, 15, 10][: len(some)]
    rows = np.concatenate(some)
    assert len(set(rows.tolist())) == 40
    assert not np.array_equal(np.sort(rows), np.arange(40))
    assert np.array_equal(rows, np.concatenate([b.rows for b in opened.sample(40, size=15, seed=3)]))
    whole = np.concatenate([b.rows for b in opened.sample(10**9, size=50, seed=3)])
    assert np.array_equal(np.sort(whole), np.arange(n) + table.span("train").start)


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_in_the_middle_and_all_rows(kind) -> None:
    table = TABLES["wide"]
    for split, span in (("valid", table.span("valid")), (None, slice(0, table.n_rows))):
        with KINDS[kind](table, split) as rows:
            found = np.concatenate([b.rows for b in batches(table, split, size=64, seed=0, rows=rows)])
            assert np.array_equal(np.sort(found), np.arange(span.start, span.stop))


def test_rows_of_another_table_or_split_are_refused() -> None:
    rows = RowMatrix(TABLES["tiny"], "train")
    for table, split in ((TABLES["tiny"], "valid"), (TABLES["wide"], "train")):
        with pytest.raises(ConfigError, match="rows given are those of the split 'train'"):
            next(batches(table, split, size=5, seed=1, rows=rows))


def test_a_mapped_table_in_memory_holds_the_same(tmp_path) -> None:
    table = TABLES["sequence"]
    table.save(tmp_path / "t")
    mapped = Table.load(tmp_path / "t")
    for a, b in zip(
        batches(table, "valid", size=9, seed=1, epoch=1), batches(mapped, "valid", size=9, seed=1, epoch=1), strict=True
    ):
        assert content(a, table) == content(b, mapped)
    assert RowMatrix.estimate(mapped, "train") > RowMatrix.estimate(table, "train")


def test_the_table_is_read_in_slices_when_in_order(monkeypatch) -> None:
    table = TABLES["wide"]
    seen = []
    plain = Table.matrix
    monkeypatch.setattr(Table, "matrix", lambda self, rows=None: seen.append(rows) or plain(self, rows))
    list(batches(table, None, size=1000))
    assert seen == [slice(0, 3000)]
    monkeypatch.setattr("ctrsel.data.rows._READ", 500)
    seen.clear()
    list(batches(table, None, size=100))
    assert seen == [slice(a, a + 500) for a in range(0, 3000, 500)]
