"""Polars form: a feature set as a Python file that needs polars alone, for those who have a pipeline of their own."""

from __future__ import annotations

import inspect
from typing import Any

import polars as pl

from ctrsel.core.errors import ConfigError
from ctrsel.data import stand_alone
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.cross_texts import escaped, split_text
from ctrsel.data.ranges import bucket_ranges
from ctrsel.records.schema import Field

__all__ = ["polars_plan", "to_polars"]


def to_polars(applied: AppliedFeatureSet) -> str:
    """Return the source of a module with `transform(frame)` and `expressions(schema)`.

    It makes what `AppliedFeatureSet.transform` makes, of frames of polars and of lazy ones.

    Raises:
        ConfigError: If a field has hash buckets, whose hash is no expression of polars.
    """
    source = inspect.getsource(stand_alone)
    start = source.index("PLAN: dict")
    plan = polars_plan(applied)
    lines = [f"    {f!r},\n" for f in plan["fields"]]
    whole = f'PLAN: dict[str, Any] = {{\n    "other": {plan["other"]!r},\n    "fields": [\n{"".join(lines)}    ],\n}}\n'
    # An infinity has no literal.
    return source[:start].rstrip() + '\n\n\ninf = float("inf")\n' + whole


def polars_plan(applied: AppliedFeatureSet) -> dict[str, Any]:
    """Return what the module's functions go by, as plain values."""
    return {"other": applied.other_text, "fields": [_field(applied, f) for f in applied.encoder.fields]}


def _field(applied: AppliedFeatureSet, f: Field) -> dict[str, Any]:
    if f.hash_buckets is not None:
        raise ConfigError(
            f"field {f.name!r}: has hash buckets, whose hash is no expression of polars; leave it out (--without), or "
            "export to sklearn"
        )
    if f.is_float:
        return {"name": f.name, "form": "float"}
    kept = applied.kept_as(f.name)
    if f.is_cross:
        split = [split_text(t) for t in kept]
        parts = [_part(applied, p, {s[i] for s in split}) for i, p in enumerate(f.parts)]
        return {"name": f.name, "form": "joint", "parts": parts, "kept": kept}
    if f.is_list:
        return {"name": f.name, "form": "list", "last": f.max_length, "kept": kept}
    if f.kind == "numeric":
        return {"name": f.name, "form": "range", "ranges": _ranges(applied, f.name, kept)}
    return {"name": f.name, "form": "text", "kept": kept}


def _part(applied: AppliedFeatureSet, name: str, texts: set[str | None]) -> dict[str, Any]:
    known = pl.Series("t", sorted(t for t in texts if t is not None), dtype=pl.String)
    written = known.to_frame().select(escaped(pl.col("t"))).to_series()
    kept = dict(zip(known.to_list(), written.to_list(), strict=True))
    if applied.encoder.schema.input(name).kind == "numeric":
        return {"name": name, "form": "range", "ranges": _ranges(applied, name, kept)}
    return {"name": name, "form": "text", "kept": kept}


def _ranges(applied: AppliedFeatureSet, column: str, kept: dict[str, str]) -> list[tuple[float, float, str]]:
    found = bucket_ranges(list(kept), edges=applied.encoder.edges.get(column))
    return [(low, high, kept[text]) for text, (low, high) in sorted(found.items(), key=lambda item: item[1])]
