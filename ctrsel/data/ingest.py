"""Ingest: raw rows to a Table, with the Encoder fitted on the training split only."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.config import DataConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.canonical import canonical_text, numeric_values
from ctrsel.data.encoder import fit_encoder
from ctrsel.data.infer import infer_schema, is_numeric
from ctrsel.data.sources import alike, dataset_files, guess_format, read_frame, read_source
from ctrsel.data.split import assign
from ctrsel.data.table import Table
from ctrsel.records.schema import Schema

__all__ = ["ingest", "read_parts"]


def read_parts(data: DataConfig) -> dict[str, pl.DataFrame]:
    """Read the raw frames of a config by split: train, and valid and test where they are given.

    Raises:
        ConfigError: If no training data is named, or both a dataset and files.
        DataError: If a file cannot be read, or its columns differ from the training file's.
    """
    files = {k: v for k in ("train", "valid", "test") if (v := getattr(data, k)) is not None}
    if data.dataset is not None:
        if files:
            raise ConfigError(
                f"data: name a dataset or files, not both: got dataset {data.dataset!r} and {sorted(files)}"
            )
        files = dataset_files(data.dataset)
    if "train" not in files:
        raise ConfigError(
            "data.train: name the training file, or a dataset that ships with the package in data.dataset"
        )
    return {
        k: read_source(files[k], format=data.format, rows=data.rows) for k in ("train", "valid", "test") if k in files
    }


def ingest(
    data: Any,
    *,
    label: str | None = None,
    schema: SchemaConfig | None = None,
    split: SplitConfig | None = None,
    settings: IngestConfig | None = None,
    seed: int = 1,
) -> Table:
    """Turn raw rows into a Table with train, valid and test splits.

    Args:
        data: A `DataConfig`, a path or glob, a polars or pandas frame, or a mapping of split name to any of these.
        label: Name of the label column; shorthand for a schema that says no more.
        schema: What the columns are; what it does not say is inferred.
        split: How rows are divided where the data does not say.
        settings: How values become codes.
        seed: Of the split.

    Raises:
        ConfigError, DataError: In one sentence with the place, the rule and the value.

    Examples:
        >>> frame = pl.DataFrame({"ad": ["a", "b"] * 50, "click": [0, 1, 1, 0] * 25})
        >>> table = ingest(frame, label="click")
        >>> table.n_rows, list(table.splits), table.encoder.size("ad")
        (100, ['train', 'valid', 'test'], 5)
    """
    if schema is None:
        if label is None:
            raise ConfigError("label: name the label column")
        schema = SchemaConfig(label=LabelConfig(name=label))
    split, settings = split or SplitConfig(), settings or IngestConfig()
    parts = _parts(data)
    train = parts["train"]
    for name, frame in parts.items():
        _same(train, frame, name)
    untyped = _untyped(data)
    if untyped:
        _steady(parts, schema)
    _labelled(parts, schema.label.name)
    whole = (
        pl.concat([f.select(train.columns) for f in parts.values()], how="vertical_relaxed")
        if len(parts) > 1
        else train
    )
    found = infer_schema(whole, schema, settings, untyped=untyped)
    event("read", rows=whole.height, columns=whole.width, fields=len(found.fields))

    _numbers(parts, found)
    where = {name: frame.height for name, frame in parts.items()}
    positive = (canonical_text(whole[found.labels[0].name]) == found.labels[0].positive).to_numpy()
    time, group, weight = _time(whole, found, where), _group(whole, found), _weight(whole, found, where)
    origin, start = {}, 0
    for name, height in where.items():
        origin[name] = slice(start, start + height)
        start += height
    rows = assign(origin, split, seed=seed, positive=positive, time=time, group=group)
    order = np.concatenate(list(rows.values()))
    encoder = fit_encoder(whole[rows["train"]], found)

    ordered = whole[order]
    columns = {f.name: encoder.column(f, ordered) for f in found.fields}
    splits, start = {}, 0
    for name, of in rows.items():
        splits[name] = (start, start + len(of))
        start += len(of)
    table = Table(
        encoder=encoder,
        columns=columns,
        labels=positive[order].astype(np.float32)[:, None],
        row=order.astype(np.int64),
        weight=None if weight is None else weight[order],
        group=None if group is None else group[order],
        time=None if time is None else time[order],
        splits=splits,
        source=_name(data),
    )
    event("encoded", rows=table.n_rows, fields=len(found.fields), values=encoder.n_values)
    return table


def _parts(data: Any) -> dict[str, pl.DataFrame]:
    if isinstance(data, DataConfig):
        return read_parts(data)
    given = data if isinstance(data, dict) else {"train": data}
    unknown = sorted(set(given) - {"train", "valid", "test"})
    if unknown or "train" not in given:
        raise ConfigError(f"data: a mapping needs 'train' and may have 'valid' and 'test', got {sorted(given)}")
    parts = {}
    for name in ("train", "valid", "test"):
        if name in given:
            part = given[name]
            parts[name] = read_source(os.fspath(part)) if isinstance(part, str | os.PathLike) else read_frame(part)
            if parts[name].height == 0:
                raise DataError(f"data.{name}: has no rows")
    return parts


def _untyped(data: Any) -> bool:
    """Whether any part comes from a text format."""
    if isinstance(data, DataConfig):
        kinds = {guess_format(f) for f in (data.train,) if f is not None} if data.format == "auto" else {data.format}
    else:
        given = list(data.values()) if isinstance(data, dict) else [data]
        kinds = {guess_format(str(d)) for d in given if isinstance(d, str | os.PathLike)}
    return bool(kinds & {"csv", "tsv", "libsvm", "libfm"})


def _name(data: Any) -> str:
    if isinstance(data, DataConfig):
        return data.dataset or str(data.train)
    return str(data) if isinstance(data, str) or hasattr(data, "__fspath__") else "frame"


def _same(train: pl.DataFrame, frame: pl.DataFrame, name: str) -> None:
    missing = [c for c in train.columns if c not in frame.columns]
    if missing:
        raise DataError(f"data.{name}: must have the training columns, but {missing[0]!r} is missing")
    for column in train.columns:
        a, b = train.schema[column], frame.schema[column]
        if not alike(a, b):
            raise DataError(f"data.{name}: column {column!r} must have the training type {a}, got {b}")


def _labelled(parts: dict[str, pl.DataFrame], label: str) -> None:
    """Refuse a row without a label, or with one that training has not, by its file and row."""
    known: set[str | None] = set()
    for name, frame in parts.items():
        if label not in frame.columns:
            return  # told by the schema, which knows the columns
        text = canonical_text(frame[label])
        if text.null_count():
            row = int(text.is_null().arg_true()[0])
            raise DataError(
                f"data.{name}: label {label!r}: every row needs a label, but row {row + 1} has none "
                f"({text.null_count()} such rows)"
            )
        if name == "train":
            known = set(text.unique().to_list())
        elif len(known) == 2 and not set(text.unique().to_list()) <= known:
            row = int((~text.is_in(list(known))).arg_true()[0])
            raise DataError(
                f"data.{name}: label {label!r}: row {row + 1} must have one of the training values "
                f"{' and '.join(map(repr, sorted(map(str, known))))}, got {text[row]!r}"
            )


def _numbers(parts: dict[str, pl.DataFrame], schema: Schema) -> None:
    """Refuse a text in a numeric field by its file and row, which encoding no longer knows."""
    for name, frame in parts.items():
        for field in schema.fields:
            if field.kind == "numeric" and not frame.schema[field.name].is_numeric():
                numeric_values(frame[field.name], place=f"data.{name}: ")


def _place(row: int, where: dict[str, int]) -> str:
    """Name a row of the whole by its part, counted from 1."""
    for name, height in where.items():
        if row < height:
            return f"data.{name}: row {row + 1}"
        row -= height
    raise IndexError(row)


def _steady(parts: dict[str, pl.DataFrame], schema: SchemaConfig) -> None:
    """Refuse a text column that is all numbers in the training file and holds words in another one.

    Not a column that the schema speaks of: its kind is known, or it is no field.
    """
    train = parts["train"]
    told = {n for n, f in schema.fields.items() if f.kind is not None}
    told |= {schema.label.name, *schema.ignore, *(n for n in (schema.time, schema.weight, schema.group) if n)}
    for name, frame in parts.items():
        if name == "train":
            continue
        for column in (c for c in train.columns if c not in told):
            if train.schema[column] == pl.String and frame.schema[column] == pl.String and is_numeric(train[column]):
                numeric_values(frame[column], place=f"data.{name}: ")


def _time(frame: pl.DataFrame, schema: Schema, where: dict[str, int]) -> np.ndarray | None:
    if schema.time is None:
        return None
    series = frame[schema.time]
    if series.dtype == pl.String:
        numbers = series.cast(pl.Int64, strict=False)
        if numbers.null_count():
            try:
                numbers = series.str.to_datetime(strict=False)
            except pl.exceptions.PolarsError:  # no value looks like a time
                numbers = pl.Series([None] * len(series), dtype=pl.Int64)
        series = numbers
    if not (series.dtype.is_temporal() or series.dtype.is_numeric() or series.dtype == pl.Null):
        raise DataError(f"schema.time: column {schema.time!r} must hold times or numbers, got {series.dtype}")
    values = series.to_physical().cast(pl.Int64, strict=False)
    if values.null_count():
        row = int(values.is_null().arg_true()[0])
        raise DataError(
            f"{_place(row, where)} of column {schema.time!r} must be a time or a whole number, "
            f"got {frame[schema.time][row]!r}"
        )
    return values.to_numpy().astype(np.int64)


def _group(frame: pl.DataFrame, schema: Schema) -> np.ndarray | None:
    if schema.group is None:
        return None
    text = canonical_text(frame[schema.group])
    return text.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _weight(frame: pl.DataFrame, schema: Schema, where: dict[str, int]) -> np.ndarray | None:
    if schema.weight is None:
        return None
    values = numeric_values(frame[schema.weight], place="schema.weight: ")
    bad = values.is_null() | ~values.is_finite() | (values < 0)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(
            f"{_place(row, where)} of column {schema.weight!r} must be a weight of at least 0, "
            f"got {frame[schema.weight][row]!r}"
        )
    return values.to_numpy().astype(np.float64)
