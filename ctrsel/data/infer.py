"""Schema inference: what the columns are where the config does not say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice
from typing import get_args

import polars as pl

from ctrsel.core.config import FieldConfig, IngestConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.data.canonical import canonical_text
from ctrsel.data.raw import RawRows
from ctrsel.data.roles import find_label
from ctrsel.data.shard_columns import plain_names
from ctrsel.records.schema import ColumnKind, Field, Label, Schema

__all__ = ["check_columns", "infer_fields", "infer_schema", "looks_numeric"]

_FEW = 1_000  # rows
_ENOUGH = 20  # a column of numbers with at most so many distinct ones is a category


def check_columns(columns: tuple[str, ...], config: SchemaConfig) -> None:
    """Refuse a schema that names columns which are not there, or gives one two roles.

    Raises:
        DataError: If a column with a role is not in the data, or a name is one that polars takes for a pattern.
        ConfigError: If another column is not, or a column has two roles.
    """
    plain_names(columns)
    label = config.label.name
    if label not in columns:
        raise unknown_name("column", label, columns, place="schema.label")
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
    roles = {"the label": label, "schema.time": config.time, "schema.weight": config.weight}
    for role, name in (*roles.items(), *(("schema.ignore", name) for name in config.ignore)):
        if name in config.fields:
            raise ConfigError(f"schema.fields.{name}: a column has one role, but {name!r} is {role} as well")
    named = [name for name in (*roles.values(), config.group) if name is not None]
    if named.count(label) > 1:
        raise ConfigError(f"schema.label: a column has one role, but {label!r} is time, weight or group as well")
    if label in config.ignore:
        raise ConfigError(f"schema.ignore: a column has one role, but {label!r} is the label as well")


def infer_schema(frame: pl.DataFrame, config: SchemaConfig, ingest: IngestConfig, *, untyped: bool = False) -> Schema:
    """Complete the user's schema from a frame in memory.

    Args:
        frame: Raw rows.
        config: What the user said; it always wins.
        ingest: Settings of buckets and minimum counts.
        untyped: Whether the frame comes from a text format.

    Raises:
        DataError, ConfigError: As `check_columns` and `infer_fields`, or if the label has not two values.
    """
    raw = RawRows.of(frame, untyped=untyped)
    check_columns(raw.columns, config)
    text = canonical_text(frame[config.label.name])
    if text.null_count():
        row = int(text.is_null().arg_true()[0])
        raise DataError(
            f"label {config.label.name!r}: every row needs a label, but row {row + 1} has none "
            f"({text.null_count()} such rows)"
        )
    return infer_fields(raw, config, ingest, label=find_label(text.unique().to_list(), config.label))


def infer_fields(raw: RawRows, config: SchemaConfig, ingest: IngestConfig, *, label: Label) -> Schema:
    """Complete the user's schema from raw rows.

    A numeric column with more than 20 distinct numbers is numeric (bucketed by the ingest settings), a list is
    multivalued, anything else is categorical. A column of a text format counts as numeric if every text of the
    training part is a number; a text column of a typed source is never taken for numbers: its writer chose text.
    Nothing is guessed about leaks, time, groups or weights.

    Args:
        raw: Raw rows, whose columns `check_columns` has passed.
        config: What the user said; it always wins.
        ingest: Settings of buckets and minimum counts.
        label: The label.

    Raises:
        ConfigError: If fields share a vocabulary that cannot be shared.
    """
    taken = {label.name, config.time, config.weight, *config.ignore}
    names = [c for c in raw.columns if c not in taken and (config.infer or c in config.fields)]
    fields = tuple(_field(raw, name, config.fields.get(name, FieldConfig()), ingest) for name in names)
    fields = _shared(fields)
    return Schema(
        labels=(label,),
        fields=fields,
        time=config.time,
        group=config.group,
        weight=config.weight,
        sampling_rate=config.sampling_rate,
    )


def _shared(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Refuse shared vocabularies that cannot be: of an unknown field, of one that shares in turn, of other buckets.

    The hash buckets of a shared vocabulary are those of the field that owns it. Its texts are those of all fields that
    share it, so that all of them are sensitive where one is.
    """
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
        if f.hash_buckets not in (None, owner.hash_buckets):
            raise ConfigError(
                f"{place}: fields that share a vocabulary share its hash buckets, but {f.name!r} has {f.hash_buckets} "
                f"and {owner.name!r} has {owner.hash_buckets or 'none'}"
            )
    secret = {f.vocabulary for f in fields if f.sensitive}
    return tuple(
        replace(f, hash_buckets=owners[f.vocabulary].hash_buckets, sensitive=f.vocabulary in secret) for f in fields
    )


