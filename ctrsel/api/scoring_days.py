"""Scoring days: the champion scores each day's rows once, in constant memory, and again only if model or rows have changed."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctrsel.api.champion import champion_model
from ctrsel.api.days import is_there, on_day
from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.intake import source_digests
from ctrsel.data.paths import expand
from ctrsel.serve import score_file

__all__ = ["score_day"]


def score_day(config: RunConfig, *, as_of: datetime.date, out: Path) -> dict[str, Any]:
    """Score a day's rows with the champion.

    Beside the scores, `<scores>.json` says which version made them of which bytes; the same again is not done again.

    Args:
        config: With `pipelines.score_batch`.
        as_of: The day.
        out: The run's folder.

    Returns:
        Model, version, file, rows, mean probability, and shares of unseen and missing values by field.

    Raises:
        ConfigError: If nothing is to be scored, or there is no champion.
        DataError: If the day's rows are missing or cannot be read.
        UnreachableError: If the registry cannot be reached and no copy of the champion is there.
    """
    settings = config.pipelines.score_batch
    if settings is None:
        raise ConfigError("pipelines.score_batch: name the source of each day's rows and where the scores go")
    source = on_day(settings.source, as_of, place="pipelines.score_batch.source")
    target = Path(expand(on_day(settings.out, as_of, place="pipelines.score_batch.out"))).expanduser()
    data = replace(config.data, store=None, train=source, newest=None, as_of=None)
    if not is_there(source, format=data.format):
        raise DataError(f"{source}: no rows to score on {as_of}")
    champion = champion_model(config, out=out)
    made_of = {
        "model": champion.name,
        "version": champion.version,
        "model_digest": champion.model.digest,
        "files": source_digests(data),
        "keep": list(settings.keep),
        "details": settings.details,
    }
    note = target.with_name(f"{target.name}.json")
    before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    told = {"model": champion.name, "version": champion.version, "stale_champion": champion.stale, "out": str(target)}
    if target.is_file() and made_of["files"] is not None and before.get("made_of") == made_of:
        event("score", result="found the scores of these rows by this version", out=target)
        return {**told, **before["found"], "reused": True}
    # A kill between scores and note leaves no note: one of older scores would speak for the new ones.
    note.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    summary = score_file(
        champion.model, source, target, keep=settings.keep, details=settings.details, format=config.data.format
    )
    found = {
        "rows": summary.rows,
        "mean_probability": summary.mean_probability,
        "unseen_by_field": dict(summary.other),
        "missing_by_field": dict(summary.missing),
    }
    atomic_text(note, to_json({"made_of": made_of, "found": found}, indent=1) + "\n")
    return {**told, **found, "reused": False}
