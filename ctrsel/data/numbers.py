"""Numbers: the texts in numeric fields that are none, found before anything is decided by rows."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import beyond_exact, list_items, numeric_values
from ctrsel.data.faults import Faults
from ctrsel.data.raw import RawRows
from ctrsel.data.roles import number_values
from ctrsel.records.schema import Field, Schema

__all__ = ["check_fields"]

_SHOWN = 200  # characters of a value that are written down


def check_fields(raw: RawRows, schema: Schema, faults: Faults) -> None:
    """Find the rows with a text in a numeric field; refuse columns whose type has no text form, or not the same one.

    Raises:
        DataError: At once, if nothing is tolerated.
    """
    for field in schema.fields:
        types = raw.types(field.name)
        if field.is_list:
            for kind in types:
                list_items(pl.Series(field.name, [], dtype=kind))
        elif field.kind == "numeric" and not all(
            t.is_numeric() or t.is_temporal() or t in (pl.Boolean, pl.Null) for t in types
        ):
            _check_numbers(raw, field, faults)
        elif field.kind == "categorical" and any(t.is_float() for t in types) and not all(t.is_float() for t in types):
            _check_ids(raw, field)


def _check_ids(raw: RawRows, field: Field) -> None:
    """Refuse ids that floats of some shards have rounded while other shards hold them exactly: they would never match."""
    start = 0
    for chunk in raw.chunks(field.name):
        rounded = beyond_exact(chunk)
        if rounded is not None:
            row = start + int((chunk == rounded).arg_max() or 0)
            value = "a number" if field.sensitive else f"{rounded:.0f}"
            raise DataError(
                f"{raw.place(row)} of column {field.name!r} must be a float below 2^53, since other files hold it as "
                f"integers or texts and a larger float is rounded, got {value}; write the column as integers everywhere"
            )
        start += len(chunk)


def _check_numbers(raw: RawRows, field: Field, faults: Faults) -> None:
    start = 0
    for chunk in raw.chunks(field.name):
        if chunk.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = chunk.cast(pl.String)
            stripped = texts.str.strip_chars()
            none = stripped.str.to_lowercase().is_in(["", "nan", "-nan", "+nan"])
            wrong = (number_values(chunk).is_null() & ~none).fill_null(value=False)
            bad = np.flatnonzero(wrong.to_numpy())
            faults.add(
                bad + start,
                partial(_reasons, field, texts, bad),
                refuse=partial(_sentence, raw, field, texts, bad, start),
            )
        else:
            numeric_values(chunk)  # refuses what is neither a number nor a text
        start += len(chunk)


def _sentence(raw: RawRows, field: Field, texts: pl.Series, bad: np.ndarray, start: int) -> str:
    row = int(bad[0]) + start
    part = next(k for k, s in raw.parts.items() if s.start <= row < s.stop)
    got = "a text" if field.sensitive else repr(texts[int(bad[0])])
    return (
        f"data.{part}: column {field.name!r}: row {row - raw.parts[part].start + 1} must be a number, got {got} "
        f"({len(bad)} such rows); make it categorical in the schema, or mend the file"
    )


def _reasons(field: Field, texts: pl.Series, bad: np.ndarray) -> pl.Series:
    rule = f"column {field.name!r} must be a number, got "
    if field.sensitive:
        return pl.Series([f"{rule}a text"]).new_from_index(0, len(bad))
    return pl.select(pl.lit(rule) + texts.gather(bad).str.slice(0, _SHOWN)).to_series()
