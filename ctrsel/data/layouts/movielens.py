"""MovieLens (Harper and Konstan, "The MovieLens datasets", TiiS 2015): ratings, users and films in their three forms.

- ml-1m: `ratings.dat` (cells between `::`), with `users.dat` and `movies.dat`;
- ml-100k: `u.data` (between tabs), with `u.user`, `u.item` and `u.genre`;
- ml-latest, ml-20m, ml-25m: `ratings.csv`, with `movies.csv`.

The label rule: a rating above 3 is positive, 3 and below are negative. (Song et al., "AutoInt", CIKM 2019, leave out 3
as neutral.) The rating itself is dropped, since it is the label. A film's genres are a list. Files beside that are
absent are left out. A `.csv` with the header `label,user_id,item_id,tag_id` (MovielensLatest_x1 of the BARS benchmark,
Zhu et al., SIGIR 2022) is read as published, with its negatives.
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

__all__ = ["Movielens"]

_COLUMNS = ("user", "item", "rating", "timestamp")
_NAMES = {"userId": "user", "movieId": "item", "user_id": "user", "item_id": "item", "tag_id": "tag"}
_RULES = (
    Rule.matches("rating", r"[0-5](?:\.\d)?", "must be a number of stars"),
    Rule.matches("timestamp", r"\d{1,12}", "must be seconds"),
)
_PUBLISHED = (Rule.matches("label", r"-?[01](?:\.0)?", "must be 0 or 1"),)
_NO_GENRES = "(no genres listed)"
_BESIDE = ("users.dat", "movies.dat", "u.user", "u.item", "u.genre", "movies.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Movielens(Layout):
    """Columns `label`, `user`, `item`, `time` and what is known of user and film; or those of MovielensLatest_x1."""

    mains: ClassVar[tuple[str, ...]] = ("ratings.dat", "u.data", "ratings.csv")

    def beside(self, path: Path) -> list[Path]:
        """Return the files about users and films."""
        wanted = {".dat": _BESIDE[:2], ".data": _BESIDE[2:5], ".csv": _BESIDE[5:]}.get(path.suffix, ())
        return [path.parent / n for n in wanted if (path.parent / n).is_file()]

    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        separator = {".dat": "::", ".data": "\t"}.get(path.suffix, ",")
        headed = separator == ","
        if headed and not _rated(path):
            yield from _published(path, reader)
            return
        users, items = _users(path.parent, path.suffix, reader), _items(path.parent, path.suffix, reader)
        rows = reader.lines(
            path, separator=separator, columns=None if headed else _COLUMNS, rules=_RULES, renamed=_NAMES
        )
        for frame in rows:
            found = frame.select(
                (pl.col("rating").cast(pl.Float64) > 3).cast(pl.Int8).alias("label"),
                "user",
                "item",
                pl.from_epoch(pl.col("timestamp").cast(pl.Int64), time_unit="s").alias("time"),
            )
            for key, side in (("user", users), ("item", items)):
                if side is not None:
                    found = found.join(side, on=key, how="left", maintain_order="left")
            yield found

    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Everything is a category but the genres; the rows of a user belong together."""
        kinds = {
            c: FieldConfig(kind="multivalued" if c == "genres" else "categorical")
            for c in columns
            if c not in ("label", "time")
        }
        return SchemaConfig(
            label=LabelConfig(name="label", positive="1"),
            fields=kinds,
            time="time" if "time" in columns else None,
            group="user",
        )


def _rated(path: Path) -> bool:
    """Whether a file with a header is one of ratings, not one that is published with labels."""
    with path.open("rb") as file:
        return b"label" not in file.readline(1000).lower().strip().split(b",")


def _published(path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
    for frame in reader.lines(path, separator=",", rules=_PUBLISHED, renamed=_NAMES):
        yield frame.with_columns(pl.col("label").str.starts_with("1").cast(pl.Int8))


def _users(folder: Path, suffix: str, reader: LayoutReader) -> pl.DataFrame | None:
    if suffix == ".dat" and (folder / "users.dat").is_file():
        names = ("user", "gender", "age", "occupation", "zip_code")
        return pl.concat(reader.beside(folder / "users.dat", separator="::", columns=names, encoding="latin-1")).unique(
            "user", keep="first"
        )
    if suffix == ".data" and (folder / "u.user").is_file():
        names = ("user", "age", "gender", "occupation", "zip_code")
        return pl.concat(reader.beside(folder / "u.user", separator="|", columns=names, encoding="latin-1")).unique(
            "user", keep="first"
        )
    return None


def _items(folder: Path, suffix: str, reader: LayoutReader) -> pl.DataFrame | None:
    if suffix == ".dat" and (folder / "movies.dat").is_file():
        names = ("item", "title", "genres")
        films = pl.concat(reader.beside(folder / "movies.dat", separator="::", columns=names, encoding="latin-1"))
    elif suffix == ".csv" and (folder / "movies.csv").is_file():
        from ctrsel.data.delimited import read_delimited

        films = read_delimited(str(folder / "movies.csv"), separator=",").rename({"movieId": "item"})
    elif suffix == ".data" and (folder / "u.item").is_file() and (folder / "u.genre").is_file():
        return _flags(folder, reader)
    else:
        return None
    none = pl.lit([], dtype=pl.List(pl.String))
    lists = pl.when(pl.col("genres") == _NO_GENRES).then(none).otherwise(pl.col("genres").str.split("|"))
    return films.select("item", lists.alias("genres")).unique("item", keep="first")


def _flags(folder: Path, reader: LayoutReader) -> pl.DataFrame:
    """Return the genres of ml-100k, which has a 0 or 1 for each."""
    known = pl.concat(reader.beside(folder / "u.genre", separator="|", columns=("genre", "number"), encoding="latin-1"))
    genres = known["genre"].to_list()
    columns = ("item", "title", "released", "video", "url", *genres)
    films = pl.concat(reader.beside(folder / "u.item", separator="|", columns=columns, encoding="latin-1"))
    named = [pl.when(pl.col(g) == "1").then(pl.lit(g)) for g in genres]
    return films.select("item", pl.concat_list(named).list.drop_nulls().alias("genres")).unique("item", keep="first")
