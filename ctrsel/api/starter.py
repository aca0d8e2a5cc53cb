"""A first config for new data: the inferred schema, written out with what was seen, for a person to correct."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl

from ctrsel.api.sample import Sample, is_untyped, sample_source
from ctrsel.core.config import IngestConfig, LabelConfig, SchemaConfig
from ctrsel.data.canonical import canonical_text, list_items
from ctrsel.data.infer import infer_schema
from ctrsel.data.sources import read_source
from ctrsel.records.schema import Field, Schema

__all__ = ["starter_config"]

_NEAR_UNIQUE = 0.9  # distinct values per present row, as in the audit
_TIME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|day|hour_of|event_at|created)(_|$)|_at$", re.IGNORECASE)
_GROUP = re.compile(
    r"(^|_)(user|uid|session|query|device|customer|visitor|member|cookie)(_|$)|user_?id$", re.IGNORECASE
)
_ID = re.compile(r"(^|_)(id|uid|uuid|key)$|[a-z]I[dD]$|^ID$")
_WEIGHT = re.compile(r"(^|_)(weight|wt|importance)(_|$)", re.IGNORECASE)
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def starter_config(
    data: str,
    label: str,
    *,
    positive: str | None = None,
    valid: str | None = None,
    test: str | None = None,
    format: str | None = None,
    name: str | None = None,
) -> str:
    """Return a commented YAML config for a file.

    Kinds are inferred from the first 100,000 rows. Whatever else is noticed (ids, times, groups, weights, shared
    vocabularies) is said in a comment and decided by nobody but the reader.

    Args:
        data: A path or a glob; the training file where `valid` and `test` are given.
        label: The label column.
        positive: Its positive value, where it is not evident.
        valid: Validation file.
        test: Test file.
        format: Of the files, if their endings do not say.
        name: The run's name; the file's name if absent.

    Returns:
        Text that `load_config` accepts.

    Raises:
        ConfigError, DataError: If the file cannot be read, or the label is absent or has not two values.
    """
    kind = format or "auto"
    sample = sample_source(data, format=kind)
    schema_config = SchemaConfig(label=LabelConfig(name=label, positive=positive))
    untyped = is_untyped(data, format=kind)
    if label in sample.frame.columns and not sample.whole and sample.frame[label].n_unique() < 2:
        # Rows sorted by label: only the whole column can say what its values are.
        whole = read_source(data, format=kind)
        sample = Sample(frame=whole, rows=whole.height, exact=True)
    schema = infer_schema(sample.frame, schema_config, IngestConfig(), untyped=untyped)
    lines = [
        f"# A first config for {data}, written by `ctrsel init`: every line is a suggestion, correct what is wrong.",
        f"# Seen: {'all' if sample.whole else 'the first'} {sample.frame.height:,} rows"
        + ("" if sample.whole else f" of {'' if sample.exact else 'about '}{sample.rows:,}")
        + f", {len(schema.fields)} fields. Next: ctrsel run THIS_FILE --dry-run",
        "",
        f"name: {_key(name or _stem(data))}",
        "seed: 1",
        "",
        "data:",
        f"  train: {_text(data)}",
        *([f"  valid: {_text(valid)}"] if valid else ["  # valid: valid.parquet   # carved out of train while absent"]),
        *([f"  test: {_text(test)}"] if test else ["  # test: test.parquet     # carved out of train while absent"]),
        *([f"  format: {format}"] if format else []),
        "",
        "split:                     # only for what the files above do not give",
        "  use: stratified          # or: time (the last rows test), group (no group on two sides), hash",
        "  valid: 0.1",
        "  test: 0.1",
        "",
        "schema:",
        "  label:",
        f"    name: {_text(label)}",
        f"    positive: {_text(schema.labels[0].positive)}   # {_rate(sample.frame, schema):.2%} of the rows seen",
        *_roles(sample.frame, schema),
        "  ignore: []               # columns that are no fields, such as row numbers",
        "  infer: true              # columns that are not named below become fields",
        "  fields:",
        *(line for field in schema.fields for line in _field(field, sample.frame, schema)),
        "",
        "ingest:",
        "  min_count: 1             # rarer values become 'other'; raise it for millions of values",
        "",
        "audit:",
        "  accept: []               # fields whose suspected leak is known and wanted",
        "",
        "rank:",
        "  - use: mutual_information",
        "  - use: boosted_shap",
        "",
        "learners:",
        "  boosted: {use: boosted}",
        "  net:",
        "    use: net",
        "    # batch_size: 2048     # rows a step; chosen by the number of rows while absent",
        "    width: 10              # numbers per embedding row",
        "    backbone: {use: deepfm, hidden: [128, 64]}",
        "",
        "select:",
        "  learner: net",
        "  size: 0.5                # at most this share of the values is kept",
        "  selectors:",
        "    - {use: gated, gate: {use: calibrated_optfs}}",
        "    - {use: ranking, ranking: mutual_information}",
        "  always_keep: []",
        "  never_use: []",
        "",
        "register:",
        "  enabled: true            # MLFLOW_TRACKING_URI, else SQLite in the run's folder",
    ]
    return "\n".join(lines) + "\n"


def _field(field: Field, frame: pl.DataFrame, schema: Schema) -> list[str]:
    series = frame[field.name]
    facts, advice = [], None
    parts = [f"kind: {field.kind}"]
    if field.is_list:
        items = list_items(series)
        distinct = items.explode(empty_as_null=False, keep_nulls=False).n_unique()
        missing = _share(items.list.len() == 0)
        facts = [f"{distinct:,} distinct values", f"{int(items.list.len().sum()) / max(len(items), 1):.1f} a row"]
        shared = _shared(items, frame, schema)
        advice = "in time order? then kind: sequence" + (f", and vocabulary: {shared}" if shared else "")
    else:
        texts = canonical_text(series)
        present = len(texts) - texts.null_count()
        missing = texts.null_count() / max(len(texts), 1)
        distinct = texts.drop_nulls().n_unique()
        facts = [f"{distinct:,} distinct values"]
        if field.kind == "numeric":
            parts += [f"bucket: {field.bucket}", *([f"bins: {field.bins}"] if field.bins else [])]
            advice = "all whole numbers: an id? then kind: categorical" if _is_id(series, distinct, present) else None
        elif present and distinct / present >= _NEAR_UNIQUE and distinct > 20:
            advice = "nearly one value a row: an id teaches nothing; ignore it, or set sensitive: true"
        elif distinct < 2:
            advice = "constant: says nothing"
    facts.append(f"{missing:.1%} missing" if missing else "none missing")
    text = f"    {_key(field.name)}: {{{', '.join(parts)}}}   # {', '.join(facts)}"
    return [text, *([f"      # ^ {advice}"] if advice else [])]


def _is_id(series: pl.Series, distinct: int, present: int) -> bool:
    whole = series.cast(pl.Int64, strict=False).count() >= present and not series.dtype.is_float()
    near_unique = distinct > 1000 and distinct / max(present, 1) >= _NEAR_UNIQUE
    return whole and (near_unique or bool(_ID.search(series.name)))


def _shared(items: pl.Series, frame: pl.DataFrame, schema: Schema) -> str | None:
    """Return the categorical field that most of a list's values occur in."""
    values = items.explode(empty_as_null=False, keep_nulls=False).unique()
    for field in schema.fields:
        if field.kind == "categorical" and len(values):
            known = canonical_text(frame[field.name]).unique()
            if _share(values.is_in(known.implode())) > 0.5:
                return field.name
    return None


