"""Avazu's mobile advertising log: `train.csv` of the 2014 Kaggle challenge.

A header and 24 cells a line between commas. `id` is dropped; `hour` (YYMMDDHH) becomes hour of day, weekday (0 is
Monday) and is_weekend, after Zhu et al., "BARS: towards open benchmarking for recommender systems", SIGIR 2022, which
gives 24 categories; and it is the time of the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._reading import LayoutReader, Rule

__all__ = ["Avazu"]

_HOUR = r"\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])"
_MOMENT = pl.concat_str(pl.lit("20"), pl.col("hour"), pl.lit("00")).str.to_datetime("%Y%m%d%H%M", strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Avazu(Layout):
    """Columns `click`, `time`, `hour`, `weekday`, `is_weekend` and the file's own without `id`."""

    mains: ClassVar[tuple[str, ...]] = ("train.csv", "train.csv.gz", "train")

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        rules = (
            Rule.matches("click", "[01]", "must be 0 or 1"),
            Rule(
                column="hour",
                holds=pl.col("hour").str.contains(f"^{_HOUR}$") & _MOMENT.is_not_null(),
                text="must be YYMMDDHH",
            ),
        )
        for frame in reader.lines(path, separator=",", rules=rules):
            moment = frame.select(_MOMENT.alias("time"))["time"]
            own = frame.drop("id", "click", "hour", strict=False).with_columns(pl.all().replace("", None))
            weekday = (moment.dt.weekday() - 1).cast(pl.Int8)
            yield pl.DataFrame(
                [
                    frame["click"].cast(pl.Int8),
                    moment,
                    moment.dt.hour().alias("hour"),
                    weekday.alias("weekday"),
                    (weekday >= 5).cast(pl.Int8).alias("is_weekend"),
                    *own.get_columns(),
                ]
            )

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Everything is a category, as the codes C14 to C21 are no quantities."""
        texts = {c: FieldConfig(kind="categorical") for c in columns if c not in ("click", "time")}
        return SchemaConfig(label=LabelConfig(name="click", positive="1"), fields=texts, time="time")
