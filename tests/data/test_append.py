import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import DataConfig, FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.append import append
from ctrsel.data.ingest import ingest
from ctrsel.data.store import REJECTS, locked
from ctrsel.data.table import Ragged, Table
from ctrsel.data.tally import STORE

SCHEMA = SchemaConfig(
    label=LabelConfig(name="y"),
    fields={
        "h": FieldConfig(kind="multivalued", vocabulary="a"),
        "k": FieldConfig(kind="categorical", hash_buckets=7, min_count=1),
        "n": FieldConfig(kind="numeric", bucket="none"),
        "u": FieldConfig(kind="categorical"),
    },
    time="t",
    group="u",
)


def days(rows: int, *, seed: int, values: int = 30, start: int = 0) -> pl.DataFrame:
    """Rows in time order whose values come and go."""
    rng = np.random.default_rng(seed)
    drift = np.arange(start, start + rows) // 40
    return pl.DataFrame(
        {
            "y": rng.integers(0, 2, rows),
            "t": np.arange(start, start + rows) // 3,
            "a": [f"a{v}" for v in rng.zipf(1.7, rows).clip(1, values) + drift],
            "b": [None if v == 0 else str(v) for v in rng.integers(0, values, rows)],
            "h": [[f"a{x}" for x in rng.integers(1, values, rng.integers(0, 4))] for _ in range(rows)],
            "k": [f"k{v}" for v in rng.integers(0, values, rows)],
            "n": rng.normal(size=rows),
            "u": rng.integers(0, rows // 4 + 1, rows),
        }
    )


def decoded(table: Table) -> dict[str, dict[int, object]]:
    """Per field the text of each row by its source number: what the table says, whatever the codes are."""
    found: dict[str, dict[int, object]] = {}
    for f in table.schema.fields:
        column = table.columns[f.name]
        if f.is_float:
            found[f.name] = dict(zip(table.row.tolist(), np.asarray(column).tolist(), strict=True))
            continue
        vocabulary = table.encoder.vocabulary(f.name)
        every = np.arange(vocabulary.size)
        names = np.array(every if vocabulary.hashed is not None else vocabulary.texts(every), dtype=object)
        if isinstance(column, Ragged):
            texts = [
                tuple(names[np.asarray(column.codes[column.offsets[i] : column.offsets[i + 1]])])
                for i in range(table.n_rows)
            ]
        else:
            texts = names[np.asarray(column)].tolist()
        found[f.name] = dict(zip(table.row.tolist(), texts, strict=True))
    return found


def counted(table: Table) -> dict[str, dict[str, int]]:
    return {
        name: dict(zip(v.texts(np.arange(v.size)), v.counts.tolist(), strict=True))
        for name, v in table.encoder.vocabularies.items()
        if v.hashed is None
    }


@given(
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    seed=st.integers(0, 50),
    minimum=st.sampled_from([1, 2, 5]),
    use=st.sampled_from(["hash", "group", "time"]),
)
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_appended_increments_are_a_refit_on_the_union(tmp_path_factory, sizes, seed, minimum, use) -> None:
    folder = tmp_path_factory.mktemp("store")
    whole = days(200 + sum(sizes), seed=seed)
    how = {
        "schema": SCHEMA,
        "split": SplitConfig(use=use, valid=0.2, test=0.2),
        "settings": IngestConfig(min_count=minimum),
        "seed": seed,
    }
    # Cut where a moment ends: rows of the newest stored moment count as stored.
    cuts = [int(c) // 3 * 3 for c in np.cumsum([200, *sizes])[:-1]] + [whole.height]
    ingest(whole.head(cuts[0]), **how, out=folder / "store")
    before = Table.load(folder / "store")
    for start, stop in itertools.pairwise(cuts):
        table = append(folder / "store", whole.slice(start, stop - start)) if stop > start else before
        for name, old in before.encoder.vocabularies.items():
            new = table.encoder.vocabularies[name]
            assert new.texts(np.arange(old.size)) == old.texts(np.arange(old.size))  # base codes never change
        before = table
    refit = ingest(whole, **how)
    assert table.splits == refit.splits
    assert np.array_equal(table.row, refit.row)
    assert np.array_equal(table.labels, refit.labels)
    assert np.array_equal(table.time, refit.time)
    assert np.array_equal(table.group, refit.group)
    assert decoded(table) == decoded(refit)
    assert counted(table) == counted(refit)


def store(tmp_path: Path, rows: int = 300, **more) -> Path:
    how = {"schema": SCHEMA, "split": SplitConfig(use="time"), **more}
    ingest(days(rows, seed=1), **how, out=tmp_path / "store")
    return tmp_path / "store"


def test_old_rows_keep_their_side_when_rows_are_drawn(tmp_path: Path) -> None:
    path = store(tmp_path, split=SplitConfig(use="stratified"))
    old = Table.load(path)
    new = append(path, days(100, seed=2, start=300))
    for name in ("train", "valid", "test"):
        assert set(old.row[old.span(name)].tolist()) <= set(new.row[new.span(name)].tolist())
    assert new.encoder.ancestors == (old.encoder.digest,)


def test_the_same_rows_again_change_nothing(tmp_path: Path) -> None:
    path = store(tmp_path)
    digest = Table.load(path).digest
    again = append(path, days(300, seed=1))
    assert again.digest == digest
    grown = append(path, days(330, seed=1))
    assert grown.n_rows == 330
    told = json.loads((path / STORE).read_text())
    assert told["tally"]["known"] == 300
    assert told["increments"] == 1


def test_files_that_were_read_are_left_out_without_a_time(tmp_path: Path) -> None:
    schema = SchemaConfig(label=LabelConfig(name="y"), ignore=("t", "u", "n", "h"))
    for i in range(2):
        days(100, seed=i).write_parquet(tmp_path / f"day{i}.parquet")
    ingest(tmp_path / "day0.parquet", schema=schema, out=tmp_path / "store")
    table = append(tmp_path / "store", f"{tmp_path}/day*.parquet")
    assert table.n_rows == 200
    assert append(tmp_path / "store", f"{tmp_path}/day*.parquet").digest == table.digest


def test_a_file_that_changed_is_not_read_twice_without_a_time(tmp_path: Path) -> None:
    """Its old rows would stand in the table a second time, in another split perhaps."""
    schema = SchemaConfig(label=LabelConfig(name="y"), ignore=("t", "u", "n", "h"))
    file = tmp_path / "log.parquet"
    days(100, seed=1).write_parquet(file)
    ingest(file, schema=schema, out=tmp_path / "store")
    days(110, seed=1).write_parquet(file)
    with pytest.raises(DataError, match=r"log\.parquet: has changed since it was read, and without schema\.time"):
        append(tmp_path / "store", file)
    days(10, seed=2).write_parquet(tmp_path / "more.parquet")
    assert append(tmp_path / "store", tmp_path / "more.parquet").n_rows == 110


def test_the_rest_of_a_file_of_which_some_rows_were_read_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    days(300, seed=1).write_parquet(file)
    some = DataConfig(train=str(file), rows=150)
    ingest(some, schema=SCHEMA, split=SplitConfig(use="time"), out=tmp_path / "timed")
    assert append(tmp_path / "timed", file).n_rows == 300
    schema = SchemaConfig(label=LabelConfig(name="y"), ignore=("t", "u", "n", "h"))
    ingest(some, schema=schema, out=tmp_path / "store")
    with pytest.raises(DataError, match=r"without schema\.time its old rows cannot be told from new ones"):
        append(tmp_path / "store", file)


def test_late_rows_are_told(tmp_path: Path) -> None:
    path = store(tmp_path)
    days(20, seed=3, start=290).write_parquet(tmp_path / "late.parquet")
    table = append(path, str(tmp_path / "late.parquet"))
    told = json.loads((path / STORE).read_text())["tally"]
    assert told["late"] + told["stored"] - 300 == 20
    assert told["late"] == 10
    assert table.n_rows == 310


def test_growth_is_limited(tmp_path: Path) -> None:
    path = store(tmp_path)
    old = Table.load(path).encoder
    new = append(path, days(200, seed=2, start=300, values=200), settings=IngestConfig(growth=3)).encoder
    assert {k: v.size - old.vocabularies[k].size for k, v in new.vocabularies.items() if v.hashed is None} == {
        "a": 3,
        "b": 3,
        "u": 3,
    }


def test_young_rows_wait_for_their_outcome(tmp_path: Path) -> None:
    schema = SchemaConfig(label=LabelConfig(name="y", delay="20"), time="t", ignore=("h", "n", "u", "k"))
    whole = days(600, seed=1)
    first = ingest(whole.head(300), schema=schema, split=SplitConfig(use="time"), out=tmp_path / "store")
    assert first.time.max() == 99 - 20
    second = append(tmp_path / "store", whole.head(450))  # the young rows of the first time come again
    assert second.time.max() == 149 - 20
    assert sorted(second.time.tolist()) == sorted(whole.filter(pl.col("t") <= 129)["t"].to_list())
    as_of = ingest(whole, schema=schema, split=SplitConfig(use="time"), as_of="149")
    assert sorted(as_of.time.tolist()) == sorted(second.time.tolist())


def test_rejected_rows_are_kept_over_increments(tmp_path: Path) -> None:
    schema = SchemaConfig(label=LabelConfig(name="y"), time="t", ignore=("h", "u"))
    bad = days(300, seed=1).with_columns(y=pl.when(pl.col("t") == 5).then(None).otherwise(pl.col("y")))
    tolerant = IngestConfig(tolerance=0.1)
    ingest(bad, schema=schema, settings=tolerant, out=tmp_path / "store")
    more = days(30, seed=2, start=300).with_columns(y=pl.when(pl.col("t") == 101).then(7).otherwise(pl.col("y")))
    append(tmp_path / "store", more)
    rejects = pl.read_csv(tmp_path / "store" / REJECTS)
    assert rejects["reason"].to_list()[:3] == ["label 'y': has no value"] * 3
    assert rejects["reason"].to_list()[3:] == ["label 'y': must be '0' or '1', got 7"] * 3
    assert rejects["row"].to_list() == [16, 17, 18, 4, 5, 6]
    told = json.loads((tmp_path / "store" / STORE).read_text())["tally"]
    assert told["read"] == told["stored"] + told["rejected"] == 330


def rows_of_files(folder: Path, **bad: str) -> None:
    for i in range(5):
        text = days(30, seed=i, start=30 * i).drop("h", "u").write_csv()
        (folder / f"day{i}.csv").write_text(text + bad.get(f"day{i}", ""))


def test_rejected_rows_of_files_that_come_again_are_told_once(tmp_path: Path) -> None:
    """A nightly job names the files of several days."""
    schema = SchemaConfig(label=LabelConfig(name="y"), time="t")
    rows_of_files(tmp_path, day1="1,2\n", day3="broken\n")
    path = tmp_path / "store"
    ingest(f"{tmp_path}/day[012].csv", schema=schema, settings=IngestConfig(tolerance=0.1), out=path)
    for _ in range(2):
        append(path, f"{tmp_path}/day[1-3].csv")
    append(path, f"{tmp_path}/day[1-4].csv")
    rejects = pl.read_csv(path / REJECTS)
    assert [Path(f).name for f in rejects["file"]] == ["day1.csv", "day3.csv"]
    told = json.loads((path / STORE).read_text())["tally"]
    assert (told["stored"], told["rejected"]) == (150, 2)


def test_rejected_rows_are_told_where_nothing_else_is_new(tmp_path: Path) -> None:
    path = store(tmp_path, settings=IngestConfig(tolerance=0.5))
    digest = Table.load(path).digest
    old = days(20, seed=1).with_columns(y=pl.when(pl.int_range(20) < 4).then(None).otherwise(pl.col("y")))
    assert append(path, old).digest == digest
    assert pl.read_csv(path / REJECTS)["row"].to_list() == [1, 2, 3, 4]
    told = json.loads((path / STORE).read_text())["tally"]
    assert (told["read"], told["stored"], told["rejected"], told["known"]) == (320, 300, 4, 16)


def test_a_last_moment_of_too_many_rows_is_said(tmp_path: Path) -> None:
    path = store(tmp_path)
    last = days(200, seed=2, start=300).with_columns(t=pl.lit(100))
    why = r"split 'valid' \(time\) must hold rows of both labels after the increment, got no rows; rows of one moment"
    with pytest.raises(DataError, match=why):
        append(path, last)
    assert Table.load(path).n_rows == 300


def test_what_cannot_be_appended_is_said(tmp_path: Path) -> None:
    path = store(tmp_path)
    with pytest.raises(DataError, match="the store has a column 'b', which is missing here"):
        append(path, days(10, seed=1, start=300).drop("b"))
    with pytest.raises(ConfigError, match=r"ingest\.min_count: the store was made with 1 and keeps it, got 5"):
        append(path, days(10, seed=1, start=300), settings=IngestConfig(min_count=5))
    with pytest.raises(DataError, match="holds whole numbers in the store, and times here"):
        append(path, days(10, seed=1, start=300).with_columns(t=pl.lit("2026-01-01")))
    Table.load(path).save(tmp_path / "plain")
    with pytest.raises(DataError, match="was not written by ingest"):
        append(tmp_path / "plain", days(10, seed=1, start=300))
    with locked(path), pytest.raises(ConfigError, match="another process is writing this table"):
        append(path, days(10, seed=1, start=300))
    assert Table.load(path).n_rows == 300


def test_a_store_that_has_grown_is_not_replaced(tmp_path: Path) -> None:
    path = store(tmp_path)
    store(tmp_path)  # a first ingest may be made again
    append(path, days(30, seed=2, start=300))
    with pytest.raises(
        ConfigError, match="holds a table with 1 increments, which would be lost; add to it with --append"
    ):
        store(tmp_path)
    assert Table.load(path).n_rows == 330


def test_a_store_is_what_memory_holds(tmp_path: Path) -> None:
    table = ingest(days(300, seed=1), schema=SCHEMA)
    stored = Table.load(store(tmp_path, split=SplitConfig()))
    assert stored.digest == table.digest
    assert isinstance(stored.columns["a"], np.memmap)
