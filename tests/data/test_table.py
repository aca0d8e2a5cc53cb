from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.table import Ragged, Table
from ctrsel.testing.tables import sequence_table, tiny_table

LISTS = st.lists(st.lists(st.integers(0, 200), max_size=4), min_size=1, max_size=12)


def ragged(lists: list[list[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Ragged(offsets=offsets, codes=np.array([c for x in lists for c in x], dtype=np.uint8))


def unpacked(column: Ragged) -> list[list[int]]:
    return [column.codes[a:b].tolist() for a, b in zip(column.offsets, column.offsets[1:], strict=False)]


@given(LISTS, st.data())
def test_ragged_take_is_list_indexing(lists: list[list[int]], data) -> None:
    rows = data.draw(st.lists(st.integers(-len(lists), len(lists) - 1), max_size=15))
    taken = ragged(lists).take(np.array(rows, dtype=np.int64))
    assert unpacked(taken) == [lists[i] for i in rows]
    assert len(taken) == len(rows)
    assert taken.codes.dtype == np.uint8
    mask = np.array([i % 2 == 0 for i in range(len(lists))])
    assert unpacked(ragged(lists).take(mask)) == lists[::2]


@pytest.fixture(scope="module", params=["tiny", "sequence"])
def table(request) -> Table:
    made = tiny_table() if request.param == "tiny" else sequence_table()
    n = made.n_rows
    return replace(made, weight=np.linspace(0, 1, n), group=np.arange(n) % 7, time=np.arange(n))


def row_of(table: Table, i: int) -> dict[str, object]:
    values = {k: unpacked(c)[i] if isinstance(c, Ragged) else c[i] for k, c in table.columns.items()}
    return {**values, **{k: getattr(table, k)[i].tolist() for k in ("labels", "weight", "group", "time", "row")}}


def test_parts_are_the_rows_of_their_split(table: Table) -> None:
    for split in table.splits:
        part = table.part(split)
        span = table.span(split)
        assert dict(part.splits) == {split: (0, span.stop - span.start)}
        assert repr(row_of(part, 3)) == repr(row_of(table, span.start + 3))
        assert part.encoder is table.encoder
    plain = next(k for k, c in table.columns.items() if not isinstance(c, Ragged))
    assert np.shares_memory(table.part("train").columns[plain], table.columns[plain])


def test_without_and_take(table: Table) -> None:
    rest = table.without("test")
    assert list(rest.splits) == ["train", "valid"]
    assert rest.n_rows == table.splits["valid"][1]
    with pytest.raises(DataError, match="no split 'test'; it has: train, valid"):
        rest.span("test")
    with pytest.raises(DataError, match="only the last split can be left out, 'train' is not"):
        table.without("train")
    rows = np.array([5, 0, 5])
    taken = table.take(rows)
    assert dict(taken.splits) == {}
    assert [repr(row_of(taken, i)) for i in range(3)] == [repr(row_of(table, i)) for i in rows]
    assert table.take(np.zeros(0, dtype=np.int64)).n_rows == 0


def test_matrix_has_rows_of_the_one_embedding_table(table: Table) -> None:
    whole = table.matrix()
    assert whole.dtype == np.int32
    assert whole.flags.c_contiguous
    assert whole.shape == (table.n_rows, len(table.code_fields))
    assert np.array_equal(table.matrix("valid"), whole[table.span("valid")])
    for j, name in enumerate(table.code_fields):
        assert np.array_equal(whole[:, j] - table.encoder.offset(name), table.columns[name])
        assert whole[:, j].max() < table.encoder.offset(name) + table.encoder.size(name)
    assert {*table.code_fields, *table.float_fields, *table.list_fields} == set(table.columns)


def test_save_and_load_by_memory_map(table: Table, tmp_path: Path) -> None:
    table.save(tmp_path / "t")
    back = Table.load(tmp_path / "t")
    assert back.digest == table.digest
    assert replace(back, source=back.source).digest == table.digest  # computed again from the mapped arrays
    assert (back.splits, back.source, list(back.columns)) == (table.splits, table.source, list(table.columns))
    assert isinstance(back.row, np.memmap)
    assert repr(row_of(back.part("valid"), 2)) == repr(row_of(table.part("valid"), 2))
    bare = replace(table, labels=None, weight=None, group=None, time=None)
    bare.save(tmp_path / "t")
    assert Table.load(tmp_path / "t").labels is None


def test_narrowing_a_mapped_table_that_does_not_fit_writes_to_scratch(
    table: Table, tmp_path, any_features, monkeypatch
):
    table.save(tmp_path / "t")
    mapped = Table.load(tmp_path / "t")
    features = any_features(table.encoder, 3)
    plain = table.narrow(features)
    assert mapped.narrow(features).digest == plain.digest
    monkeypatch.setattr("ctrsel.data.table.available_memory", lambda: 10)
    monkeypatch.setattr("ctrsel.data.table._PIECE", 100)
    narrow = mapped.narrow(features, scratch=tmp_path)
    assert narrow.digest == plain.digest
    arrays = [c.codes if isinstance(c, Ragged) else c for c in narrow.columns.values()]
    assert all(isinstance(a, np.memmap) for a in arrays)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
    assert not any(isinstance(c, np.memmap) for c in table.narrow(features).columns.values())


def test_matrix_of_a_slice(table: Table) -> None:
    whole = table.matrix()
    for rows in (slice(0, 0), slice(3, 57), slice(100, None)):
        assert np.array_equal(table.matrix(rows), whole[rows])


@given(LISTS, st.integers(0, 12), st.integers(0, 12))
def test_ragged_between_is_slicing(lists: list[list[int]], start: int, stop: int) -> None:
    part = ragged(lists).between(slice(start, stop))
    assert unpacked(part) == lists[start:stop]
    assert part.offsets[0] == 0


@pytest.mark.parametrize("damage", ["missing", "short", "other length"])
def test_damaged_parts_are_one_sentence(table: Table, tmp_path: Path, damage: str) -> None:
    table.save(tmp_path / "t")
    for name in ("labels", "weight", "row", "column_1"):
        file = tmp_path / "t" / f"{name}.npy"
        whole = file.read_bytes() if file.exists() else None
        if whole is None:
            continue
        if damage == "missing":
            file.unlink()
        elif damage == "short":
            file.write_bytes(whole[: len(whole) // 2])
        else:
            np.save(file, np.load(file)[:-1])
        with pytest.raises(DataError):
            Table.load(tmp_path / "t")
        file.write_bytes(whole)
    Table.load(tmp_path / "t")


def test_digest_is_of_the_content(table: Table) -> None:
    flipped = replace(table, labels=1 - table.labels)
    moved = replace(table, splits={**table.splits, "train": (0, 1)})
    assert len({table.digest, flipped.digest, moved.digest, table.part("train").digest}) == 4
    assert replace(table, source="elsewhere").digest == table.digest
    assert table.take(np.arange(table.n_rows)).digest != table.digest  # it has no splits


def test_shapes_are_checked(table: Table) -> None:
    with pytest.raises(DataError, match="weight has 1 rows, expected"):
        replace(table, weight=np.ones(1))
    with pytest.raises(DataError, match="columns must be the encoder's fields in order"):
        replace(table, columns=dict(reversed(table.columns.items())))
    name = next(iter(table.columns))
    with pytest.raises(DataError, match=f"column '{name}' has 1 rows, expected {table.n_rows}"):
        replace(table, columns={**table.columns, name: np.zeros(1)})
    with pytest.raises(DataError, match="no labels"):
        replace(table, labels=None).label()
