"""The feed: each day once, a missing day awaited, a bad one set aside and taken when it is mended."""

from __future__ import annotations

import datetime
import io
import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrsel.api.feed import days_of, feed, store_of
from ctrsel.core.building import build
from ctrsel.core.config import RunConfig, load_config
from ctrsel.core.errors import ConfigError, DataError, UnreachableError
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table

FIRST = datetime.date(2026, 1, 1)


def day(i: int) -> datetime.date:
    return FIRST + datetime.timedelta(days=i)


def rows(i: int, *, n: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(i)
    return pl.DataFrame(
        {
            "at": [f"{day(i)}T{h % 24:02d}:{h % 60:02d}:00" for h in range(n)],
            "ad": [f"ad{a}" for a in rng.integers(3 * i, 3 * i + 9, n)],
            "site": [f"s{s}" for s in rng.integers(0, 4, n)],
            "click": rng.integers(0, 2, n),
        }
    )


def write(folder, i: int, frame: pl.DataFrame | None = None) -> None:
    (folder / "logs").mkdir(exist_ok=True)
    (rows(i) if frame is None else frame).write_csv(folder / "logs" / f"{day(i)}.csv")


def made(
    folder, *, time: str | None = "at", use: str = "time", delay: str | None = None, **ingest_settings
) -> RunConfig:
    return build(
        RunConfig,
        {
            "name": "clicks",
            "data": {"store": str(folder / "store")},
            "schema": {"label": {"name": "click", "delay": delay}, "time": time, "ignore": [] if time else ["at"]},
            "split": {"use": use},
            "ingest": ingest_settings,
            "pipelines": {"ingest_daily": {"source": str(folder / "logs" / "{day}.csv"), "first": str(FIRST)}},
        },
        place="test",
    )


def texts(table: Table) -> list[tuple[str, ...]]:
    """Return the rows as texts, in the order of the source."""
    order = np.argsort(table.row)
    columns = []
    for name in ("ad", "site"):
        vocabulary = table.encoder.vocabulary(name)
        values = [text for part in vocabulary.values.chunks(1000) for text in part.to_list()]
        known = dict(zip(vocabulary.codes.tolist(), values, strict=True))
        columns.append([known.get(c, "?") for c in table.columns[name][order].tolist()])
    return sorted(zip(*columns, table.label()[order].tolist(), table.time[order].tolist(), strict=True))


@pytest.mark.parametrize("use", ["time", "stratified"])
def test_days_are_added_once_each(tmp_path, use) -> None:
    config = made(tmp_path, use=use)
    for i in range(3):
        write(tmp_path, i)
    first = feed(config, as_of=day(1))
    assert first.added == {"2026-01-01": 120, "2026-01-02": 120}
    assert first.total_rows == 240
    again = feed(config, as_of=day(1))
    assert (again.rows, again.added, again.newest) == (0, {}, "2026-01-02")
    assert feed(config, as_of=day(2)).added == {"2026-01-03": 120}
    assert [d.status for d in days_of(config).values()] == ["stored"] * 3
    logs = tmp_path / "logs"
    assert Table.load(store_of(config)).source == f"{logs}/2026-01-01.csv to {logs}/2026-01-03.csv"


def test_old_codes_stay(tmp_path) -> None:
    config = made(tmp_path)
    for i in range(4):
        write(tmp_path, i)
    feed(config, as_of=day(1))
    before = Table.load(store_of(config)).encoder.vocabulary("ad")
    feed(config, as_of=day(3))
    after = Table.load(store_of(config)).encoder.vocabulary("ad")
    assert (after.codes_for(before.values) == before.codes_for(before.values)).all()
    assert after.size > before.size


def test_a_bad_day_is_set_aside_and_taken_when_it_is_mended(tmp_path) -> None:
    config = made(tmp_path)
    for i in (0, 1, 2):
        write(tmp_path, i)
    (tmp_path / "logs" / f"{day(1)}.csv").write_text("at,ad,site,click\n2026-01-02T00:00:00,a,b,maybe\n")
    with pytest.raises(DataError, match=r"2026-01-02: refused and set aside .* 'maybe'") as error:
        feed(config, as_of=day(2))
    assert error.value.result["added"] == {"2026-01-01": 120, "2026-01-03": 120}
    assert days_of(config)["2026-01-02"].status == "refused"
    quiet = feed(config, as_of=day(2))  # its file has not changed: it is told of, and no new failure
    assert quiet.newly_refused == ()
    assert list(quiet.refused) == ["2026-01-02"]
    write(tmp_path, 1)
    write(tmp_path, 3)
    caught_up = feed(config, as_of=day(3))
    assert caught_up.added == {"2026-01-02": 120, "2026-01-04": 120}
    assert caught_up.refused == {}
    # Late as it was, the store holds what an ingest of all days holds, on the same sides.
    whole = ingest(
        pl.concat([rows(i) for i in (0, 2, 1, 3)]), schema=config.schema, split=config.split, settings=config.ingest
    )
    table = Table.load(store_of(config))
    assert texts(table) == texts(whole)
    for name in ("train", "valid", "test"):
        assert texts(table.part(name)) == texts(whole.part(name))


def test_a_missing_day_is_awaited(tmp_path) -> None:
    config = made(tmp_path)
    write(tmp_path, 0)
    write(tmp_path, 2)
    assert list(feed(config, as_of=day(2)).missing) == ["2026-01-02"]
    with pytest.raises(DataError, match=r"2026-01-04: .*no such file; it is looked for again") as error:
        feed(config, as_of=day(3))
    assert error.value.result["missing_days"] == 2
    write(tmp_path, 1)
    write(tmp_path, 3)
    assert feed(config, as_of=day(3)).added == {"2026-01-02": 120, "2026-01-04": 120}


def test_a_day_is_given_up(tmp_path) -> None:
    config = made(tmp_path)
    write(tmp_path, 0)
    for i in range(2, 34):
        write(tmp_path, i)
    feed(config, as_of=day(2))
    write(tmp_path, 1)
    assert "2026-01-02" not in feed(config, as_of=day(33)).added
    assert days_of(config)["2026-01-02"].status == "missing"


def test_young_rows_wait(tmp_path) -> None:
    config = made(tmp_path, delay="36h")
    for i in range(4):
        write(tmp_path, i)
    assert feed(config, as_of=day(3)).added == {"2026-01-01": 120, "2026-01-02": 120}
    # A row of the day after lies in a day's file: it waits, and comes in with a later night.
    late = rows(2).with_columns(
        at=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("2026-01-04T13:00:00")).otherwise("at")
    )
    write(tmp_path, 2, late)
    found = feed(config, as_of=day(4))
    assert found.added == {"2026-01-03": 119}
    assert days_of(config)["2026-01-03"].status == "waiting"
    assert feed(config, as_of=day(5)).added == {"2026-01-03": 1, "2026-01-04": 120}


