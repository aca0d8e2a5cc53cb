"""Names of codes for people: a vocabulary's texts by code, without going through all of them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ctrsel.data.hashing import Hashed
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

if TYPE_CHECKING:
    from ctrsel.data.vocabulary import Vocabulary

__all__ = ["one_text", "value_names"]

_LISTED = 3  # numbers of merged buckets
_JOINED = 8  # texts of merged values


def value_names(vocabulary: Vocabulary, codes: np.ndarray) -> list[str]:
    """Return the text of each code (see `Vocabulary.texts`)."""
    names: dict[int, list[str]] = {}
    values, own = _values(vocabulary, codes)
    for value, code in zip(values.to_list(), own.tolist(), strict=True):
        names.setdefault(code, []).append(value)
    known = {code: _joined(texts) for code, texts in names.items()}
    if vocabulary.hashed is not None:
        buckets = _buckets(vocabulary.hashed, codes)
        known = {c: f"{b}: {known[c]}" if c in known else b for c, b in buckets.items()}
    known |= {MISSING: "(missing)", OTHER: "(other)", HIDDEN: "(hidden)"}
    return [known[c] for c in np.asarray(codes).tolist()]


def _joined(values: list[str]) -> str:
    """Join the texts of merged values; of many, the first in the order of texts."""
    rest = f" | ... ({len(values):,} values)" if len(values) > _JOINED else ""
    return " | ".join(values[:_JOINED]) + rest


def one_text(vocabulary: Vocabulary, codes: np.ndarray) -> pl.Series:
    """Return one text for each code (see `Vocabulary.one_text`)."""
    values, own = _values(vocabulary, codes)
    wanted, back = np.unique(codes, return_inverse=True)
    found = pl.DataFrame({"code": own, "value": values}, schema={"code": pl.Int64, "value": pl.String})
    first = pl.DataFrame({"code": wanted.astype(np.int64)}).join(
        found.unique("code", keep="first", maintain_order=True), on="code", how="left", maintain_order="left"
    )
    return first["value"].gather(back)


def _values(vocabulary: Vocabulary, codes: np.ndarray) -> tuple[pl.Series, np.ndarray]:
    """Return the values that have one of some codes, in text order, and their codes."""
    wanted = np.zeros(vocabulary.size, dtype=bool)
    wanted[codes] = True
    places = np.flatnonzero(wanted[vocabulary.codes])
    return vocabulary.values.take(places), vocabulary.codes[places].astype(np.int64)


def _buckets(hashed: Hashed, codes: np.ndarray) -> dict[int, str]:
    """Return the numbers of the buckets that have one of some codes."""
    numbers: dict[int, list[int]] = {}
    if hashed.remap is None:
        numbers = {c: [c - RESERVED] for c in np.unique(codes).tolist()}
    else:
        for place in np.flatnonzero(np.isin(hashed.remap, codes)).tolist():
            numbers.setdefault(int(hashed.remap[place]), []).append(place - RESERVED)
    return {
        c: f"(bucket {', '.join(map(str, b[:_LISTED]))}{', ...' if len(b) > _LISTED else ''})"
        for c, b in numbers.items()
    }
