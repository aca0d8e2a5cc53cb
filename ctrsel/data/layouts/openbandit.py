"""Open Bandit (Saito et al., "Open bandit dataset and pipeline", NeurIPS 2021): a fashion shop's recommendations.

A folder for each policy (`random`, `bts`) and campaign (`all`, `men`, `women`) holds `CAMPAIGN.csv` and
`item_context.csv`: name the campaign's folder, or its file. The click is the label; position, the users' features and
the items' features are fields. The propensity score is ignored, since it is the policy's and not the user's. The
affinities of the user to every item (one column each) are dropped, as the authors' own preprocessing does.
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

__all__ = ["Openbandit"]

_MOMENT = pl.col("timestamp").str.to_datetime(time_zone="UTC", strict=False)
_RULES = (
    Rule.matches("click", "[01]", "must be 0 or 1"),
    Rule.matches("propensity_score", r"0?\.\d+|[01](?:\.\d+)?|\d(?:\.\d+)?[eE]-\d+", "must be a share"),
    Rule.matches("item_id", r"\d+", "must be a number"),
    Rule.matches("position", "[1-9]", "must be a place"),
    Rule(column="timestamp", holds=_MOMENT.is_not_null(), text="must be a time"),
)
_POLICIES = ("random", "bts")
_ITEMS = "item_context.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Openbandit(Layout):
    """Columns `click`, `time`, `policy`, `item`, `position`, `propensity_score`, `user_feature_*`, `item_feature_*`."""

    mains: ClassVar[tuple[str, ...]] = ("all.csv", "men.csv", "women.csv")

    def beside(self, path: Path) -> list[Path]:
        """Return the items' file."""
        return [f for f in (path.parent / _ITEMS,) if f.is_file()]

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        policy = next((p for p in reversed(path.absolute().parts[:-1]) if p in _POLICIES), None)
        items = [_items(file, reader) for file in self.beside(path)]
        for frame in reader.lines(path, separator=",", rules=_RULES, renamed={"": "number"}):
            found = frame.select(
                pl.col("click").cast(pl.Int8),
                _MOMENT.alias("time"),
                pl.lit(policy, dtype=pl.String).alias("policy"),
                pl.col("item_id").alias("item"),
                "position",
                pl.col("propensity_score").cast(pl.Float64),
                pl.col("^user_feature_.*$").replace("", None),
            )
            for side in items:
                found = found.join(side, on="item", how="left", maintain_order="left")
            yield found

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Everything is a category but the items' one number."""
        roles = ("click", "time", "policy", "propensity_score")
        kinds = {c: FieldConfig(kind="categorical") for c in columns if c not in roles}
        if "item_feature_0" in columns:
            kinds["item_feature_0"] = FieldConfig(kind="numeric", bucket="quantile")
        return SchemaConfig(
            label=LabelConfig(name="click", positive="1"),
            fields=kinds,
            time="time",
            ignore=tuple(c for c in ("policy", "propensity_score") if c in columns),
        )


def _items(file: Path, reader: LayoutReader) -> pl.DataFrame:
    rules = (
        Rule.matches("item", r"\d+", "must be a number"),
        Rule.matches("item_feature_0", r"-?\d*\.?\d+(?:[eE]-?\d+)?", "must be a number"),
    )
    frames = reader.beside(file, separator=",", rules=rules, renamed={"": "number", "item_id": "item"})
    whole = pl.concat(frames).select("item", pl.col("^item_feature_.*$")).unique("item", keep="first")
    return whole.with_columns(pl.col("item_feature_0").cast(pl.Float64))