def test_a_kill_before_the_ledger_adds_no_row_twice(tmp_path) -> None:
    config = made(tmp_path)
    for i in range(3):
        write(tmp_path, i)
    feed(config, as_of=day(1))
    ledger = tmp_path / "store.days.json"
    before = ledger.read_text()
    feed(config, as_of=day(2))
    digest = Table.load(store_of(config)).digest
    ledger.write_text(before)
    assert feed(config, as_of=day(2)).rows == 0
    ledger.unlink()
    assert feed(config, as_of=day(2)).rows == 0
    assert Table.load(store_of(config)).digest == digest
    assert [d.status for d in days_of(config).values()] == ["stored"] * 3


def test_growth_is_bounded(tmp_path) -> None:
    config = made(tmp_path, growth=1)
    for i in range(3):
        write(tmp_path, i)
    found = feed(config, as_of=day(2))
    assert found.new_values <= 9 + 4 + 2 * 2
    assert Table.load(store_of(config)).encoder.size("ad") <= 3 + 9 + 2


def test_what_cannot_be_fed_is_said(tmp_path) -> None:
    config = made(tmp_path)
    feeding = config.pipelines.ingest_daily
    for change, message in (
        ({"source": "logs/today.csv"}, r"must hold \{day\}"),
        ({"first": "yesterday"}, "must be a date such as 2026-01-31, got 'yesterday'"),
        ({"first": "2026-02-01"}, "the first day is 2026-02-01, but rows are wanted until 2026-01-04"),
    ):
        other = replace(config.pipelines, ingest_daily=replace(feeding, **change))
        with pytest.raises(ConfigError, match=message):
            feed(replace(config, pipelines=other), as_of=day(3))
    with pytest.raises(ConfigError, match=r"data\.store: name the folder"):
        feed(replace(config, data=replace(config.data, store=None)), as_of=day(3))
    with pytest.raises(ConfigError, match=r"pipelines\.ingest_daily: name the source"):
        feed(replace(config, pipelines=replace(config.pipelines, ingest_daily=None)), as_of=day(3))
    write(tmp_path, 0)
    feed(config, as_of=day(0))
    write(tmp_path, 1)
    with pytest.raises(ConfigError, match=r"split\.use: the store was made with 'time'"):
        feed(replace(config, split=replace(config.split, use="hash")), as_of=day(1))
    (tmp_path / "store.days.json").write_text(json.dumps({"days": [{"day": "2026-01-01", "colour": 1}]}))
    with pytest.raises(DataError, match=r"store\.days\.json: expected the days of a feed"):
        feed(config, as_of=day(0))


