"""All values that may be shown, for the file beside the page: 20 rows or more, of sensitive fields hashes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from ctrsel.records.selection_account import VALUE_COLUMNS
from ctrsel.report.redact import MINIMUM_ROWS, check_shown
from ctrsel.report.sections.facts import Facts

__all__ = ["VALUES", "values_frame"]

VALUES = "values.parquet"


def values_frame(facts: Facts) -> pl.LazyFrame | None:
    """Return the values with what became of them, None where there are none.

    Of a field that the selection's account tells values of, all of 20 training rows or more; of a sensitive one the most
    frequent, as salted hashes. The frame is lazy: an account of millions of values is not copied.

    Raises:
        DataError: If a sensitive field's value is not a hash, here or in the account.
    """
    secret = {f.name for f in facts.run.fields if f.sensitive}
    told = set(secret)
    parts = []
    if facts.evidence.account is not None:
        secret |= {f.name for f in facts.evidence.account.fields if f.sensitive}
        own = pl.col("value").is_not_null() & (pl.col("rows") >= MINIMUM_ROWS) & (pl.col("reason") != "rare")
        parts.append(facts.evidence.account.values.filter(own & ~pl.col("field").is_in(sorted(secret))))
        told = secret
    rest = list(_summaries(facts, told if facts.evidence.account is not None else None))
    if rest:
        parts.append(pl.LazyFrame(rest, schema=dict(VALUE_COLUMNS)))
    return pl.concat(parts) if parts else None


def _summaries(facts: Facts, only: set[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the values that the page lists, of some fields or of all (None)."""
    for f in facts.run.fields:
        if only is not None and f.name not in only:
            continue
        for v in check_shown(f):
            outcome = "kept" if v["kept"] else "dropped"
            given = {"field": f.name, "value": v["value"], "rows": v["rows"], "outcome": outcome}
            yield dict.fromkeys(VALUE_COLUMNS) | given
