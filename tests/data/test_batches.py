import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import batches
from ctrsel.data.blocks import Blocks
from ctrsel.data.rows import RowMatrix
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import OTHER
from ctrsel.testing.tables import sequence_table, tiny_table

TABLES = {"tiny": tiny_table(), "sequence": sequence_table(), "rare": tiny_table(min_count=40)}
ARGUMENTS = st.fixed_dictionaries(
    {"size": st.integers(1, 500), "seed": st.none() | st.integers(0, 9), "epoch": st.integers(0, 3)}
)


def rows_of(table, split, **arguments) -> list[int]:
    return [r for b in batches(table, split, **arguments) for r in b.rows.tolist()]


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(list(TABLES)), split=st.sampled_from([None, "train", "valid"]), arguments=ARGUMENTS)
def test_every_row_once_an_epoch_and_a_pure_function(name, split, arguments) -> None:
    table = TABLES[name]
    span = table.span(split) if split else slice(0, table.n_rows)
    rows = rows_of(table, split, **arguments)
    assert sorted(rows) == list(range(span.start, span.stop))
    assert rows == rows_of(table, split, **arguments)
    if arguments["seed"] is None:
        assert rows == sorted(rows)
    sizes = [len(b.rows) for b in batches(table, split, **arguments)]
    assert all(s == arguments["size"] for s in sizes[:-1])
    assert 1 <= sizes[-1] <= arguments["size"]


def test_orders_differ_by_seed_and_epoch() -> None:
    orders = {tuple(rows_of(TABLES["tiny"], "train", size=32, seed=s, epoch=e)) for s in (1, 2) for e in (0, 1)}
    assert len(orders) == 4


@settings(max_examples=20, deadline=None)
@given(of=st.integers(1, 5), size=st.integers(1, 100), seed=st.none() | st.integers(0, 5))
def test_shards_partition_the_batches(of: int, size: int, seed: int | None) -> None:
    table = TABLES["sequence"]
    whole = [tuple(b.rows) for b in batches(table, "train", size=size, seed=seed, other_share=0.1)]
    shards = [list(batches(table, "train", size=size, seed=seed, shard=(i, of), other_share=0.1)) for i in range(of)]
    for i, shard in enumerate(shards):
        assert [tuple(b.rows) for b in shard] == whole[i::of]
    full = list(batches(table, "train", size=size, seed=seed, other_share=0.1))
    for i, batch in enumerate(full):  # what is hidden does not depend on the shards either
        assert np.array_equal(shards[i % of][i // of].codes, batch.codes)


@settings(max_examples=20, deadline=None)
@given(of=st.integers(1, 5), size=st.integers(1, 60), seed=st.none() | st.integers(0, 5), on_disk=st.booleans())
def test_parts_behind_each_other_are_the_batch(of: int, size: int, seed: int | None, on_disk: bool) -> None:
    table = TABLES["sequence"]
    with Blocks(table, "train", seed=1, block_rows=64) if on_disk else RowMatrix(table, "train") as rows:
        given = {"size": size, "seed": seed, "other_share": 0.1, "rows": rows, "start": 1}
        full = list(batches(table, "train", **given))
        parts = [list(batches(table, "train", **given, part=(i, of))) for i in range(of)]
    for i, batch in enumerate(full):
        own = [p[i] for p in parts]
        assert max(len(p.rows) for p in own) - min(len(p.rows) for p in own) <= 1
        for name in ("rows", "codes", "floats", "labels"):
            np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in own]), getattr(batch, name))
        for name, (offsets, codes) in batch.lists.items():
            np.testing.assert_array_equal(np.concatenate([p.lists[name][1] for p in own]), codes)
            np.testing.assert_array_equal(np.concatenate([np.diff(p.lists[name][0]) for p in own]), np.diff(offsets))


@pytest.mark.parametrize("name", TABLES)
def test_a_batch_holds_its_rows(name: str) -> None:
    table = TABLES[name]
    rows = RowMatrix(table, "train")
    for batch in batches(table, "train", size=50, seed=4, rows=rows):
        assert np.array_equal(batch.codes, table.matrix()[batch.rows])
        assert batch.codes.dtype == np.int32
        assert np.array_equal(batch.labels, table.labels[batch.rows])
        assert batch.weight is None
        assert batch.floats.shape == (len(batch.rows), len(table.float_fields))
        assert set(batch.lists) == set(table.list_fields)
        for field, (offsets, codes) in batch.lists.items():
            column = table.columns[field]
            assert isinstance(column, Ragged)
            expected = column.take(batch.rows)
            assert np.array_equal(offsets, expected.offsets)
            assert np.array_equal(codes, expected.codes.astype(np.int64) + table.encoder.offset(field))
            assert codes.dtype == np.int32


def test_floats_are_standardised_and_missing_is_zero() -> None:
    from dataclasses import replace

    table = TABLES["tiny"]
    load = np.array(table.columns["load"])
    load[3] = np.nan
    (batch,) = batches(replace(table, columns={**table.columns, "load": load}), "train", size=10_000)
    mean, spread = table.encoder.moments["load"]
    assert batch.floats[3, 0] == 0
    rest = np.delete(np.arange(len(batch.rows)), 3)
    assert batch.floats[rest, 0] == pytest.approx((load[rest] - mean) / spread, abs=1e-5)


def test_weights_and_no_labels() -> None:
    from dataclasses import replace

    table = replace(TABLES["tiny"], weight=np.arange(TABLES["tiny"].n_rows) / 2, labels=None)
    for batch in batches(table, "valid", size=7, seed=1):
        assert batch.labels is None
        assert batch.weight.dtype == np.float32
        assert np.array_equal(batch.weight, batch.rows / 2)


def test_other_share_touches_only_fields_without_other() -> None:
    table = TABLES["rare"]
    counts = {n: table.encoder.vocabulary(n).counts[OTHER] for n in table.code_fields}
    assert any(counts.values())
    assert not all(counts.values())
    plain = np.concatenate([b.codes for b in batches(table, "train", size=64, seed=1)])
    some = np.concatenate([b.codes for b in batches(table, "train", size=64, seed=1, other_share=0.2)])
    for j, name in enumerate(table.code_fields):
        changed = plain[:, j] != some[:, j]
        assert (some[changed, j] == table.encoder.offset(name) + OTHER).all()
        share = changed.mean()
        assert share == 0 if counts[name] else share == pytest.approx(0.2, abs=0.08)
    again = np.concatenate([b.codes for b in batches(table, "train", size=64, seed=1, epoch=1, other_share=0.2)])
    assert not np.array_equal(np.sort(some, axis=0), np.sort(again, axis=0))


@pytest.mark.parametrize(
    "bad", [{"size": 0}, {"size": 1, "shard": (1, 1)}, {"size": 1, "shard": (-1, 2)}, {"size": 1, "other_share": 1.0}]
)
def test_arguments_out_of_range(bad) -> None:
    with pytest.raises(ConfigError, match="batches: need size >= 1"):
        list(batches(TABLES["tiny"], "train", **bad))
