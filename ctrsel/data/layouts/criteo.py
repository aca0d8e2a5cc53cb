"""Criteo's display advertising logs: `train.txt` of the 2014 Kaggle challenge, and the `day_N` files of the 1TB logs.

Forty cells a line between tabs, without a header: the click, I1-I13 (counts, may be empty), C1-C26 (hashed texts, may
be empty). Numbers are bucketed as floor(ln(x)^2) for x > 2, after the winners of the challenge (Juan et al.,
"Field-aware factorization machines for CTR prediction", RecSys 2016). `test.txt` has no clicks and is no source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._reading import LayoutReader, Rule

__all__ = ["Criteo"]

_NUMBERS = tuple(f"I{i}" for i in range(1, 14))
_TEXTS = tuple(f"C{i}" for i in range(1, 27))
_RULES = (
    Rule.matches("label", "[01]", "must be 0 or 1"),
    *(
        Rule(
            column=c,
            holds=(pl.col(c) == "") | pl.col(c).cast(pl.Int64, strict=False).is_not_null(),
            text="must be a whole number or empty",
        )
        for c in _NUMBERS
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteo(Layout):
    """Columns `label`, `I1`-`I13`, `C1`-`C26`; and `day`, the time, for files whose name tells it (`day_3.gz`)."""

    mains: ClassVar[tuple[str, ...]] = ("train.txt", "train.txt.gz")

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        day = re.match(r"day_(\d+)(?:\.|$)", path.name)
        for frame in reader.lines(path, separator="\t", columns=("label", *_NUMBERS, *_TEXTS), rules=_RULES):
            typed = frame.with_columns(
                pl.col("label").cast(pl.Int8),
                pl.col(_NUMBERS).replace("", None).cast(pl.Int64),
                pl.col(_TEXTS).replace("", None),
            )
            yield typed if day is None else typed.with_columns(pl.lit(int(day[1]), dtype=pl.Int16).alias("day"))

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Counts in log2 buckets, texts as categories."""
        numbers = {c: FieldConfig(kind="numeric", bucket="log2") for c in _NUMBERS if c in columns}
        texts = {c: FieldConfig(kind="categorical") for c in _TEXTS if c in columns}
        return SchemaConfig(
            label=LabelConfig(name="label", positive="1"),
            fields={**numbers, **texts},
            time="day" if "day" in columns else None,
        )
