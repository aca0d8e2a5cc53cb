"""Spreadsheet: tables for people as CSV, in which no text is taken for a formula, and such tables read again.

Reference: CWE-1236, "Improper neutralization of formula elements in a CSV file"; OWASP, "CSV injection".
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

__all__ = ["as_meant", "as_text", "read_sheet", "write_sheet"]

# Spreadsheets trim blanks, and Asian ones take full-width signs for plain ones. A text that was so already gets one more
# apostrophe, so that no two texts become one and what was put before can be taken away again.
_STARTS = r"(?:[ \u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])"
_FORMULA, _SHOWN = rf"^'*{_STARTS}", rf"^'+{_STARTS}"
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before every text, in cells and column names, that a spreadsheet would take for a formula.

    For tables that are written to be read by people. What is written to be read by programs stays byte for byte what it is:
    scores (`ctrsel score`), exports (`ctrsel export`), rejected rows, synthetic data; a program would take the apostrophe
    for a part of the value.

    Args:
        frame: Any; numbers and texts that are plain numbers ("-1", "+3.5e2") stay, and so does null.

    Examples:
        >>> as_text(pl.DataFrame({"site": ["=SUM(A1)", "-1", "a=b"], "score": [-1.0, 0.5, 2.0]})).rows()
        [("'=SUM(A1)", -1.0), ('-1', 0.5), ('a=b', 2.0)]
    """
    texts = [n for n, kind in frame.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)]
    shown = frame.with_columns(_marked(pl.col(name).cast(pl.String)).alias(name) for name in texts)
    shown.columns = pl.select(_marked(pl.lit(pl.Series(frame.columns, dtype=pl.String)))).to_series().to_list()
    return shown


def as_meant(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the apostrophes away that `as_text` has put before texts.

    Examples:
        >>> as_meant(pl.DataFrame({"site": ["'=SUM(A1)", "-1", "'a'"]})).rows()
        [('=SUM(A1)',), ('-1',), ("'a'",)]
    """
    texts = [n for n, kind in frame.schema.items() if kind == pl.String]
    meant = frame.with_columns(_unmarked(pl.col(name)).alias(name) for name in texts)
    meant.columns = pl.select(_unmarked(pl.lit(pl.Series(frame.columns, dtype=pl.String)))).to_series().to_list()
    return meant


def write_sheet(frame: pl.DataFrame, path: Path, *, separator: str = ",") -> None:
    """Write a table for people as CSV: no text of it is a formula where a spreadsheet opens it.

    Texts stand in quotes, since a spreadsheet may split at another separator than ours, after which a formula may begin.

    Args:
        frame: Without lists.
        path: The file.
        separator: Between cells.
    """
    as_text(frame).write_csv(path, separator=separator, quote_style="non_numeric")


def read_sheet(path: Path, *, separator: str = ",") -> pl.DataFrame:
    """Read what `write_sheet` wrote, with the texts that were given to it, or any other CSV.

    Args:
        path: The file.
        separator: Between cells.
    """
    return as_meant(pl.read_csv(path, separator=separator))


def _marked(text: pl.Expr) -> pl.Expr:
    formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(formula).then(pl.concat_str(pl.lit("'"), text)).otherwise(text)


def _unmarked(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_SHOWN)).then(text.str.slice(1)).otherwise(text)
