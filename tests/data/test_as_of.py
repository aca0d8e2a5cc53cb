"""A store as of an earlier moment is what an ingest of that moment was."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.append import append
from ctrsel.data.as_of import has_later_rows, table_as_of
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table

MOMENTS = 80


def rows(seed: int, *, dates: bool = False) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, MOMENTS, 400))
    when = [str(datetime.date(2026, 1, 1) + datetime.timedelta(days=int(d) // 10)) for d in day] if dates else day
    return pl.DataFrame(
        {
            "day": when,
            "ad": [f"ad{v}" for v in rng.zipf(1.4, 400).clip(1, 60)],
            "tags": [[f"t{v}" for v in rng.integers(0, 9, rng.integers(0, 3))] for _ in range(400)],
            "load": rng.normal(size=400),
            "click": rng.integers(0, 2, 400),
        },
        schema_overrides={"tags": pl.List(pl.String)},
    )


def schema(delay: str | None = None) -> SchemaConfig:
    return SchemaConfig(label=LabelConfig(name="click", delay=delay), time="day")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


@given(
    seed=st.integers(0, 5),
    last=st.integers(32, MOMENTS),  # at 31 the test rows of one draw have one label only, which is refused
    rule=st.tuples(st.sampled_from(["time", "stratified"]), st.sampled_from([None, "5"]), st.integers(1, 3)),
)
@example(seed=0, last=MOMENTS - 1, rule=("time", None, 1))  # nothing came later
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_is_what_an_ingest_of_that_moment_was(places, seed, last, rule) -> None:
    use, delay, minimum = rule
    frame = rows(seed)
    more = {"schema": schema(delay), "split": SplitConfig(use=use), "settings": IngestConfig(min_count=minimum)}
    store = places / f"{seed}-{use}-{delay}-{minimum}"
    if not store.exists():
        ingest(frame.filter(pl.col("day") <= 50), **more, out=store)
        append(store, frame)
    then = ingest(frame, **more, as_of=str(last))
    found = table_as_of(store, str(last))
    assert has_later_rows(store, str(last)) == (found.n_rows < table_as_of(store, "999").n_rows)
    if not has_later_rows(store, str(last)):  # the store itself, with the splits and codes of two ingests
        assert found.digest == Table.load(store).digest
        return
    for name in ("train", "valid", "test"):
        mine, wanted = found.part(name), then.part(name)
        order, other = np.argsort(mine.row), np.argsort(wanted.row)
        if use == "time":  # drawn rows keep the side that they were drawn to, whatever was known then
            assert mine.time[order].tolist() == wanted.time[other].tolist()
            assert mine.label()[order].tolist() == wanted.label()[other].tolist()
            assert found.encoder.vocabulary("ad").size == then.encoder.vocabulary("ad").size
            assert mine.columns["ad"][order].tolist() == wanted.columns["ad"][other].tolist()
        assert mine.time.max() <= last - 5 * (delay is not None)
    # Codes come from the training rows that are left, and from nothing else.
    vocabulary = found.encoder.vocabulary("ad")
    codes = np.bincount(found.part("train").columns["ad"], minlength=vocabulary.size)
    assert (codes[3:] >= minimum).all()
    assert (np.asarray(vocabulary.counts)[3:] == codes[3:]).all()


def test_all_rows_are_the_store_itself(tmp_path) -> None:
    whole = ingest(rows(0, dates=True), schema=schema(), out=tmp_path / "store")
    assert table_as_of(tmp_path / "store", "2026-01-31").digest == whole.digest
    assert not has_later_rows(tmp_path / "store", "2026-01-08T23:59")
    assert table_as_of(tmp_path / "store", "2026-01-04").n_rows < whole.n_rows


def test_what_has_no_past_is_said(tmp_path) -> None:
    frame = rows(0)
    ingest(frame.drop("day"), schema=SchemaConfig(label=LabelConfig(name="click")), out=tmp_path / "timeless")
    with pytest.raises(ConfigError, match=r"data\.as_of: needs schema\.time"):
        table_as_of(tmp_path / "timeless", "3")
    ingest(frame, schema=schema(), out=tmp_path / "store")
    with pytest.raises(ConfigError, match=r"data\.as_of: the time column holds whole numbers"):
        table_as_of(tmp_path / "store", "2026-01-01")
    with pytest.raises(DataError, match="as of -1"):
        table_as_of(tmp_path / "store", "-1")
    (tmp_path / "store" / "ingest.json").unlink()
    with pytest.raises(DataError, match="was not written by ingest"):
        table_as_of(tmp_path / "store", "3")
