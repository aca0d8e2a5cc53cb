import contextlib
import logging
import os
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

from ctrsel.core.config import DataConfig
from ctrsel.core.errors import ConfigError, CtrselError, DataError, MissingExtraError
from ctrsel.data.intake import open_raw
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

N = 150_000  # more than one row group


def opened(query: str, scratch: Path, *, connection: str | None = "CLICKS_URI", **settings: Any) -> RawRows:
    data = DataConfig(train=query, format="sql", connection=connection, **settings)
    return open_raw(data, rejects=Rejects(), scratch=scratch / "scratch", memory=1 << 30, digests=True)


def column(raw: RawRows, name: str) -> pl.Series:
    return pl.concat(list(raw.chunks(name)))


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("adbc_driver_sqlite", reason="the extra 'sql' is not installed")
    file = tmp_path / "a database.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table clicks (id integer, ad text, price real, click integer)")
        values = ((i, None if i % 3 == 0 else f"ad {i % 7}", i / 4, i % 2) for i in range(N))
        database.executemany("insert into clicks values (?, ?, ?, ?)", values)
        database.commit()
    monkeypatch.setenv("CLICKS_URI", f"sqlite:///{quote(str(file))}")
    return file


def test_sqlite(sqlite: Path, tmp_path: Path) -> None:
    raw = opened("select * from clicks order by id", tmp_path)
    assert raw.columns == ("id", "ad", "price", "click")
    assert column(raw, "id").to_list() == list(range(N))
    assert column(raw, "ad")[:5].to_list() == [None, "ad 1", "ad 2", None, "ad 4"]
    assert column(raw, "price").dtype == pl.Float64
    assert not any(s.untyped for s in raw.shards)
    assert re.fullmatch(r"the query of data\.train \([0-9a-f]{8}\): row 7", raw.place(6))
    again = opened("select * from clicks order by id", tmp_path)
    assert again.shards[0].digest == raw.shards[0].digest
    assert opened("select * from clicks order by id desc", tmp_path).shards[0].digest != raw.shards[0].digest
    assert column(opened("select id from clicks order by id", tmp_path, rows=5), "id").to_list() == [0, 1, 2, 3, 4]
    parts = opened(
        "with x as (select * from clicks) select * from x where click = 0 order by id",
        tmp_path,
        test="select * from clicks where click = 1 order by id",
    )
    assert parts.parts == {"train": slice(0, N // 2), "test": slice(N // 2, N)}


def test_a_relative_path(sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sqlite.parent)
    monkeypatch.setenv("CLICKS_URI", f"sqlite:///{sqlite.name}")
    assert opened("select * from clicks order by id", tmp_path).n_rows == N


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from clacks order by 1", "the query fails: .*no such table: clacks"),
        ("select id, ad as id from clicks order by 1", "two columns named 'id'; name one by AS"),
        ("select id from clicks where id < 0 order by 1", "the query gives no rows"),
        ("with x as (select 1) delete from clicks order by 1", "the query fails: .*"),
        ("with x as (select 1) insert into clicks select 1, 2, 3, 4 order by 1", "readonly database"),
        (
            "select case when id < 100000 then id else ad end as mixed from clicks order by id",
            "the query fails: .*mismatch.*; cast the column in the query",
        ),
    ],
)
def test_queries_that_fail(query: str, message: str, sqlite: Path, tmp_path: Path) -> None:
    before = sqlite.read_bytes()
    with pytest.raises(DataError, match=rf"data\.train: .*{message}") as caught:
        opened(query, tmp_path)
    assert "\n" not in str(caught.value)
    assert sqlite.read_bytes() == before


