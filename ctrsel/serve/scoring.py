"""Scoring of a request: from raw rows to the bytes of the answer."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from ctrsel.serve.reasons import METHOD, Reason, reasons
from ctrsel.serve.serving_model import Scored

if TYPE_CHECKING:
    from ctrsel.serve.bodies import Asked
    from ctrsel.serve.holder import Holder, Loaded
    from ctrsel.serve.limits import Limits

__all__ = ["about", "lines_of", "predicted"]


def predicted(by: Loaded, asked: Asked) -> bytes:
    """Return the answer of `/predict` as JSON; a single row gives a list of one."""
    rows = asked.rows
    found: list[dict[str, Any]] = []
    if rows.height:
        scored = by.serving.score(rows)
        found = _plain(scored)
        if asked.reasons:
            for one, why in zip(found, reasons(by.serving, rows, scored), strict=True):
                one.update(_why(why))
    answer = {
        "digest": by.digest,
        "label": by.serving.model.encoder.schema.labels[0].name,
        "method": METHOD if asked.reasons else None,
        "predictions": found,
    }
    return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()


def lines_of(by: Loaded, asked: Asked) -> bytes:
    """Return the answer of `/predict/batch`: a line per row."""
    if not asked.rows.height:
        return b""
    found: pl.DataFrame = by.serving.score(asked.rows).frame(details=True)
    return found.write_ndjson().encode()


def about(holder: Holder, limits: Limits) -> dict[str, Any]:
    """Return what `/model` says; no value of the data is in it."""
    now = holder.now
    model = now.serving.model
    schema = model.encoder.schema
    inputs = [
        {
            "name": f.name,
            "kind": f.kind,
            "values": None if f.is_float or f.name not in schema.names else model.encoder.size(f.name) - 3,
        }
        for f in schema.inputs
    ]
    return {
        "source": holder.source.name,
        "version": now.stamp,
        "digest": now.digest,
        "kind": model.predictor.kind,
        "labels": [label.name for label in schema.labels],
        "inputs": inputs,
        "crosses": [list(f.parts) for f in schema.crosses],
        "limits": asdict(limits),
        "ctrsel": importlib.metadata.version("ctrsel"),
        "since": now.since,
        "reloads": now.number,
        "trouble": holder.trouble or None,
    }


def _plain(scored: Scored) -> list[dict[str, Any]]:
    frame = scored.frame(details=True).drop("other", "missing")
    return frame.to_dicts()


def _why(reason: Reason) -> dict[str, Any]:
    return {
        "effects": [{"column": k, "effect": v} for k, v in reason.effects.items()],
        "unknown": list(reason.unknown),
        "missing": list(reason.missing),
    }
