"""Schema inference: what the columns are where the config does not say."""

from __future__ import annotations

import polars as pl

from ctrsel.core.config import FieldConfig, IngestConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.data.canonical import canonical_text
from ctrsel.records.schema import Field, Kind, Label, Schema

__all__ = ["infer_schema", "is_numeric"]

_POSITIVE = {"1", "true", "yes", "y", "click", "clicked", "t"}
_NEGATIVE = {"0", "-1", "false", "no", "n", "f", "none"}


def infer_schema(frame: pl.DataFrame, config: SchemaConfig, ingest: IngestConfig, *, untyped: bool = False) -> Schema:
    """Complete the user's schema from a frame.

    A numeric column with more than 20 distinct numbers is numeric (bucketed by the ingest settings), a list is
    multivalued, anything else is categorical. Nothing is guessed about leaks, time, groups or weights.

    Args:
        frame: Raw rows.
        config: What the user said; it always wins.
        ingest: Settings of buckets and minimum counts.
        untyped: Whether the frame comes from a text format, where a column of numbers is a column of texts too. A
            text column of a typed source is never taken for numbers: its writer chose text.

    Raises:
        DataError: If the label, or a column with a role, is not in the data, or the label has not two values.
        ConfigError: If the schema names a column that is not there.
    """
    columns = frame.columns
    label = _label(frame, config)
    for role in ("time", "group", "weight"):
        name = getattr(config, role)
        if name is not None and name not in columns:
            raise DataError(f"schema.{role}: no column {name!r} in the data; columns: {', '.join(columns)}")
    for name in (*config.fields, *config.ignore):
        if name not in columns:
            raise unknown_name(
                "column", name, columns, place="schema.fields" if name in config.fields else "schema.ignore"
            )
    # The group stays a field unless it is ignored by name: a user id is both.
    roles = {"the label": label.name, "schema.time": config.time, "schema.weight": config.weight}
    for role, name in (*roles.items(), *(("schema.ignore", name) for name in config.ignore)):
        if name in config.fields:
            raise ConfigError(f"schema.fields.{name}: a column has one role, but {name!r} is {role} as well")
    named = [name for name in (*roles.values(), config.group) if name is not None]
    if named.count(label.name) > 1:
        raise ConfigError(f"schema.label: a column has one role, but {label.name!r} is time, weight or group as well")
    if label.name in config.ignore:
        raise ConfigError(f"schema.ignore: a column has one role, but {label.name!r} is the label as well")
    taken = {label.name, config.time, config.weight, *config.ignore}
    names = [c for c in columns if c not in taken and (config.infer or c in config.fields)]
    fields = tuple(
        _field(frame[name], config.fields.get(name, FieldConfig()), ingest, untyped=untyped) for name in names
    )
    _check_sharing(fields)
    return Schema(
        labels=(label,),
        fields=fields,
        time=config.time,
        group=config.group,
        weight=config.weight,
        sampling_rate=config.sampling_rate,
    )


def _check_sharing(fields: tuple[Field, ...]) -> None:
    """Refuse shared vocabularies that cannot be: of an unknown field, of one that shares in turn, or of other buckets."""
    owners = {f.name: f for f in fields}
    for f in fields:
        if f.vocabulary == f.name:
            continue
        place = f"schema.fields.{f.name}.vocabulary"
        if f.vocabulary not in owners:
            raise unknown_name("field", f.vocabulary, sorted(owners), place=place)
        owner = owners[f.vocabulary]
        if owner.vocabulary != owner.name:
            raise ConfigError(f"{place}: {owner.name!r} uses the vocabulary of {owner.vocabulary!r}; name that one")
        if {f.bucket, owner.bucket} not in ({None}, {"log2"}):
            raise ConfigError(
                f"{place}: only categories, lists and log2 buckets can share a vocabulary, but {f.name!r} and "
                f"{owner.name!r} have the buckets {f.bucket!r} and {owner.bucket!r}"
            )


def is_numeric(series: pl.Series) -> bool:
    """Whether every present value is a number with more than 20 distinct ones; texts count if all of them parse."""
    if series.dtype.is_numeric():
        return series.n_unique() > 20
    if series.dtype != pl.String:
        return False
    values = series.cast(pl.Float64, strict=False)
    texts = series.filter(series != "")
    # Codes with leading zeros ("007") are names, not numbers.
    return (
        values.drop_nulls().n_unique() > 20 and values.count() == len(texts) and not texts.str.contains(r"^0\d").any()
    )


def _label(frame: pl.DataFrame, config: SchemaConfig) -> Label:
    name = config.label.name
    if name not in frame.columns:
        raise unknown_name("column", name, frame.columns, place="schema.label")
    text = canonical_text(frame[name])
    if text.null_count():
        row = int(text.is_null().arg_true()[0])
        raise DataError(
            f"label {name!r}: every row needs a label, but row {row + 1} has none ({text.null_count()} such rows)"
        )
    found = text.unique().sort().to_list()
    if len(found) != 2:
        shown = ", ".join(repr(v) for v in found[:5]) + (", ..." if len(found) > 5 else "")
        raise DataError(f"label {name!r}: must have exactly two values, got {len(found)}: {shown}")
    if config.label.positive is not None:
        if config.label.positive not in found:
            raise DataError(
                f"label {name!r}: the positive value {config.label.positive!r} does not occur; values: {found[0]!r}, {found[1]!r}"
            )
        return Label(name=name, positive=config.label.positive)
    positive = [v for v in found if v.lower() in _POSITIVE]
    negative = [v for v in found if v.lower() in _NEGATIVE]
    if len(positive) == 1 and len(negative) == 1:
        return Label(name=name, positive=positive[0])
    raise ConfigError(
        f"schema.label.positive: say which of {found[0]!r} and {found[1]!r} is the positive value of {name!r}"
    )


def _field(series: pl.Series, config: FieldConfig, ingest: IngestConfig, *, untyped: bool) -> Field:
    kind: Kind
    if config.kind is not None:
        kind = config.kind
    elif isinstance(series.dtype, pl.List | pl.Array):
        kind = "multivalued"
    elif config.bucket is not None or ((untyped or series.dtype != pl.String) and is_numeric(series)):
        kind = "numeric"
    else:
        kind = "categorical"
    bucket = (config.bucket or ingest.numeric_bucket) if kind == "numeric" else None
    if config.bucket is not None and kind != "numeric":
        raise ConfigError(f"schema.fields.{series.name}.bucket: belongs to numeric fields, but the kind is {kind!r}")
    return Field(
        name=series.name,
        kind=kind,
        bucket=bucket,
        bins=(ingest.bins if config.bins is None else config.bins) if bucket == "quantile" else None,
        vocabulary=config.vocabulary or series.name,
        min_count=ingest.min_count if config.min_count is None else config.min_count,
        hash_buckets=config.hash_buckets,
        max_length=ingest.max_length if config.max_length is None and kind == "sequence" else config.max_length,
        cost=config.cost,
        available_at=config.available_at,
        sensitive=bool(config.sensitive),
    )
