"""Training days: a scheduled whole run on a store, from the champion's weights if wanted, and the challenger's promotion."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctrsel.api.champion import model_name
from ctrsel.api.days import end_of, newest_days
from ctrsel.api.feed import store_of
from ctrsel.api.named_rows import Rows
from ctrsel.api.reviewing import promote
from ctrsel.api.run import run
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import PromotionRefusedError
from ctrsel.core.log import event
from ctrsel.data.as_of import has_later_rows
from ctrsel.records.run import Run
from ctrsel.register.store import Store
from ctrsel.register.versions import champion_of, find_version

__all__ = ["promote_challenger", "train_day"]


def train_day(config: RunConfig, *, as_of: datetime.date, backfill: bool, out: Path) -> dict[str, Any]:
    """Do a whole run of a config, as of a day if a person has named it.

    Args:
        config: With `pipelines.select_and_train`: whether nets go on from the champion, and on which rows then.
        as_of: The day.
        backfill: Whether later rows must not be looked at.
        out: The run's folder.

    Returns:
        Version, whether it was promoted and why not, the chosen model's figures, and the report.

    Raises:
        PromotionRefusedError: If the config requires a promotion and it was refused; `result` says the same.
        ConfigError, DataError, UnreachableError: As `run` does.
    """
    settings, name = config.pipelines.select_and_train, model_name(config)
    made = config
    if backfill and (config.data.store is None or has_later_rows(store_of(config), end_of(as_of))):
        made = replace(made, data=replace(made.data, as_of=end_of(as_of)))
    if settings.start and champion_of(name, config=config.register, out=out) is not None:
        made = replace(
            made,
            start=f"models:/{name}@champion",
            data=replace(made.data, newest=settings.newest or made.data.newest),
        )
        event("warm start", model=name)
    try:
        found = run(made)
    except PromotionRefusedError as error:
        error.result = _told(Run.load(out / "run"), out=out, refusal=str(error))
        raise
    return _told(found.run, out=out, refusal=found.refusal)


def _told(record: Run, *, out: Path, refusal: str | None) -> dict[str, Any]:
    chosen = record.chosen
    why = refusal or next((r for r in record.verdict.reasons if r.startswith("FAILED")), None)
    return {
        "model": None if record.registration is None else record.registration.model_name,
        "version": None if record.registration is None else record.registration.version,
        "promoted": record.registration is not None and why is None,
        "why_not": why,
        "headline": record.verdict.headline,
        "test_auc": chosen.metrics["auc"].value,
        "test_log_loss": chosen.metrics["log_loss"].value,
        "auc_change_to_full": record.verdict.delta_auc.value,
        "fields": chosen.fields,
        "values": chosen.values,
        "bytes": chosen.bytes,
        "milliseconds_per_1000_rows": chosen.milliseconds,
        "rows": sum(record.table.rows.values()),
        "reused_stages": sum(bool(s["reused"]) for s in record.stages),
        "stages": len(record.stages),
        "report": str(out / "report.html"),
    }


def promote_challenger(config: RunConfig, *, as_of: datetime.date, out: Path) -> dict[str, Any]:
    """Check the challenger against the champion on the newest days with known outcomes, and promote it if it passes.

    Without `pipelines.ingest_daily` the check that was stored with the version decides.

    Args:
        config: With the margins in `register.check`, and `pipelines.promote.days`.
        as_of: The day at whose end it is looked.
        out: The run's folder.

    Returns:
        Whether it was promoted, from which version to which, or why there was nothing to do.

    Raises:
        PromotionRefusedError: If a rule failed.
        ConfigError: If there is no challenger.
    """
    name = model_name(config)
    facts = find_version(f"{name}@challenger", config=config.register, out=out)
    told = {"model": name, "version": facts.version, "from": facts.champion}
    if facts.champion == facts.version:
        return {**told, "promoted": False, "why_not": "the challenger is the champion already"}
    rows, words = None, "its stored check"
    if config.pipelines.ingest_daily is not None:
        window = newest_days(config, days=config.pipelines.promote.days, as_of=as_of, place="pipelines.promote.days")
        rows = Rows(data=window, segments=config.register.check.segments)
        words = f"{len(window.labels):,} rows, {window.first} to {window.last}" if window.first else window.source
    try:
        entry = promote(
            f"{name}/{facts.version}",
            reason=f"scheduled: passed on {words}"[:1000],
            rows=rows,
            margins=config.register.check,
            store=Store.of(config.register, out=out).uri,
        )
    except PromotionRefusedError as error:
        error.result = {**told, "promoted": False, "why_not": str(error)}
        raise
    return {**told, "promoted": True, "to": entry["to"], "why": entry["why"]}
