"""Tables of the page: what a cell says, what stands small beside it, and by what it is sorted."""

from __future__ import annotations

from dataclasses import dataclass

from ctrsel.report.wording import shorten

__all__ = ["Cell", "Column", "Row", "Table", "badge", "number", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        small: What stands beside it in small grey letters (an interval, a unit).
        sort: What the column is sorted by; None = the text.
        title: The full text of a shortened one.
        link: Where it leads on this page, without the hash sign; empty = nowhere.
        badges: Words in frames after the text, each with its tone.
        number: Whether it stands at the right.
        muted: Whether the text is not data but a word about them ("missing").
        whole: What a shortened text is in full, for the file that holds all rows of a long table; empty = the text.
    """

    text: str
    small: str = ""
    sort: float | None = None
    title: str = ""
    link: str = ""
    badges: tuple[tuple[str, str], ...] = ()
    number: bool = False
    muted: bool = False
    whole: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its head, the unit under it, whether numbers stand in it, and what it means."""

    label: str
    unit: str = ""
    number: bool = True
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; its first cell is its head. `strong` marks the row that the page is about."""

    cells: tuple[Cell, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a caption that can be read alone.

    Attributes:
        caption: What it shows.
        columns: From the left.
        rows: From above.
        sortable: Whether its order carries no meaning of its own.
        id: Where links to it lead, unique on the page; empty = nothing leads here.
        file: Where all rows stand, relative to the page, if these are the first of more; empty = these are all.
        of: How many rows that file has.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sortable: bool = False
    id: str = ""
    file: str = ""
    of: int = 0

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{self.caption}: a row needs {len(self.columns)} cells, got {len(row.cells)}")


def number(text: str, sort: float | None = None, *, small: str = "") -> Cell:
    """Return a cell that stands at the right."""
    return Cell(text=text, sort=sort, small=small, number=True)


def text(
    words: str, *, limit: int = 60, small: str = "", link: str = "", badges: tuple[tuple[str, str], ...] = ()
) -> Cell:
    """Return a cell of words from the data, shortened in the middle, with up to 200 characters of it as its title."""
    short = shorten(words, limit)
    title = "" if short == words else shorten(words, 200)
    whole = "" if short == words else words
    return Cell(text=short, title=title, small=small, link=link, badges=badges, whole=whole)


def badge(word: str, tone: str, *, sort: float | None = None) -> Cell:
    """Return a cell that is one framed word."""
    return Cell(text="", badges=((word, tone),), sort=sort)