def looks_numeric(chunks: Iterable[pl.Series]) -> bool:
    """Whether every present value is a number, with more than 20 distinct ones; texts count if all of them parse.

    Reading ends with the first chunk that says no.

    Examples:
        >>> looks_numeric([pl.Series([str(i) for i in range(30)])]), looks_numeric([pl.Series(["007"] * 30)])
        (True, False)
    """
    seen: set[float] = set()
    for chunk in chunks:
        if chunk.dtype.is_numeric():
            values = chunk
        elif chunk.dtype == pl.String:
            texts = chunk.filter(chunk != "")
            values = texts.cast(pl.Float64, strict=False)
            # Codes with leading zeros ("007") are names, not numbers.
            if values.null_count() or texts.str.contains(r"^0\d").any():
                return False
        elif chunk.dtype == pl.Null:
            continue
        else:
            return False
        if len(seen) <= _ENOUGH:
            few = values.head(10_000).unique()
            seen |= set((few if len(few) > _ENOUGH else values.unique()).drop_nulls().head(_ENOUGH + 2).to_list())
    return len(seen) > _ENOUGH


def _field(raw: RawRows, name: str, config: FieldConfig, ingest: IngestConfig) -> Field:
    kind: ColumnKind
    for key, known in (("kind", get_args(ColumnKind)), ("bucket", ("log2", "quantile", "none"))):
        if getattr(config, key) not in (None, *known):
            raise unknown_name(key, str(getattr(config, key)), known, place=f"schema.fields.{name}")
    if config.kind is not None:
        kind = config.kind
    elif any(isinstance(t, pl.List | pl.Array) for t in raw.types(name)):
        kind = "multivalued"
    elif config.bucket is not None or _numeric(raw, name):
        kind = "numeric"
    else:
        kind = "categorical"
    bucket = (config.bucket or ingest.numeric_bucket) if kind == "numeric" else None
    if config.bucket is not None and kind != "numeric":
        raise ConfigError(f"schema.fields.{name}.bucket: belongs to numeric fields, but the kind is {kind!r}")
    if config.bins is not None and bucket != "quantile":
        raise ConfigError(f"schema.fields.{name}.bins: belongs to quantile buckets, but the bucket is {bucket!r}")
    if config.max_length is not None and kind not in ("multivalued", "sequence"):
        raise ConfigError(f"schema.fields.{name}.max_length: belongs to lists, but the kind is {kind!r}")
    return Field(
        name=name,
        kind=kind,
        bucket=bucket,
        bins=(ingest.bins if config.bins is None else config.bins) if bucket == "quantile" else None,
        vocabulary=config.vocabulary or name,
        min_count=ingest.min_count if config.min_count is None else config.min_count,
        hash_buckets=config.hash_buckets,
        max_length=ingest.max_length if config.max_length is None and kind == "sequence" else config.max_length,
        cost=config.cost,
        available_at=config.available_at,
        sensitive=bool(config.sensitive),
    )


def _numeric(raw: RawRows, name: str) -> bool:
    texts = any(t == pl.String and not s.untyped for s in raw.shards for t in (s.schema[name],))
    # Most texts are told from numbers by the first few, so that the others are not read.
    few = islice(raw.chunks(name, rows=_FEW, part="train"), 1)
    return not texts and looks_numeric(chain(few, raw.chunks(name, part="train")))
