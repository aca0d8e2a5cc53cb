"""Growing: a config's table for progressive evaluation, in which nothing that decides on codes is later than a first day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ctrsel.api.cache import StageCache
from ctrsel.api.stages import stored_table
from ctrsel.core.config import RunConfig, SplitConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.append import append
from ctrsel.data.ingest import ingest
from ctrsel.data.intake import source_digests
from ctrsel.data.past import Periods, moment_text
from ctrsel.data.table import Table
from ctrsel.select import exclude

__all__ = ["grown_table"]

_EVERY = SplitConfig(use="none")


def grown_table(config: RunConfig, cache: StageCache, *, by: str | None, history: int) -> Table:
    """Return a config's table with all rows as training rows, its bucket edges from the first periods alone.

    Where fields are bucketed by quantiles, the first `history` periods are ingested and the rest is appended, so that edges
    are as old as they would have been; a store keeps those that it has.

    Args:
        config: Names files, or a store.
        cache: Keeps the table.
        by: As in `Protocol`.
        history: Likewise.

    Raises:
        ConfigError: If the config divides its rows by files, or lets a ranking choose crosses.
    """
    if config.crosses is not None and config.crosses.top:
        raise ConfigError(
            "crosses.top: a ranking of all days would choose crosses by what is still to come; name them in crosses.use"
        )
    given = [f"data.{k}" for k in ("valid", "test") if getattr(config.data, k) is not None]
    if given:
        raise ConfigError(f"{given[0]}: days divide the rows here; name all files in data.train, as by a pattern")
    table = stored_table(config) if config.data.store is not None else _ingested(config, cache, by=by, history=history)
    if config.crosses is not None and config.crosses.use:
        table = table.crossed(config.crosses.use, min_count=config.crosses.min_count)
    return exclude(table, config.select.never_use)


def _ingested(config: RunConfig, cache: StageCache, *, by: str | None, history: int) -> Table:
    files = source_digests(config.data)
    inputs = {
        "files": files,
        "data": asdict(config.data),
        "schema": asdict(config.schema),
        "settings": asdict(config.ingest),
    }

    def kept(name: str, as_of: str | None, write: Callable[[Path], None]) -> Table:
        found = cache.get(
            f"progressive/{name}",
            version=1,
            inputs={**inputs, "as_of": as_of},
            compute=lambda: None,
            save=lambda _, path: write(path),
            load=_load,
            fresh=files is None,
        )
        assert found is not None
        return found

    def first(path: Path, as_of: str | None) -> None:
        ingest(config.data, schema=config.schema, split=_EVERY, settings=config.ingest, out=path, as_of=as_of)

    whole = kept("rows", None, lambda path: first(path, None))
    periods = Periods.of(whole, by)
    if not whole.encoder.edges or len(periods) <= history:
        return whole
    last = periods.firsts[history] - 1
    as_of = moment_text(last, temporal=whole.time is not None and periods.temporal)

    def grow(path: Path) -> None:
        first(path, as_of)
        append(path, config.data, settings=config.ingest)

    return kept("rows_grown", as_of, grow)


def _load(path: Path) -> Table | None:
    return Table.load(path)