def test_the_connection_is_named_not_written(sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "select 1 as a order by 1"
    with pytest.raises(ConfigError, match=r"data\.connection: name the environment variable"):
        opened(query, tmp_path, connection=None)
    secret = "postgresql://me:sesame@host/db"
    with pytest.raises(ConfigError, match="must be the name of an environment variable") as caught:
        opened(query, tmp_path, connection=secret)
    assert "sesame" not in str(caught.value)
    with pytest.raises(ConfigError, match="the environment variable NO_SUCH_URI is not set"):
        opened(query, tmp_path, connection="NO_SUCH_URI")
    with pytest.raises(ConfigError, match=r"must be a query that begins with SELECT, got 'clicks\.csv'"):
        opened("clicks.csv", tmp_path)
    for value, message in (
        ("host=h password=sesame", "CLICKS_URI must hold a URI such as"),
        ("mysql://me:sesame@host/db", "CLICKS_URI: unknown database 'mysql'.* Known: postgres, postgresql, sqlite"),
        (f"sqlite:///{tmp_path}/sesame.db", "the SQLite file that CLICKS_URI names does not exist"),
    ):
        monkeypatch.setenv("CLICKS_URI", value)
        with pytest.raises(CtrselError, match=message) as caught:
            opened(query, tmp_path)
        assert "sesame" not in str(caught.value)
    assert not (tmp_path / "sesame.db").exists()


def test_rows_without_an_order_are_warned_of(sqlite: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ctrsel"):
        opened("select * from clicks order by id", tmp_path)
        assert not caplog.records
        opened("select * from clicks", tmp_path)
    assert "without ORDER BY" in caplog.text


def test_without_the_driver_its_install_line_is_told(
    sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite.dbapi", None)
    with pytest.raises(MissingExtraError, match=r"adbc-driver-sqlite: pip install 'ctrsel\[sql\]'"):
        opened("select 1 as a order by 1", tmp_path)


PASSWORD = "sesame-7f3a/9"


def binaries() -> Path | None:
    """Return the folder of the server's programs, None if it is not installed."""
    found = [p.parent for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    found += [Path(p).parent for p in (shutil.which("initdb"),) if p]
    return next((p for p in reversed(found) if (p / "pg_ctl").exists() and (p / "postgres").exists()), None)


def unprivileged() -> str | None:
    """Return the user to run it as: the one we are, or `postgres` or `nobody` for root, which it refuses."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {p.pw_name for p in pwd.getpwall()}
    return next((n for n in ("postgres", "nobody") if n in names), None)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster of our own with a password and yield its URI without one: `postgresql://{}@127.0.0.1:port/postgres`."""
    programs, user = binaries(), unprivileged()
    assert programs is not None
    assert user is not None
    folder = Path(tempfile.mkdtemp(prefix="ctrsel-pg-"))
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        shutil.chown(secret, user)

    def run(*command: str) -> None:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            timeout=400,
            user=user if os.geteuid() == 0 else None,
        )

    data = str(folder / "data")
    run(
        *(str(programs / "initdb"), "-D", data, "-U", "ctr", "--pwfile", str(secret), "--no-sync"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
    )
    options = f"-k {folder} -h 127.0.0.1 -p {port} -c fsync=off -c shared_buffers=16MB"
    run(str(programs / "pg_ctl"), "-D", data, "-w", "-t", "300", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://ctr:{{}}@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra 'sql' is not installed")
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if unprivileged() is None:
        pytest.skip("PostgreSQL cannot run as root, and there is no user 'postgres' or 'nobody'")
    import adbc_driver_postgresql.dbapi as driver

    with cluster() as template:
        uri = template.format(quote(PASSWORD, safe=""))
        with driver.connect(uri) as connection, connection.cursor() as cursor:
            cursor.execute(
                "create table clicks as select i as id, nullif('ad ' || i % 7, 'ad 0') as ad, (i % 10) / 4.0 as price, "
                "(i + 12345678901234567)::numeric as big, (i % 2 = 0) as click, array[i, null] as seen, "
                "timestamp '2024-01-01' + i * interval '1 second' as at, timestamptz '2024-01-01Z' as zoned, "
                "'00000000-0000-0000-0000-0000000000ff'::uuid as key, '{}'::jsonb as facts, point(1, 2) as place, "
                f"interval '1 day' as waited from generate_series(1, {N}) i"
            )
            connection.commit()
        yield uri


@pytest.fixture
def pg(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CLICKS_URI", server)
    return server


@pytest.mark.slow
def test_postgresql(pg: str, tmp_path: Path) -> None:
    query = "select id, ad, price, big, click, seen, at, zoned, key, facts from clicks order by id"
    raw = opened(query, tmp_path)
    assert column(raw, "id").to_list() == list(range(1, N + 1))
    assert column(raw, "ad")[:8].to_list() == ["ad 1", "ad 2", "ad 3", "ad 4", "ad 5", "ad 6", None, "ad 1"]
    assert column(raw, "price")[:3].to_list() == [0.25, 0.5, 0.75]  # NUMERIC that floats hold
    assert column(raw, "big")[0] == "12345678901234568"  # NUMERIC that they do not
    assert column(raw, "click").dtype == pl.Boolean
    assert column(raw, "seen")[0].to_list() == [1, None]
    assert column(raw, "at").dtype == pl.Datetime("us")
    assert column(raw, "zoned").dtype == pl.Datetime("us", "UTC")
    assert column(raw, "key")[0] == "00000000-0000-0000-0000-0000000000ff"
    assert column(raw, "facts")[0] == "{}"
    assert opened(query, tmp_path).shards[0].digest == raw.shards[0].digest
    assert opened(query, tmp_path, rows=3).n_rows == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select nothing from clicks order by 1", 'column "nothing" does not exist'),
        ("select 1 / (id - 140000) as x from clicks order by id", "division by zero"),
        ("with x as (delete from clicks returning id) select * from x order by 1", "read-only transaction"),
        ("select place from clicks order by id", "column 'place' has the database's type point, .*; cast it"),
        ("select waited from clicks order by id", "column 'waited' has the database's type"),
        ("select id from clicks where id < 0 order by 1", "the query gives no rows"),
    ],
)
def test_postgresql_queries_that_fail(query: str, message: str, pg: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        opened(query, tmp_path)
    assert "\n" not in str(caught.value)
    assert opened("select count(*) as n from clicks order by 1", tmp_path).n_rows == 1


@pytest.mark.slow
def test_postgresql_secrets_stay_secret(
    pg: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    password = quote(PASSWORD, safe="")
    wrong = [
        pg.replace(password, "another-secret"),
        pg.replace("/postgres", "/no_such_database"),
        f"{pg}?sslmode=whatever",
        pg.replace("@127.0.0.1:", "@127.0.0.1:1"),
        pg.replace("@127", "@@127"),
    ]
    with caplog.at_level(logging.DEBUG):
        for uri in wrong:
            monkeypatch.setenv("CLICKS_URI", uri)
            with pytest.raises(CtrselError, match="the database of CLICKS_URI cannot be reached: ") as caught:
                opened("select 1 as a order by 1", tmp_path)
            told = f"{caught.value}{caught.value.__cause__}{caplog.text}"
            assert not [s for s in (uri, password, PASSWORD, "another-secret") if s in told]
    assert os.environ["CLICKS_URI"] == wrong[-1]