def _roles(frame: pl.DataFrame, schema: Schema) -> list[str]:
    """Return commented lines for columns that look as if they had a role of their own."""
    found = []
    for column in frame.columns:
        if column == schema.labels[0].name:
            continue
        series = frame[column]
        rows, distinct = max(len(series), 1), series.n_unique() if not series.dtype.is_nested() else 0
        if series.dtype.is_temporal() or (_TIME.search(column) and distinct > 1):
            found.append(
                f"  # time: {_text(column)}   # looks like a time: orders the rows, makes split.use: time possible"
            )
        elif _WEIGHT.search(column) and _non_negative(series):
            found.append(
                f"  # weight: {_text(column)}   # looks like a row weight: enters loss and metrics, is no field"
            )
        elif _GROUP.search(column) and 1 < distinct < 0.8 * rows:
            found.append(f"  # group: {_text(column)}   # looks like a group: intervals are clustered by it")
    return found


def _non_negative(series: pl.Series) -> bool:
    values = series.cast(pl.Float64, strict=False)
    return bool(values.null_count() == series.null_count() and (values.drop_nulls() >= 0).all())


def _rate(frame: pl.DataFrame, schema: Schema) -> float:
    label = schema.labels[0]
    return _share(canonical_text(frame[label.name]) == label.positive)


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / max(len(mask), 1)


def _stem(data: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(data).name.split(".")[0]).strip("_-") or "data"


def _key(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) and name.lower() not in _WORDS
    return name if plain else json.dumps(name, ensure_ascii=False)


def _text(value: str) -> str:
    return (
        json.dumps(value, ensure_ascii=False)
        if not re.fullmatch(r"[A-Za-z_./~][\w./~-]*", value) or (value.lower() in _WORDS)
        else value
    )
