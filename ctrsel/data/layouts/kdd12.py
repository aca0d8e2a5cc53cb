"""KDD Cup 2012, track 2 (the search advertising log of soso.com): `training.txt` and the files beside it.

Twelve cells a line between tabs, without a header: how often a user clicked an advertisement, how often it was shown
to that user in this setting, and what was shown. Each impression becomes a row: first those that were clicked, then
the others. `userid_profile.txt` and the texts' hashed words (`titleid_tokensid.txt` and so on) are joined where they
lie beside. Published figures for this set differ in what a row is: others keep one row a line, clicked at least once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._reading import LayoutReader, Rule

__all__ = ["Kdd12"]

_IDS = ("query_id", "keyword_id", "title_id", "description_id", "user_id")
_COLUMNS = ("click", "impression", "display_url", "ad_id", "advertiser_id", "depth", "position", *_IDS)
_RULES = (
    Rule.matches("impression", r"[1-9]\d{0,8}", "must be a number of at least 1"),
    Rule.matches("click", r"\d{1,9}", "must be a number"),
    Rule(
        column="click",
        holds=pl.col("click").cast(pl.Int64, strict=False) <= pl.col("impression").cast(pl.Int64, strict=False),
        text="must be at most the impressions",
    ),
)
_WORDS = {
    "query_id": ("queryid_tokensid.txt", "query_words"),
    "keyword_id": ("purchasedkeywordid_tokensid.txt", "keyword_words"),
    "title_id": ("titleid_tokensid.txt", "title_words"),
    "description_id": ("descriptionid_tokensid.txt", "description_words"),
}
_PROFILE = "userid_profile.txt"
_AT_ONCE = 1 << 20  # rows that are made of lines together


@dataclass(frozen=True, slots=True, kw_only=True)
class Kdd12(Layout):
    """Columns `click`, the ids of a line, `gender` and `age`, and lists of hashed words."""

    mains: ClassVar[tuple[str, ...]] = ("training.txt", "training.txt.gz")
    line_is_row: ClassVar[bool] = False

    def beside(self, path: Path) -> list[Path]:
        """Return the user profiles and the texts that are there."""
        names = (_PROFILE, *(name for name, _ in _WORDS.values()))
        return [path.parent / n for n in names if (path.parent / n).is_file()]

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows; of the files beside, only what the lines at hand name is held."""
        sides = [_side(file, reader) for file in self.beside(path)]
        for frame in reader.lines(path, separator="\t", columns=_COLUMNS, rules=_RULES):
            joined = reduce(_join, sides, frame)
            shown = joined["impression"].cast(pl.Int64).to_numpy()
            clicked = joined["click"].cast(pl.Int64).to_numpy()
            ready = joined.drop("click", "impression").with_columns(pl.col(pl.String).replace("", None))
            yield from _expanded(ready, clicked, shown)

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Ids are categories, words are lists."""
        lists = {name for _, name in _WORDS.values()}
        kinds = {c: FieldConfig(kind="multivalued" if c in lists else "categorical") for c in columns if c != "click"}
        return SchemaConfig(label=LabelConfig(name="click", positive="1"), fields=kinds)


def _side(file: Path, reader: LayoutReader) -> pl.LazyFrame:
    """Keep a file beside as parquet, since the queries alone are 26 million texts."""
    key, name = next(((k, n) for k, (f, n) in _WORDS.items() if f == file.name), ("user_id", ""))
    columns = (key, name) if name else (key, "gender", "age")
    folder = reader.scratch / file.stem
    folder.mkdir(parents=True)
    parts = []
    for number, frame in enumerate(reader.beside(file, separator="\t", columns=columns)):
        parts.append(folder / f"{number:05d}.parquet")
        words = [pl.col(name).str.split("|")] if name else []
        frame.with_columns(words).write_parquet(parts[-1])
    return pl.scan_parquet(parts, glob=False)


def _join(frame: pl.DataFrame, side: pl.LazyFrame) -> pl.DataFrame:
    key = side.collect_schema().names()[0]
    needed = side.join(frame.lazy().select(pl.col(key).unique()), on=key, how="semi").unique(key, keep="first")
    found = needed.collect(engine="streaming")
    return frame.join(found, on=key, how="left", maintain_order="left")


def _expanded(frame: pl.DataFrame, clicked: np.ndarray, shown: np.ndarray) -> Iterator[pl.DataFrame]:
    """Yield a row for each impression."""
    ends = np.cumsum(shown)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, max(total, 1), _AT_ONCE):
        row = np.arange(start, min(start + _AT_ONCE, total))
        line = np.searchsorted(ends, row, side="right")
        label = row - (ends[line] - shown[line]) < clicked[line]
        yield frame[line].insert_column(0, pl.Series("click", label.astype(np.int8)))
