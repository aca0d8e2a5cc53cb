"""SQL: a query's rows, fetched in batches over ADBC into parquet; the connection's URI stays in the environment.

Reference: Apache Arrow, "ADBC: Arrow Database Connectivity", API standard 1.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import polars as pl

from ctrsel.core.artifact import digest_file
from ctrsel.core.errors import ConfigError, DataError, MissingExtraError, UnreachableError, unknown_name
from ctrsel.core.log import logger
from ctrsel.data.frames import first_line
from ctrsel.data.paths import GROUP_ROWS
from ctrsel.data.raw import Shard
from ctrsel.data.reaching import unread

if TYPE_CHECKING:
    from ctrsel.data.intake import Intake

__all__ = ["open_sql"]

_DRIVERS = {
    "postgres": "adbc-driver-postgresql",
    "postgresql": "adbc-driver-postgresql",
    "sqlite": "adbc-driver-sqlite",
}
_TYPED = 1 << 16  # rows by which SQLite's driver tells what type a column has
_EXACT = 15  # digits that a float holds exactly


def open_sql(query: str, *, intake: Intake, part: str) -> Shard:
    """Run a query and copy its rows to parquet, in the order in which the database gives them.

    The session is read-only. A column of PostgreSQL's NUMERIC is a float where 15 digits are enough for all of its
    values, else a text.

    Args:
        query: A SELECT; without an ORDER BY the rows may come in another order next time, which is logged.
        intake: Its `connection` names the environment variable that holds the database's URI.
        part: Of the data.

    Raises:
        ConfigError: If the variable is not named, not set, or not a URI of a known database.
        MissingExtraError: If the driver is not installed.
        DataError: If the query fails, gives no rows, or gives a type without a form here. No message holds the URI.
        UnreachableError: If the database cannot be reached at the moment.
    """
    place = f"data.{part}"
    if not re.match(r"\s*(select|with|values|table)\b", query, re.IGNORECASE):
        raise ConfigError(
            f"{place}: with data.format sql this must be a query that begins with SELECT, got {query[:80]!r}"
        )
    uri = _uri(intake.connection)
    if not re.search(r"\border\s+by\b", query, re.IGNORECASE):
        logger().warning(
            "a query without ORDER BY may give its rows in another order next time, and with it other splits",
            extra={"facts": {"query": place}},
        )
    # Another query, of another day say, is another source.
    name = f"the query of {place} ({hashlib.sha256(query.encode()).hexdigest()[:8]})"
    file = intake.folder(part) / "rows.parquet"
    exact = _copy(query, uri, file, place=place, connection=str(intake.connection), rows=intake.rows)
    shard = Shard.of_parquet(file, part=part, name=name)
    if not shard.rows:
        raise DataError(f"{place}: the query gives no rows")
    numbers = [c for c in exact if _fits(shard, c)]
    lazy = shard.source.lazy().with_columns(pl.col(numbers).cast(pl.Float64)) if numbers else shard.source
    return replace(shard, source=lazy, digest=digest_file(file) if intake.digests else "")


def _uri(connection: str | None) -> str:
    if connection is None:
        raise ConfigError(
            "data.connection: name the environment variable that holds the database's URI, such as DATABASE_URL"
        )
    if "://" in connection or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", connection):
        raise ConfigError(
            "data.connection: must be the name of an environment variable, such as DATABASE_URL, not the URI itself"
        )
    uri = os.environ.get(connection)
    if not uri:
        raise ConfigError(f"data.connection: the environment variable {connection} is not set")
    if "://" not in uri:
        raise ConfigError(f"data.connection: {connection} must hold a URI such as postgresql://... or sqlite:///...")
    return uri


def _copy(query: str, uri: str, file: Path, *, place: str, connection: str, rows: int | None) -> list[str]:
    """Write the rows to a parquet file; returns the columns that are exact decimals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _cursor(uri, place=place, connection=connection) as cursor:
        try:
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
            schema = reader.schema
            twice = sorted({n for n in schema.names if schema.names.count(n) > 1})
            if twice:
                raise DataError(f"{place}: the query gives two columns named {twice[0]!r}; name one by AS")
            plain = pa.schema([pa.field(f.name, _plain(f, place)) for f in schema])
            with pq.ParquetWriter(file, plain, compression="lz4", write_statistics=False) as writer:
                for table in _groups(reader, plain, rows):
                    writer.write_table(table, row_group_size=GROUP_ROWS)
        except (DataError, UnreachableError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of this machine's disk; the driver's own have no number
            text = _clean(first_line(error), uri)
            hint = "; cast the column in the query" if "mismatch" in text.lower() or "convert" in text.lower() else ""
            raise unread(f"{place}: the query fails: {text}{hint}", why=text) from None
    return [f.name for f in schema if _typname(f) == "numeric"]


def _groups(reader: Any, schema: Any, rows: int | None) -> Iterator[Any]:
    """Yield tables of `GROUP_ROWS` rows, the last one shorter, so that the copy does not depend on the driver's batches."""
    import pyarrow as pa

    held: list[Any] = []
    n, left = 0, rows
    for batch in reader:
        table = _to_plain(batch, schema)
        if left is not None:
            table = table.slice(0, left)
            left -= table.num_rows
        held.append(table)
        n += table.num_rows
        while n >= GROUP_ROWS:
            whole = pa.concat_tables(held)
            yield whole.slice(0, GROUP_ROWS)
            held, n = [whole.slice(GROUP_ROWS)], n - GROUP_ROWS
        if left == 0:
            break
    if n:
        yield pa.concat_tables(held)


@contextlib.contextmanager
def _cursor(uri: str, *, place: str, connection: str) -> Iterator[Any]:
    scheme = uri.split("://", 1)[0].lower()
    if scheme not in _DRIVERS:
        raise unknown_name("database", scheme, _DRIVERS, place=f"data.connection: {connection}")
    driver = _DRIVERS[scheme]
    try:
        dbapi = importlib.import_module(f"{driver.replace('-', '_')}.dbapi")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{place}: reading from {scheme} needs the library {driver}: pip install 'ctrsel[sql]'"
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            if scheme == "sqlite":
                opened = stack.enter_context(dbapi.connect(_sqlite(uri, connection)))
                cursor = stack.enter_context(
                    opened.cursor(adbc_stmt_kwargs={"adbc.sqlite.query.batch_rows": str(_TYPED)})
                )
            else:
                opened = stack.enter_context(dbapi.connect(uri))
                cursor = stack.enter_context(opened.cursor())
                cursor.execute("SET TRANSACTION READ ONLY")
        except (DataError, UnreachableError):
            raise
        except Exception as error:
            text = _clean(first_line(error), uri)
            raise unread(f"data.connection: the database of {connection} cannot be reached: {text}", why=text) from None
        yield cursor


def _sqlite(uri: str, connection: str) -> str:
    """Return the read-only form of a SQLite URI (`sqlite:///relative.db`, `sqlite:////absolute.db`)."""
    path = Path(unquote(uri.split("://", 1)[1].split("?", 1)[0]).removeprefix("/")).absolute()
    if not path.is_file():
        raise DataError(f"data.connection: the SQLite file that {connection} names does not exist")
    return f"{path.as_uri()}?mode=ro"


def _clean(text: str, uri: str) -> str:
    """Take the URI and its password out of a driver's words."""
    found = urlsplit(uri)
    parts = [uri, found.netloc, found.password, unquote(found.password or ""), found.query]
    for part in sorted({p for p in parts if p}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _typname(field: Any) -> str:
    return str((field.metadata or {}).get(b"ADBC:postgresql:typname", b"").decode())


def _plain(field: Any, place: str) -> Any:
    """Return the Arrow type that a column is kept as.

    Raises:
        DataError: If the database's type has no form here.
    """
    import pyarrow as pa

    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return pa.string()
        kind = kind.storage_type
        if pa.types.is_string(kind):  # NUMERIC and JSON come as texts
            return kind
    elif not pa.types.is_interval(kind):
        return kind
    raise DataError(
        f"{place}: column {field.name!r} has the database's type {_typname(field) or kind!s}, which has no form here; "
        "cast it in the query"
    )


def _to_plain(batch: Any, schema: Any) -> Any:
    """Return a batch as a table of plain types."""
    import pyarrow as pa

    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        values = column
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.storage
            if values.type != field.type:  # a UUID's bytes, as PostgreSQL writes them
                digits = pl.Series(pl.from_arrow(values.cast(pa.binary()))).bin.encode("hex")
                values = digits.str.replace(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "$1-$2-$3-$4-$5").to_arrow()
        columns.append(values.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _fits(shard: Shard, column: str) -> bool:
    """Whether a float holds all of a column's decimal texts exactly."""
    text = pl.col(column).str.replace(".", "", literal=True).str.replace(r"^-?0*", "").str.replace(r"0+$", "")
    longest = shard.source.lazy().select(text.str.len_bytes().max()).collect(engine="streaming").item()
    return longest is None or int(longest) <= _EXACT
