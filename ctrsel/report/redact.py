"""Which category values may be shown: none of fewer than 20 rows, and of a sensitive field salted hashes only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.records.run import FieldSummary
from ctrsel.stats.intervals import wilson

__all__ = ["MINIMUM_ROWS", "check_shown", "salted_hash", "shown_values"]

MINIMUM_ROWS = 20
_HASH = re.compile(r"#[0-9a-f]{8}")
_RESERVED = ("(missing)", "(other)", "(hidden)")  # names of codes, not values of the data


def salted_hash(value: str, *, salt: str) -> str:
    """Return `#` and 8 hex digits that stand for a value within one run.

    Examples:
        >>> salted_hash("u1", salt="a") == salted_hash("u1", salt="a"), salted_hash("u1", salt="b") == salted_hash("u1", salt="a")
        (True, False)
    """
    return "#" + hashlib.blake2b(value.encode(), key=salt.encode()[:64], digest_size=4).hexdigest()


def shown_values(
    values: Sequence[str],
    rows: np.ndarray,
    positives: np.ndarray,
    kept: np.ndarray,
    *,
    sensitive: bool,
    salt: str,
    limit: int = 20,
    minimum_rows: int = MINIMUM_ROWS,
) -> tuple[dict[str, Any], ...]:
    """Return the values that a report may show, most frequent first.

    Args:
        values: Texts, v of them.
        rows: Training rows of each `[v]`.
        positives: Positive ones among them `[v]`.
        kept: Whether the selection keeps the value `[v]`.
        sensitive: Show salted hashes instead of texts.
        salt: Of the hashes.
        limit: At most so many.
        minimum_rows: Values with fewer rows are left out.

    Returns:
        Dicts with value, rows, rate, low and high (Wilson, 95 %) and kept.

    Examples:
        >>> shown_values(["a", "b"], np.array([40, 3]), np.array([10, 3]), np.array([True, True]), sensitive=False, salt="")[0]["rate"]
        0.25
        >>> len(shown_values(["a", "b"], np.array([40, 3]), np.array([10, 3]), np.array([True, True]), sensitive=False, salt=""))
        1
    """
    order = np.argsort(-np.asarray(rows), kind="stable")
    order = order[np.asarray(rows)[order] >= minimum_rows][:limit]
    found = []
    for i in order.tolist():
        n, k = int(rows[i]), int(positives[i])
        interval = wilson(k, n)
        text = values[i] if not sensitive or values[i] in _RESERVED else salted_hash(values[i], salt=salt)
        found.append(
            {"value": text, "rows": n, "rate": k / n, "low": interval.low, "high": interval.high, "kept": bool(kept[i])}
        )
    return tuple(found)


def check_shown(field: FieldSummary) -> tuple[dict[str, Any], ...]:
    """Return a field's values for printing; whatever the caller forgot, nothing slips through here.

    Raises:
        DataError: If a sensitive field holds a value that is no hash.
    """
    found = []
    for row in field.shown_values:
        if field.sensitive and not (_HASH.fullmatch(str(row["value"])) or row["value"] in _RESERVED):
            raise DataError(f"report: field {field.name!r} is sensitive, so its values must be hashes like #0a1b2c3d")
        if row["rows"] >= MINIMUM_ROWS:
            found.append(dict(row))
    return tuple(found)
