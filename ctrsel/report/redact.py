"""Which category values may be shown: none of fewer than 20 rows, and of a sensitive field salted hashes only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.records.run import FieldSummary
from ctrsel.report.wording import shorten
from ctrsel.stats.intervals import wilson_limits

__all__ = ["MINIMUM_ROWS", "check_shown", "may_show", "salted_hash", "shown_values"]

MINIMUM_ROWS = 20
_LONGEST = 200  # characters of a value that go into the record
_HASH = re.compile(r"#[0-9a-f]{8}")
_RESERVED = ("(missing)", "(other)", "(hidden)")  # names of codes, not values of the data


def salted_hash(value: str, *, salt: str) -> str:
    """Return `#` and 8 hex digits that stand for a value within one run.

    Examples:
        >>> salted_hash("u1", salt="a") == salted_hash("u1", salt="a"), salted_hash("u1", salt="b") == salted_hash("u1", salt="a")
        (True, False)
    """
    key = hashlib.blake2b(salt.encode()).digest()
    return "#" + hashlib.blake2b(value.encode(errors="surrogatepass"), key=key, digest_size=4).hexdigest()


def shown_values(
    values: Sequence[str | None],
    rows: np.ndarray,
    positives: np.ndarray,
    kept: np.ndarray,
    *,
    sensitive: bool,
    salt: str,
    limit: int = 20,
    minimum_rows: int = MINIMUM_ROWS,
    sampling_rate: float = 1.0,
) -> tuple[dict[str, Any], ...]:
    """Return the values that a report may show, most frequent first.

    Args:
        values: Texts, v of them; None = no value. Of one of more than 200 characters the middle is left out.
        rows: Training rows of each `[v]`.
        positives: Positive ones among them `[v]`.
        kept: Whether the selection keeps the value `[v]`.
        sensitive: Show salted hashes instead of texts.
        salt: Of the hashes; who knows it can try values until one fits, so it must not stand in the report.
        limit: At most so many.
        minimum_rows: Values with fewer rows are left out.
        sampling_rate: Share of the negatives that was kept, in (0, 1]; the odds are multiplied by it, so that rates and
            intervals are those of the rows before the sampling, as everywhere else in the report.

    Returns:
        Dicts with value, rows (as they are in the table), rate, low and high (Wilson, 95 %) and kept.

    Raises:
        DataError: If the field is sensitive and there is no salt.

    Examples:
        >>> shown_values(["a", "b"], np.array([40, 3]), np.array([10, 3]), np.array([True, True]), sensitive=False, salt="")[0]["rate"]
        0.25
        >>> len(shown_values(["a", "b"], np.array([40, 3]), np.array([10, 3]), np.array([True, True]), sensitive=False, salt=""))
        1
    """
    if sensitive and not salt:
        raise DataError("report: values of a sensitive field are shown as salted hashes, but the salt is empty")
    n_rows = np.asarray(rows)
    order = np.argsort(-n_rows.astype(np.int64), kind="stable")
    order = order[n_rows[order] >= minimum_rows][:limit]
    n, k = n_rows[order], np.asarray(positives)[order]
    rate = k / (k + (n - k) / sampling_rate)
    low, high = (p / (p + (1 - p) / sampling_rate) for p in wilson_limits(k / n, n))
    return tuple(
        {
            "value": _shown(values[i], sensitive=sensitive, salt=salt),
            "rows": int(n_rows[i]),
            "rate": float(rate[place]),
            "low": float(low[place]),
            "high": float(high[place]),
            "kept": bool(kept[i]),
        }
        for place, i in enumerate(order.tolist())
    )


def _shown(value: str | None, *, sensitive: bool, salt: str) -> str | None:
    if value is None:
        return "(missing)" if sensitive else None
    if sensitive and value not in _RESERVED:
        return salted_hash(value, salt=salt)
    return shorten(value, _LONGEST)


def may_show(row: Mapping[str, Any], *, field: str, sensitive: bool) -> bool:
    """Say whether one value with its rows may be printed; whatever the caller forgot, nothing slips through here.

    Args:
        row: Holds `value` and `rows`.
        field: The field's name, for the message.
        sensitive: Whether only hashes may be printed.

    Raises:
        DataError: If the field is sensitive and the value is no hash; the message does not hold the value.
    """
    value = row["value"]
    if sensitive and value not in _RESERVED and not (isinstance(value, str) and _HASH.fullmatch(value)):
        raise DataError(f"report: field {field!r} is sensitive, so its values must be hashes like #0a1b2c3d")
    return bool(row["rows"] >= MINIMUM_ROWS)


def check_shown(field: FieldSummary) -> tuple[dict[str, Any], ...]:
    """Return a field's values that may be printed.

    Raises:
        DataError: If a sensitive field holds a value that is no hash.
    """
    return tuple(dict(r) for r in field.shown_values if may_show(r, field=field.name, sensitive=field.sensitive))
