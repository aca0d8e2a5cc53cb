"""Texts of crosses: the texts of several columns joined into one, from which each of them can be read back.

Texts are joined by " × ". Inside a text a backslash stands before each backslash and each ×, and before the text
"(missing)", so that no two rows of different texts have one joint text, and a missing part, which is written
"(missing)", is told from the text "(missing)".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts
from ctrsel.data.canonical import canonical_text, numeric_values
from ctrsel.records.schema import Field

__all__ = ["ABSENT", "SEPARATOR", "bucket_names", "escaped", "joint_texts", "part_texts", "split_text"]

ABSENT = "(missing)"  # stands for a part without a value
TIMES = "\u00d7"
SEPARATOR = f" {TIMES} "


def escaped(text: pl.Expr) -> pl.Expr:
    """Return the query for texts as they stand in joint texts; nulls are `ABSENT`."""
    inside = text.str.replace_all("\\", "\\\\", literal=True).str.replace_all(TIMES, f"\\{TIMES}", literal=True)
    return pl.when(text == ABSENT).then(pl.lit(f"\\{ABSENT}")).otherwise(inside).fill_null(ABSENT)


def joint_texts(parts: Sequence[pl.Expr]) -> pl.Expr:
    r"""Return the query for the joint text of some text columns; null where all of them are null.

    Examples:
        >>> rows = pl.DataFrame({"site": ["a", None, None, "x × y"], "ad": ["b", "b", None, "(missing)"]})
        >>> rows.select(joint=joint_texts([pl.col("site"), pl.col("ad")]))["joint"].to_list()
        ['a × b', '(missing) × b', None, 'x \\× y × \\(missing)']
    """
    joined = pl.concat_str([escaped(p) for p in parts], separator=SEPARATOR)
    return pl.when(pl.all_horizontal([p.is_null() for p in parts])).then(None).otherwise(joined)


def split_text(joint: str) -> tuple[str | None, ...]:
    r"""Return the texts that a joint text was made of, None for a missing part.

    Examples:
        >>> split_text("(missing) × b"), split_text("x \\× y × \\(missing)")
        ((None, 'b'), ('x × y', '(missing)'))
    """
    # A separator's × follows a space; one inside a text follows a backslash.
    parts = joint.split(SEPARATOR)
    return tuple(None if p == ABSENT else re.sub(r"\\(.)", r"\1", p, flags=re.DOTALL) for p in parts)


def part_texts(field: Field, raw: pl.Series, *, edges: np.ndarray | None) -> pl.Series:
    """Return the text of each raw value of a cross's part: its canonical text, or that of its bucket.

    Args:
        field: A categorical or bucketed field.
        raw: Its column.
        edges: Inner edges of its quantile buckets.
    """
    if field.kind != "numeric":
        return canonical_text(raw)
    values = numeric_values(raw, sensitive=field.sensitive).fill_null(float("nan")).to_numpy()
    return bucket_names(bucket_ids(values, edges=edges), edges=edges)


def bucket_names(ids: np.ndarray, *, edges: np.ndarray | None) -> pl.Series:
    """Return the text of each bucket, null for `NO_BUCKET`; texts are made once per distinct bucket."""
    found, places = np.unique(ids, return_inverse=True)
    present = found != NO_BUCKET
    names: list[str | None] = [None] * len(found)
    for place, name in zip(np.flatnonzero(present), bucket_texts(found[present], edges=edges), strict=True):
        names[int(place)] = name
    return pl.Series(names, dtype=pl.String).gather(pl.Series(places, dtype=pl.UInt32))
