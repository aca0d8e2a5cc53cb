"""As of: a stored table as it stood at an earlier moment, for backfills; nothing later is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.building import build
from ctrsel.core.config import SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.past import past_table
from ctrsel.data.split import assign, check_labels
from ctrsel.data.store import read_facts
from ctrsel.data.table import Table
from ctrsel.data.tally import STORE
from ctrsel.data.time_column import Moment, as_moment, duration

__all__ = ["has_later_rows", "table_as_of"]


def table_as_of(store: str | Path, as_of: str) -> Table:
    """Load a stored table without what came later: rows, values, counts, and outcomes that were still to come.

    Splits follow the store's rule; codes are those of an ingest of the rows that are left. Bucket edges stay those of the
    store's first ingest. Where nothing came later it is the store itself, with the splits and codes that it has grown.

    Args:
        store: The folder that `ingest(..., out=...)` wrote.
        as_of: A date or a time, or a number where the time column holds numbers; rows after it do not exist yet, and those
            younger than the store's label delay have no outcome yet.

    Raises:
        ConfigError: If the store has no time column, or `as_of` is no time.
        DataError: If the folder is no store, or no rows of both labels are left.

    Examples:
        >>> import tempfile
        >>> import polars as pl
        >>> from ctrsel.core.config import LabelConfig, SchemaConfig
        >>> from ctrsel.data.ingest import ingest
        >>> days = pl.DataFrame({"ad": ["a", "b"] * 50, "day": [i // 10 for i in range(100)], "click": [0, 1, 1, 0] * 25})
        >>> schema = SchemaConfig(label=LabelConfig(name="click"), time="day", ignore=())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = ingest(days, schema=schema, out=f"{folder}/store")
        ...     table_as_of(f"{folder}/store", "5").n_rows
        60
    """
    store = Path(store)
    table, facts = Table.load(store), _facts(store)
    there = _there(store, table, facts, as_of)
    time = np.asarray(table.time)
    if there.all():
        return table
    event("as of", moment=as_of, rows=int(there.sum()), later=int((~there).sum()))
    rule = build(SplitConfig, facts["split"], place=f"{store}/{STORE}: split")
    parts = {name: np.arange(*table.splits[name])[there[table.span(name)]] for name in ("train", "valid", "test")}
    carve = [name for name in ("test", "valid") if name not in set(facts["given"])]
    positive = np.asarray(table.label() == 1)
    if rule.use == "time" and carve:
        rows = np.sort(np.concatenate([parts[name] for name in ("train", *carve)]))
        rows = rows[np.argsort(np.asarray(table.row)[rows], kind="stable")]
        found = assign(
            {"train": slice(0, len(rows))},
            rule,
            seed=facts["seed"],
            positive=positive[rows],
            time=time[rows],
            group=None,
            carve=carve,
            checked=False,
        )
        parts |= {name: rows[found[name]] for name in ("train", *carve)}
    check_labels(parts, positive, use=rule.use, after=f" as of {as_of}")
    return past_table(table, parts, fit=parts["train"])


def has_later_rows(store: str | Path, as_of: str) -> bool:
    """Whether a store holds rows that did not exist, or had no outcome yet, at a moment.

    Args:
        store: As in `table_as_of`.
        as_of: Likewise.

    Raises:
        ConfigError, DataError: As `table_as_of` does.
    """
    store = Path(store)
    return not _there(store, Table.load(store), _facts(store), as_of).all()


def _facts(store: Path) -> dict[str, Any]:
    facts = read_facts(store)
    if facts is None:
        raise DataError(f"{store}: this table was not written by ingest, so what came later cannot be told")
    return facts


def _there(store: Path, table: Table, facts: Mapping[str, Any], as_of: str) -> np.ndarray:
    """Say of each row whether it existed and its outcome was known, boolean `[N]`."""
    if table.time is None:
        raise ConfigError("data.as_of: needs schema.time, the column that says when a row happened")
    moment = Moment(temporal=facts["temporal"])
    now = as_moment(as_of, moment, place="data.as_of")
    if facts["delay"] is not None:
        now -= duration(facts["delay"], moment, place=f"{store}/{STORE}: delay")
    return np.asarray(table.time) <= now
