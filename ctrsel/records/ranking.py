"""Ranking: items in order of a score, with the null that the score was compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_manifest
from ctrsel.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Ranking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Items ranked by one method.

    Attributes:
        method: The ranker's name ("mutual_information").
        params: Its `{use: ..., parameters}`.
        unit: What the score is measured in ("sd", "nats", "log-odds").
        null: What the score was compared with ("exact permutation moments"), None if with nothing.
        frame: At least the columns `field` (text), `score` (float, never null) and `rank` (1 = best); best first.
            Further columns are evidence by name (`mi`, `mi_minus_expected`, `ami`, `z`, `p`, `q`, `held_out_gain`, ...).
        item: What is ranked: a "field"; a "cross" of fields (`field` is its name, `fields` a list of their names); or a
            "value" of a field (`field` and `value`).
        refused: Items that got no score, with the reason.
        notes: What a reader must know (sample size, warnings).
        table: Digest of the table.
    """

    method: str
    params: Mapping[str, Any]
    unit: str
    null: str | None
    frame: pl.DataFrame
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    table: str = ""
    item: Literal["field", "cross", "value"] = "field"

    def __post_init__(self) -> None:
        own = {"field": None, "cross": "fields", "value": "value"}[self.item]
        if own is not None and own not in self.frame.columns:
            raise DataError(f"a ranking of items of kind {self.item!r} needs the column {own!r}")
        missing = [c for c in ("field", "score", "rank") if c not in self.frame.columns]
        if missing:
            raise DataError(f"a ranking needs the columns field, score and rank; {missing[0]!r} is missing")
        score, rank = self.frame["score"], self.frame["rank"]
        if not score.dtype.is_numeric() or not score.is_finite().fill_null(value=False).all():
            raise DataError("a ranking's score must be a finite number; refuse an item instead of giving it none")
        if (
            not rank.dtype.is_integer()
            or rank.null_count()
            or (self.frame.height and (rank[0] != 1 or not rank.is_sorted()))
        ):
            raise DataError("a ranking's rank must rise from 1, best first")
        item = [c for c in ("field", "value") if c in self.frame.columns]
        if self.frame.select(item).is_duplicated().any():
            raise DataError("a ranking must name each item once")

    @property
    def order(self) -> tuple[str, ...]:
        """Items, best first."""
        return tuple(self.frame.sort("rank")["field"].to_list())

    def score(self, item: str) -> float | None:
        """Return the score of an item, None if it was refused."""
        row = self.frame.filter(self.frame["field"] == item)
        return float(row["score"][0]) if row.height else None

    def _head(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "params": dict(self.params),
            "unit": self.unit,
            "null": self.null,
            "refused": dict(self.refused),
            "notes": list(self.notes),
            "table": self.table,
            **({} if self.item == "field" else {"item": self.item}),
        }

    @property
    def digest(self) -> str:
        """Digest of the content; a number that is not finite counts as well as any other."""
        numbers = {c.name: c.to_physical().to_numpy() for c in self.frame if c.dtype.is_numeric()}
        texts = {c.name: c.to_list() for c in self.frame if not c.dtype.is_numeric()}
        return digest_json({**self._head(), "numbers": digest_arrays(numbers), "texts": texts})

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest and `ranking.parquet`."""
        with atomic_folder(path, manifest={"format": "ctrsel.ranking", "version": 1, **self._head()}) as folder:
            self.frame.write_parquet(folder / "ranking.parquet")

    @staticmethod
    def load(path: Path) -> Ranking:
        """Load what `save` wrote."""
        import polars as pl

        m = read_manifest(path, format="ctrsel.ranking", version=1)
        frame = pl.read_parquet(Path(path) / "ranking.parquet")
        return Ranking(
            method=m["method"],
            params=m["params"],
            unit=m["unit"],
            null=m["null"],
            frame=frame,
            refused=m["refused"],
            notes=tuple(m["notes"]),
            table=m["table"],
            item=m.get("item", "field"),
        )