def test_days_of_a_database(tmp_path, monkeypatch) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    file = tmp_path / "log.db"
    monkeypatch.setenv("LOG_URI", f"sqlite:///{file}")

    def arrive(i: int) -> None:
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("create table if not exists log (at text, ad text, site text, click integer)")
            database.executemany("insert into log values (?, ?, ?, ?)", rows(i).rows())

    config = made(tmp_path)
    query = "select * from log where at >= '{day}' and at < '{day}T99' order by rowid"
    source = replace(config.pipelines.ingest_daily, source=query)
    config = replace(
        config,
        data=replace(config.data, format="sql", connection="LOG_URI"),
        pipelines=replace(config.pipelines, ingest_daily=source),
    )
    arrive(0)
    arrive(2)
    with pytest.raises(DataError, match=r"2026-01-02: refused and set aside .* gives no rows") as error:
        feed(config, as_of=day(2))
    assert error.value.result["added"] == {"2026-01-01": 120, "2026-01-03": 120}
    arrive(1)
    # What a database holds is known when it is asked, so a refused day is asked for again each time.
    assert feed(config, as_of=day(2)).added == {"2026-01-02": 120}
    (tmp_path / "store.days.json").unlink()
    assert feed(config, as_of=day(2)).rows == 0
    assert Table.load(store_of(config)).n_rows == 360


@pytest.fixture
def bucket(monkeypatch):
    """A real S3 server on this machine with one bucket; `read()` tells the objects that were read since it was last asked."""
    moto = pytest.importorskip("moto.server", reason="the development library moto is not installed")
    import boto3

    requests: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record) -> None:
            requests.append(record.getMessage())

    log, heard = logging.getLogger("werkzeug"), Heard()
    level, propagates = log.level, log.propagate
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    log.propagate = False
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "sesame",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(variable, value)
    client = boto3.client("s3", endpoint_url=url)
    # moto keeps buckets, and polars the way to them, for as long as the process lives; a 404 in a name is no answer.
    name = f"clicks-404-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("BUCKET", name)
    client.create_bucket(Bucket=name)

    def put(i: int, body: bytes | None = None) -> None:
        if body is None:
            file = io.BytesIO()
            rows(i).write_parquet(file)
            body = file.getvalue()
        client.put_object(Bucket=name, Key=f"logs/day={day(i)}/rows.parquet", Body=body)

    def read() -> list[str]:
        found = {r.split("day=")[1][:10] for r in requests if f"GET /{name}/logs/day=" in r}
        requests.clear()
        return sorted(found)

    def stop() -> None:
        server.stop()
        server._server.server_close()  # else the port would still take connections, and answer none

    yield SimpleNamespace(put=put, read=read, stop=stop)
    client.close()
    if server._thread.is_alive():
        stop()
    log.removeHandler(heard)
    log.setLevel(level)
    log.propagate = propagates


BUCKET = """
name: clicks
data: {store: store}
schema: {label: {name: click}, time: at}
split: {use: time}
pipelines:
  retries: 0
  ingest_daily: {source: "s3://$BUCKET/logs/day={day}/rows.parquet", first: 2026-01-01}
"""


