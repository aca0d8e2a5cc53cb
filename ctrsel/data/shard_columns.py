"""Columns of shards: which differences between files are refused, and which are not, since one text function reads all."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.frames import alike
from ctrsel.data.raw import Shard

__all__ = ["like_training", "plain_names", "same_columns"]


def plain_names(columns: Iterable[str]) -> None:
    """Refuse names that polars takes for patterns: a column would be lost, or others read in its place.

    Raises:
        DataError: If a name is "*", or begins with ^ and ends with $.
    """
    for column in columns:
        if column == "*" or (column.startswith("^") and column.endswith("$")):
            raise DataError(f"column {column!r}: polars takes such a name for a pattern of names; rename it")


def same_columns(shards: list[Shard]) -> None:
    """Refuse shards that lack a column of each other, or where lists stand in one and single values in another."""
    first = shards[0]
    for shard in shards[1:]:
        odd = sorted(set(first.schema) ^ set(shard.schema))
        if odd:
            has, lacks = (first.name, shard.name) if odd[0] in first.schema else (shard.name, first.name)
            raise DataError(
                f"{shard.name}: all shards must have the same columns, but {odd[0]!r} stands in {has} and not in {lacks}"
            )
        for column in first.schema:
            _same_shape(column, first, shard)


def _same_shape(column: str, first: Shard, shard: Shard) -> None:
    a, b = first.schema[column], shard.schema[column]
    if pl.Null not in (a, b) and isinstance(a, pl.List | pl.Array) != isinstance(b, pl.List | pl.Array):
        raise DataError(
            f"{shard.name}: column {column!r} must hold lists in all shards or in none, got {b} here and {a} in {first.name}"
        )


def like_training(train: list[Shard], found: list[Shard], part: str) -> None:
    """Refuse a part without a training column, or with a column of another type than any training shard has.

    Texts of a text file may stand for anything that is no list, since the schema decides what they are.
    """
    for column in train[0].schema:
        for shard in found:
            if column not in shard.schema:
                raise DataError(f"data.{part}: must have the training columns, but {column!r} is missing")
            kind = shard.schema[column]
            known = [s.schema[column] for s in train]
            texts = shard.untyped or any(s.untyped for s in train)
            nested = isinstance(kind, pl.List | pl.Array) or any(isinstance(k, pl.List | pl.Array) for k in known)
            if not any(alike(kind, k) for k in known) and (nested or not texts):
                raise DataError(f"data.{part}: column {column!r} must have the training type {known[0]}, got {kind}")
