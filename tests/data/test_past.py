"""A Table as it would have been: the same Encoder as an ingest of those rows, and nothing of what came later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.data.past import Periods, moment_text, past_table, recent, refitted
from ctrsel.data.table import Ragged
from ctrsel.testing.tables import sequence_frame, tiny_frame

NONE = SplitConfig(use="none")


def frame_of_days(rows=600, seed=0):
    frame = tiny_frame(rows=rows, seed=seed).drop("id")
    tags = sequence_frame(rows=rows, seed=seed).select("tags", "history")
    return frame.hstack(tags.get_columns()).with_columns(day=pl.Series(np.arange(rows) * 4 // rows))


def schema(**more):
    fields = {
        "hour": FieldConfig(kind="numeric", bucket="log2"),
        "load": FieldConfig(kind="numeric", bucket="none"),
        "history": FieldConfig(kind="sequence"),
    }
    return SchemaConfig(label=LabelConfig(name="click"), fields=fields, time="day", **more)


@pytest.mark.parametrize("min_count", [1, 4])
def test_the_encoder_is_that_of_an_ingest_of_the_past(min_count):
    frame, settings = frame_of_days(), IngestConfig(min_count=min_count)
    whole = ingest(frame, schema=schema(), split=NONE, settings=settings)
    past = ingest(frame.filter(pl.col("day") < 2), schema=schema(), split=NONE, settings=settings)
    rows = np.flatnonzero(np.asarray(whole.time) < 2)
    encoder, _ = refitted(whole, rows)
    for name, vocabulary in past.encoder.vocabularies.items():
        mine = encoder.vocabularies[name]
        assert mine.values.to_list() == vocabulary.values.to_list(), name
        assert mine.codes.tolist() == vocabulary.codes.tolist()
        assert mine.counts.tolist() == vocabulary.counts.tolist()
    assert encoder.moments["load"] == pytest.approx(past.encoder.moments["load"], rel=1e-5)
    shown = past_table(whole, {"train": rows}, fit=rows)
    for name, column in past.columns.items():
        mine = shown.columns[name]
        if isinstance(column, Ragged):
            np.testing.assert_array_equal(mine.codes, column.codes)
            np.testing.assert_array_equal(mine.offsets, column.offsets)
        else:
            np.testing.assert_array_equal(mine, column)
            assert mine.dtype == column.dtype


def test_rows_of_the_future_are_seen_through_the_encoder_of_the_past():
    frame = frame_of_days()
    whole = ingest(frame, schema=schema(), split=NONE)
    rows = np.flatnonzero(np.asarray(whole.time) < 1)[:40]
    later = np.flatnonzero(np.asarray(whole.time) == 3)
    shown = past_table(whole, {"train": rows, "test": later}, fit=rows)
    assert shown.splits == {"train": (0, 40), "test": (40, 40 + len(later))}
    coded = shown.encoder.encode(frame[later])
    for name, column in shown.part("test").columns.items():
        mine, theirs = (c.codes if isinstance(c, Ragged) else c for c in (column, coded.columns[name]))
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(shown.part("test").label(), frame["click"].to_numpy()[later])
    np.testing.assert_array_equal(shown.part("test").row, later)


def test_hashed_and_crossed_fields_and_narrowed_tables():
    frame = frame_of_days().drop("history", "tags")
    told = schema()
    told = replace(
        told, fields={**{k: v for k, v in told.fields.items() if k != "history"}, "ad": FieldConfig(hash_buckets=7)}
    )
    whole = ingest(frame, schema=told, split=NONE).crossed([("site", "noise")], min_count=3)
    early = frame.filter(pl.col("day") == 0)
    past = ingest(early, schema=told, split=NONE).crossed([("site", "noise")], min_count=3)
    rows = np.flatnonzero(np.asarray(whole.time) == 0)
    shown = past_table(whole, {"train": rows}, fit=rows)
    for name in ("site*noise", "ad"):
        np.testing.assert_array_equal(shown.columns[name], past.columns[name])
        assert shown.encoder.vocabulary(name).counts.tolist() == past.encoder.vocabulary(name).counts.tolist()


def test_periods_by_day_by_hour_and_by_number():
    times = ["2026-01-01T23:00", "2026-01-01T05:00", "2026-01-02T00:00", "2026-01-03T10:00"] * 5
    frame = pl.DataFrame({"at": times, "ad": ["a", "b"] * 10, "click": [0, 1, 1, 0] * 5})
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), time="at"), split=NONE)
    days = Periods.of(table, "1d")
    assert days.names == ("2026-01-01", "2026-01-02", "2026-01-03")
    assert days.starts.tolist() == [0, 10, 15, 20]
    assert days.order[:5].tolist() == [1, 5, 9, 13, 17]  # 5 o'clock, by row number
    assert Periods.of(table, "12h").names[1] == "2026-01-01T12:00:00"
    assert len(Periods.of(table, None)) == 4
    with pytest.raises(ConfigError, match="number and a unit"):
        Periods.of(table, "3")
    numbers = replace(table, time=np.arange(20, dtype=np.int64))
    assert Periods.of(numbers, "7").names == ("0", "7", "14")
    assert Periods.of(numbers, "7").starts.tolist() == [0, 7, 14, 20]
    many = replace(table, time=np.arange(20, dtype=np.int64) * 10**14)
    assert moment_text(int(many.time[1]) + 1, temporal=True) == "1973-03-03T09:46:40.000001"
    with pytest.raises(ConfigError, match=r"schema\.time"):
        Periods.of(replace(table, time=None), "1d")


def test_no_rows_and_a_split_that_leaves_all_rows_for_training():
    frame = frame_of_days(rows=60)
    table = ingest(frame, schema=schema(), split=NONE)
    assert table.splits == {"train": (0, 60), "valid": (60, 60), "test": (60, 60)}
    with pytest.raises(DataError, match="no rows"):
        refitted(table, np.zeros(0, dtype=np.int64))


def test_the_newest_training_rows_of_a_loaded_table(tmp_path):
    from ctrsel.data.table import Table

    frame = frame_of_days().drop("history", "tags")
    told = SchemaConfig(label=LabelConfig(name="click"), time="day")
    ingest(frame, schema=told, split=SplitConfig(use="time", valid=0.25, test=0.25), out=tmp_path / "store")
    table = Table.load(tmp_path / "store")
    shown = recent(table, "1")
    assert list(shown.splits) == ["train", "valid", "test"]
    assert set(shown.part("train").time.tolist()) == {1}
    assert shown.encoder.digest == table.encoder.digest
    assert shown.without("test").n_rows == 300
    np.testing.assert_array_equal(shown.part("test").columns["ad"], table.part("test").columns["ad"])
    with pytest.raises(ConfigError, match=r"data\.newest: must be a number in the time column's own unit"):
        recent(table, "1d")
    with pytest.raises(ConfigError, match=r"needs schema\.time"):
        recent(replace(table, time=None), "1")