@pytest.fixture
def remote(tmp_path, monkeypatch) -> RunConfig:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clicks.yaml").write_text(BUCKET)
    return load_config("clicks.yaml")


def test_days_of_a_bucket_are_read_once_each(bucket, remote) -> None:
    bucket.put(0)
    bucket.put(1)
    assert feed(remote, as_of=day(1)).added == {"2026-01-01": 120, "2026-01-02": 120}
    assert bucket.read() == ["2026-01-01", "2026-01-02"]
    bucket.put(2)
    third = feed(remote, as_of=day(2))
    assert (third.added, third.total_rows) == ({"2026-01-03": 120}, 360)
    assert bucket.read() == ["2026-01-03"]
    assert feed(remote, as_of=day(2)).rows == 0
    assert bucket.read() == []
    whole = ingest(
        pl.concat([rows(i) for i in range(3)]), schema=remote.schema, split=remote.split, settings=remote.ingest
    )
    assert texts(Table.load(store_of(remote))) == texts(whole)


def test_a_bad_day_of_a_bucket_is_set_aside(bucket, remote) -> None:
    for i in (0, 2):
        bucket.put(i)
    bucket.put(1, b"PAR1 cut off")
    refused = r"2026-01-02: refused and set aside .* s3://\$BUCKET/logs/day=2026-01-02/rows\.parquet: cannot be read: "
    with pytest.raises(DataError, match=refused) as error:
        feed(remote, as_of=day(2))
    assert error.value.result["added"] == {"2026-01-01": 120, "2026-01-03": 120}
    assert [d.status for d in days_of(remote).values()] == ["stored", "refused", "stored"]
    bucket.read()
    # Only reading it tells whether it was mended; the same fault is no news.
    again = feed(remote, as_of=day(2))
    assert (bucket.read(), again.newly_refused, list(again.refused)) == (["2026-01-02"], (), ["2026-01-02"])
    bucket.put(1)
    assert feed(remote, as_of=day(2)).added == {"2026-01-02": 120}
    assert [d.status for d in days_of(remote).values()] == ["stored"] * 3


def test_a_day_that_a_bucket_does_not_have_is_awaited(bucket, remote) -> None:
    bucket.put(0)
    with pytest.raises(DataError, match=r"2026-01-02: s3://.*: no file is found there; it is looked for again"):
        feed(remote, as_of=day(1))
    assert days_of(remote)["2026-01-02"].status == "missing"
    bucket.put(2)
    later = feed(remote, as_of=day(2))
    assert (later.added, list(later.missing), later.refused) == ({"2026-01-03": 120}, ["2026-01-02"], {})
    bucket.put(1)
    assert feed(remote, as_of=day(2)).added == {"2026-01-02": 120}


@pytest.mark.slow
def test_a_bucket_that_is_away_refuses_no_day(bucket, remote) -> None:
    bucket.put(0)
    feed(remote, as_of=day(0))
    known, table = days_of(remote), Table.load(store_of(remote)).digest
    bucket.put(1)
    bucket.stop()
    # A process of its own: polars reads once how often it tries, and would try for ten seconds.
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.ingest_daily", "clicks.yaml", "--as-of", str(day(1))],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_CLOUD_MAX_RETRIES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout)
    assert done.returncode == result["exit_code"] == UnreachableError.exit_code == 5, done.stderr
    assert result["error"].startswith("s3://$BUCKET/logs/day=2026-01-02/rows.parquet: cannot be read: ")
    assert "sesame" not in done.stdout + done.stderr
    assert days_of(remote) == known
    assert Table.load(store_of(remote)).digest == table


def test_a_storage_that_is_away_refuses_no_day(tmp_path) -> None:
    config, tries = made(tmp_path), []

    def attempt(work):
        tries.append(1)
        return work()

    with socket.socket() as probe:  # nobody listens, and nobody else is given the port
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/{{day}}.parquet"
        away = replace(config.pipelines.ingest_daily, source=address)
        config = replace(config, pipelines=replace(config.pipelines, ingest_daily=away))
        with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:\d+/2026-01-01\.parquet: cannot be read"):
            feed(config, as_of=day(1), attempt=attempt)
    assert tries == [1]
    assert days_of(config) == {}
