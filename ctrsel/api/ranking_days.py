"""Ranking days: fields are ranked anew on the newest rows of a store, and compared with how they stood before."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.api.days import end_of
from ctrsel.api.feed import store_of
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.data.as_of import table_as_of
from ctrsel.data.past import recent
from ctrsel.data.table import Table
from ctrsel.rank import CATALOG, rank
from ctrsel.rank.comparison import compare_rankings
from ctrsel.records.ranking import Ranking
from ctrsel.select import exclude

__all__ = ["rank_days"]


def rank_days(config: RunConfig, *, as_of: datetime.date, backfill: bool, out: Path) -> dict[str, Any]:
    """Rank the fields of a store by every ranker of a config, on the newest training rows.

    Rankings lie in `<out>/rank_weekly/<day>/<ranker>`; each is compared with the newest earlier one.

    Args:
        config: With `data.store`, `rank` and `pipelines.rank_weekly.days`, which counts back from the newest training row
            where the store has a time column, and is not looked at where it has none.
        as_of: The day.
        backfill: Whether later rows must not be looked at.
        out: The run's folder.

    Returns:
        By ranker the best fields, and how far they are from the last time (rank-biased overlap; fields that entered and
        left the first ten).
    """
    days = config.pipelines.rank_weekly.days
    if days < 1:
        raise ConfigError(f"pipelines.rank_weekly.days: must be at least 1, got {days}")
    store = store_of(config)
    table = table_as_of(store, end_of(as_of)) if backfill else Table.load(store)
    if table.time is not None:
        # A column of whole numbers counts in a unit of its own.
        temporal = table.n_rows > 0 and int(np.abs(table.time).max()) >= 10**14
        table = recent(table, f"{days}d" if temporal else str(days))
    known = exclude(table, config.select.never_use).without("test")
    rankers = [CATALOG.create(spec, place=f"rank[{i}]") for i, spec in enumerate(config.rank)]
    folder = out / "rank_weekly"
    found: dict[str, Any] = {}
    for ranking in rank(known, rankers, seed=config.seed):
        last = _last(folder, ranking.method, before=as_of)
        ranking.save(folder / as_of.isoformat() / ranking.method)
        told: dict[str, Any] = {"best": list(ranking.order[:10])}
        if last is not None:
            both = compare_rankings({"before": last[1], "now": ranking}, across_tables=True)
            told |= {
                "since": last[0],
                "overlap": float(both.rbo[0, 1]),
                "entered": [n for n in ranking.order[:10] if n not in last[1].order[:10]],
                "left": [n for n in last[1].order[:10] if n not in ranking.order[:10]],
            }
        event("ranked", ranker=ranking.method, since=told.get("since"), overlap=told.get("overlap"))
        found[ranking.method] = told
    result = {"rows": int(known.part("train").n_rows), "rankings": found, "folder": str(folder / as_of.isoformat())}
    result |= {f"overlap_{name}": told["overlap"] for name, told in found.items() if "overlap" in told}
    atomic_text(folder / as_of.isoformat() / "summary.json", to_json(result, indent=1) + "\n")
    return result


def _last(folder: Path, method: str, *, before: datetime.date) -> tuple[str, Ranking] | None:
    """Return the newest earlier ranking by the same ranker, with its day."""
    for place in sorted(folder.glob("????-??-??"), reverse=True):
        if place.name < before.isoformat() and (place / method / "manifest.json").is_file():
            return place.name, Ranking.load(place / method)
    return None
