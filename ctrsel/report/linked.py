"""Long tables: the page holds their first 200 rows, a parquet file beside it holds all of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.artifact import MANIFEST, atomic_folder, check_place
from ctrsel.records.run import REPORT_TABLES
from ctrsel.report.table import Cell, Table

__all__ = ["LONGEST", "cut_tables", "frame_of", "link_to", "write_tables"]

LONGEST = 200  # rows of a table on the page
_FORMAT = "ctrsel.report_tables"


def cut_tables(shown: Any, frames: dict[str, pl.DataFrame | pl.LazyFrame]) -> Any:
    """Return what a page shows with every long table cut, and note all rows of those.

    Args:
        shown: Tables, alone or in dicts, lists and tuples; anything else stays as it is.
        frames: By file name, filled here.

    Examples:
        >>> from ctrsel.report.table import Column, Row, number
        >>> rows = tuple(Row(cells=(number(str(i), i),)) for i in range(300))
        >>> frames = {}
        >>> cut = cut_tables([Table(caption="All numbers", columns=(Column(label="n"),), rows=rows)], frames)
        >>> len(cut[0].rows), cut[0].file, frames["all-numbers.parquet"]["n"].len()
        (200, 'report-tables/all-numbers.parquet', 300)
    """
    if isinstance(shown, Table):
        if len(shown.rows) <= LONGEST:
            return shown
        name = _free(shown.caption, frames)
        frames[name] = frame_of(shown)
        return replace(shown, rows=shown.rows[:LONGEST], file=link_to(name), of=len(shown.rows))
    if isinstance(shown, Mapping):
        return {k: cut_tables(v, frames) for k, v in shown.items()}
    if isinstance(shown, list | tuple):
        return type(shown)(cut_tables(v, frames) for v in shown)
    return shown


def link_to(name: str) -> str:
    """Return where a file of the folder lies, as seen from the page."""
    return f"{REPORT_TABLES}/{name}"


def _free(caption: str, taken: Mapping[str, Any]) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")[:60].strip("-") or "table"
    names = (f"{words}{'' if i == 1 else f'-{i}'}.parquet" for i in range(1, len(taken) + 2))
    return next(n for n in names if n not in taken)


def frame_of(table: Table) -> pl.DataFrame:
    """Return a table's rows as a frame: numbers as numbers, words in full, what stands small in a column of its own."""
    found: dict[str, pl.Series] = {}
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        label = f"{column.label}, {column.unit}" if column.unit else column.label
        label = next(n for n in (label, *(f"{label} ({i})" for i in range(2, 99))) if n not in found)
        if column.number and any(c.sort is not None for c in cells):
            numbers = [None if c.sort is None else float(c.sort) for c in cells]
            found[label] = pl.Series(label, numbers, dtype=pl.Float64)
        else:
            found[label] = pl.Series(label, [_words(c) for c in cells], dtype=pl.String)
        small = [c.small or None for c in cells]
        if any(small):
            found[f"{label}: note"] = pl.Series(f"{label}: note", small, dtype=pl.String)
    return pl.DataFrame(found)


def _words(cell: Cell) -> str | None:
    if cell.muted:
        return None
    marks = ", ".join(word for word, _ in cell.badges)
    text = cell.whole or cell.text
    return f"{text} [{marks}]" if text and marks else text or marks


def write_tables(page: Path, frames: Mapping[str, pl.DataFrame | pl.LazyFrame]) -> None:
    """Write the files that a page links to, all or none; where there are none, an older page's folder goes.

    Args:
        page: The page's path.
        frames: By file name; a lazy one is written piece by piece.

    Raises:
        ConfigError: If a folder of that name holds anything else, which would be lost.
    """
    folder = page.parent / REPORT_TABLES
    if not frames:
        if (folder / MANIFEST).is_file():
            check_place(folder, format=_FORMAT)
            shutil.rmtree(folder)
        return
    with atomic_folder(folder, manifest={"format": _FORMAT, "version": 1, "files": sorted(frames)}) as partial:
        for name, frame in frames.items():
            if isinstance(frame, pl.LazyFrame):
                frame.sink_parquet(partial / name)
            else:
                frame.write_parquet(partial / name)
