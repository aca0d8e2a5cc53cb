"""Frappe (Baltrunas et al., "Frappe: understanding the usage and perception of mobile app recommendations", 2015).

- `*.libfm` (He and Chua, "Neural factorization machines", SIGIR 2017): `label index:1 ...` with ten pairs a line, in
  the order of the columns below; the label is 1, and -1 or 0. The negatives are those that were published.
- `frappe.csv`: a header and eleven cells between tabs, uses only. Each use is followed by two negatives in the same
  context, apps that the user never used, drawn by the rule of He and Chua with a seed of ours: these are *not* the
  published negatives. How often an app was used (`cnt`) is dropped, since it is the outcome.
- `*.csv` with a header that begins with `label` (Frappe_x1 of the BARS benchmark): as published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._reading import LayoutReader, Rule

__all__ = ["Frappe"]

_CONTEXT = ("daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
_COLUMNS = ("user", "item", *_CONTEXT)
_LABEL = Rule.matches("label", r"[-+]?[01](?:\.0)?", "must be 1, 0 or -1")
_NEGATIVES = 2  # for each use
_TRIES = 1000  # draws for one negative; a user has used a small share of the apps


@dataclass(frozen=True, slots=True, kw_only=True)
class Frappe(Layout):
    """Columns `label`, `user`, `item` and eight of context."""

    mains: ClassVar[tuple[str, ...]] = ("frappe.csv",)
    line_is_row: ClassVar[bool] = False

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        if path.suffix == ".libfm":
            rules = (_LABEL, *(Rule.matches(c, r"\d+:1(?:\.0)?", "must be a pair `index:1`") for c in _COLUMNS))
            for frame in reader.lines(path, separator=" ", columns=("label", *_COLUMNS), rules=rules):
                yield _labelled(frame).with_columns(pl.col(_COLUMNS).str.extract(r"^(\d+)"))
            return
        with path.open("rb") as file:
            first = file.readline(1000)
        if first.startswith(b"label"):
            for frame in reader.lines(path, separator=",", rules=(_LABEL,)):
                yield _labelled(frame)
            return
        rules = tuple(Rule.matches(c, ".+", "must not be empty") for c in _COLUMNS)
        whole = replace(reader, rows=None)  # all uses, since a negative is an app without any
        uses = pl.concat(whole.lines(path, separator="\t", rules=rules))
        yield _with_negatives(uses.select(_COLUMNS), path)

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Everything is a category."""
        kinds = {c: FieldConfig(kind="categorical") for c in columns if c != "label"}
        return SchemaConfig(label=LabelConfig(name="label", positive="1"), fields=kinds)


def _labelled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns((pl.col("label").cast(pl.Float64) > 0).cast(pl.Int8))


def _with_negatives(uses: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Follow each use by apps that its user never used."""
    apps = uses["item"].unique().sort()
    item = uses["item"].cast(pl.Enum(apps)).to_physical().to_numpy().astype(np.int64)
    user = (uses["user"].rank("dense") - 1).cast(pl.Int64).to_numpy()
    used = np.unique(user * len(apps) + item)
    rng = generator(1, "frappe", "negatives")
    drawn = np.zeros((len(uses), _NEGATIVES), dtype=np.int64)
    open_ = np.ones(drawn.shape, dtype=bool)
    for _ in range(_TRIES):
        drawn[open_] = rng.integers(0, len(apps), int(open_.sum()))
        open_ = np.isin(user[:, None] * len(apps) + drawn, used)
        if not open_.any():
            break
    else:
        who = uses["user"][int(np.argwhere(open_)[0][0])]
        raise DataError(f"{path}: user {who!r} has used nearly all apps, so that no negatives can be drawn")
    row = np.repeat(np.arange(len(uses)), 1 + _NEGATIVES)
    chosen = np.concatenate([item[:, None], drawn], axis=1).reshape(-1)
    label = np.tile(np.array([1] + [0] * _NEGATIVES, dtype=np.int8), len(uses))
    return pl.DataFrame([pl.Series("label", label)]).hstack(uses[row].with_columns(apps[chosen].alias("item")))
