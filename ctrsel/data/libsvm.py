"""libSVM and libFM text: `label index:value ...` per line; each index range of one-hot values is one field."""

from __future__ import annotations

import polars as pl

from ctrsel.core.errors import DataError

__all__ = ["read_libsvm"]


def read_libsvm(path: str, *, rows: int | None = None) -> pl.DataFrame:
    """Read libSVM or libFM text of one-hot coded categorical rows.

    Position is field: the k-th pair of a line belongs to field k, as all public CTR sets in this form have it, so
    every line must have the same number of pairs. The index is the value; where the pair's number is not 1 the
    number itself is the value (a numeric field).

    Returns:
        Columns `label` (text), `f1` ... `fF` (text).

    Raises:
        DataError: If a line has another number of pairs, or a pair is not `index:value`.
    """
    try:
        found = pl.scan_csv(
            path,
            has_header=False,
            separator="\x01",
            quote_char=None,
            infer_schema=False,
            empty_string_is_null=False,
            new_columns=["line"],
            glob=False,
            n_rows=rows,
        ).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as libSVM text: {str(error).splitlines()[0][:200]}") from error
    text = pl.col("line").str.replace(r"#.*$", "").str.replace_all(r"\s+", " ").str.strip_chars()
    # Blank lines and lines that are a comment are no rows, but count as lines in messages.
    lines = found.with_row_index("number", offset=1).with_columns(text.alias("text")).filter(pl.col("text") != "")
    if not lines.height:
        raise DataError(f"{path}: holds no rows")
    number = lines["number"]
    cells = lines["text"].str.split(" ")
    widths = cells.list.len()
    width = int(widths[0])
    if width < 2:
        raise DataError(f"{path}: line {number[0]} must be `label index:value ...`, got {lines['line'][0]!r}")
    odd = widths != width
    if odd.any():
        row = int(odd.arg_true()[0])
        raise DataError(
            f"{path}: line {number[row]} must have {width - 1} pairs like line {number[0]}, got {int(widths[row]) - 1}"
        )
    columns = {"label": cells.list.get(0)}
    for k in range(1, width):
        pair = cells.list.get(k)
        parts = pair.str.extract_groups(r"^(\d+):([-+0-9.eE]+)$")
        index, value = parts.struct.field("1"), parts.struct.field("2")
        numbers = value.cast(pl.Float64, strict=False)
        bad = numbers.is_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            raise DataError(f"{path}: line {number[row]} must hold pairs `index:value`, got {pair[row]!r}")
        columns[f"f{k}"] = value if bool((numbers != 1).any()) else index
    return pl.DataFrame(columns)
