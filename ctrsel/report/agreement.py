"""The page of a comparison of rankings: heat maps of how much they agree, and every number of them in tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from markupsafe import Markup

from ctrsel.core.artifact import atomic_text
from ctrsel.records.ranking_comparison import RankingComparison
from ctrsel.report.charts.heat_chart import heat_chart
from ctrsel.report.document import render
from ctrsel.report.numbers import DASH, count, plain
from ctrsel.report.table import Cell, Column, Row, Table, number, text
from ctrsel.report.wording import shorten

__all__ = ["write_agreement"]

ITEMS = 200  # of so many items the page says where each ranking puts them; the saved comparison holds all


def write_agreement(comparison: RankingComparison, *, path: Path, title: str = "How much rankings agree") -> Path:
    """Write the page.

    Args:
        comparison: What was compared.
        path: Where the file goes; written whole or not at all.
        title: Its heading.

    Returns:
        The path.
    """
    page = render(
        "agreement.html",
        title=title,
        lead=_lead(comparison),
        weight=comparison.notes[0] if comparison.notes else "",
        notes=comparison.notes[1:],
        overlap_chart=_chart(comparison, "overlap-chart", comparison.rbo, "Rank-biased overlap"),
        tau_chart=_chart(comparison, "tau-chart", comparison.tau, "Kendall's tau-b"),
        pairs=_pairs(comparison),
        items=_items(comparison),
    )
    atomic_text(path, page)
    return path


def _between(matrix: np.ndarray) -> np.ndarray:
    """Return a copy without the diagonal, as NaN."""
    out = matrix.astype(np.float64).copy()
    np.fill_diagonal(out, np.nan)
    return out


def _extreme(names: tuple[str, ...], matrix: np.ndarray, *, most: bool) -> str:
    held = _between(matrix)
    place = np.unravel_index(np.nanargmax(held) if most else np.nanargmin(held), held.shape)
    one, other = (shorten(names[i]) for i in place)
    return f"{one} and {other} ({plain(float(held[place]), 2)})"


def _lead(c: RankingComparison) -> str:
    said = f"{len(c.names)} rankings of {c.items.height:,} {c.item}s."
    if len(c.names) == 2:
        return f"{said} Their rank-biased overlap is {plain(float(c.rbo[0, 1]), 2)} (1 = the same order, 0 = nothing in common)."
    return (
        f"{said} By rank-biased overlap (1 = the same order, 0 = nothing in common) {_extreme(c.names, c.rbo, most=True)} "
        f"agree most, {_extreme(c.names, c.rbo, most=False)} least."
    )


def _chart(c: RankingComparison, name: str, matrix: np.ndarray, title: str) -> Markup | None:
    held = _between(matrix)
    if np.isnan(held).all():
        return None
    description = (
        f"{len(c.names)} rankings, each against each. Highest: {_extreme(c.names, matrix, most=True)}; "
        f"lowest: {_extreme(c.names, matrix, most=False)}. The table below has every number."
    )
    return heat_chart(name, c.names, matrix, title=title, description=description)


def _pairs(c: RankingComparison) -> Table:
    columns = (
        Column(label="first", number=False),
        Column(label="second", number=False),
        Column(label="rank-biased overlap", unit="0 to 1"),
        Column(label="Kendall's tau-b", unit="-1 to 1"),
        *(Column(label=f"first {k}", unit="shared / either") for k in c.tops),
        Column(label="items in both"),
    )
    rows = []
    for pair in c.pairs().to_dicts():
        numbers = [pair["rbo"], pair["tau"], *(pair[f"top_{k}"] for k in c.tops)]
        cells = [number(plain(v, 3), v) for v in numbers]
        shared = number(count(pair["shared"]), pair["shared"])
        rows.append(Row(cells=(text(pair["first"]), text(pair["second"]), *cells, shared)))
    return Table(
        caption="Agreement of every two rankings", columns=columns, rows=tuple(rows), sortable=True, id="pairs-table"
    )


def _items(c: RankingComparison) -> Table:
    own = c.items.columns
    columns = [Column(label=name, number=False) for name in own] + [Column(label=name) for name in c.names]
    rows = []
    for place, item in enumerate(c.items.head(ITEMS).rows()):
        ranks = c.ranks[:, place].tolist()
        # An item that a ranking does not have stands last when the column is sorted.
        cells = [number(f"{r:,}" if r else DASH, r or float(c.ranks.max() + 1)) for r in ranks]
        rows.append(Row(cells=(*(_word(w) for w in item), *cells)))
    more = f", the first {ITEMS} of {c.items.height:,}" if c.items.height > ITEMS else ""
    return Table(
        caption=f"Rank of each {c.item} in each ranking, best mean rank first{more}; a dash: it has no rank there",
        columns=tuple(columns),
        rows=tuple(rows),
        sortable=True,
    )


def _word(words: str | None) -> Cell:
    return Cell(text="no value", muted=True) if words is None else text(words)
