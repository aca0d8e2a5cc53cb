"""Bodies: what came over the wire becomes raw rows, or one sentence that says what is wrong with it.

JSON as in RFC 8259 (Bray, 2017), read strictly: no NaN or Infinity, no name twice in an object, no lone surrogates. A
value is null, a truth value, a number, a text, or a list of them; the columns are those that `ctrsel.data.ndjson` makes of
the same rows, so that a row has the same score in a request and in a file. Names that the model does not read are passed over.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.ndjson import json_column
from ctrsel.serve.limits import Limits

__all__ = ["Asked", "TooLargeError", "read_asked", "read_lines"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value", type(None): "null"}
_SHOWN = 40  # characters of a name that a message may hold


class TooLargeError(DataError):
    """A request is larger than the limits allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for.

    Attributes:
        rows: Raw rows; only columns that the model reads.
        reasons: Whether each row's score is to be explained.
    """

    rows: pl.DataFrame
    reasons: bool = False


def read_asked(body: bytes, *, inputs: Sequence[str], limits: Limits) -> Asked:
    r"""Read `{"rows": {...}}` or `{"rows": [{...}, ...], "reasons": true}`.

    Args:
        body: The bytes.
        inputs: Columns that the model reads.
        limits: What a request may hold.

    Raises:
        DataError: If it is anything else.
        TooLargeError: If it is too much.

    Examples:
        >>> read_asked(b'{"rows": {"ad": 7}}', inputs=("ad", "site"), limits=Limits()).rows.to_dicts()
        [{'ad': 7}]
    """
    found = _parsed(body, "the body")
    if not isinstance(found, dict):
        raise DataError(f'the body must be an object such as {{"rows": [...]}}, got {_KINDS[type(found)]}')
    unknown = sorted(set(found) - {"rows", "reasons"})
    if unknown:
        raise DataError(f"the body may have the names 'rows' and 'reasons', got {_short(unknown[0])}")
    if "rows" not in found:
        raise DataError("the body must have the name 'rows': a row, or a list of rows")
    reasons = found.get("reasons", False)
    if not isinstance(reasons, bool):
        raise DataError(f"'reasons' must be true or false, got {_kind(reasons)}")
    given = found["rows"]
    if not isinstance(given, dict | list):
        raise DataError(f"'rows' must be a row or a list of rows, got {_kind(given)}")
    rows = [given] if isinstance(given, dict) else given
    most = min(limits.rows, limits.reasons) if reasons else limits.rows
    if len(rows) > most:
        raise TooLargeError(
            f"a request {'for reasons ' if reasons else ''}may have at most {most:,} rows, got {len(rows):,}"
        )
    frame = _frame(rows, [f"row {i}" for i in range(1, len(rows) + 1)], inputs=inputs, limits=limits)
    return Asked(rows=frame, reasons=reasons)


def read_lines(body: bytes, *, inputs: Sequence[str], limits: Limits) -> Asked:
    r"""Read one JSON object a line; blank lines are no rows.

    Raises:
        DataError: If a line is anything else, with its number.
        TooLargeError: If it is too much.

    Examples:
        >>> read_lines(b'{"ad": "a"}\n\n{"ad": null}\n', inputs=("ad",), limits=Limits()).rows["ad"].to_list()
        ['a', None]
    """
    rows: list[Any] = []
    places: list[str] = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            if len(rows) == limits.rows:
                raise TooLargeError(f"a request may have at most {limits.rows:,} rows, got more")
            rows.append(_parsed(line, f"line {number}"))
            places.append(f"line {number}")
    return Asked(rows=_frame(rows, places, inputs=inputs, limits=limits))


def _parsed(data: bytes, place: str) -> Any:
    try:
        return _DECODER.decode(data.decode())
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place} must be UTF-8 text, got byte 0x{data[error.start]:02x} at {error.start + 1}"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(f"{place} must be JSON, but: {error.msg.lower()} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise DataError(f"{place} must be JSON that is not nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{place} must be JSON, but: {str(error).splitlines()[0][:120]}") from error


def _frame(rows: list[Any], places: list[str], *, inputs: Sequence[str], limits: Limits) -> pl.DataFrame:
    known = set(inputs)
    met: dict[str, None] = {}
    others: dict[str, None] = {}
    for row, place in zip(rows, places, strict=True):
        if not isinstance(row, dict):
            raise DataError(f"{place} must be an object with the columns' names, got {_kind(row)}")
        for name, value in row.items():
            if name in known:
                met[name] = None
                _check(value, f"{place}: {_short(name)}", limits)
            elif len(others) < 10:
                others[name] = None
    if rows and not met:
        # The names come from outside; `Scored` says the same of a frame.
        shown = ", ".join(inputs[:10]) + (", ..." if len(inputs) > 10 else "")
        got = ", ".join(_short(n) for n in others) or "none"
        raise DataError(f"the rows must have at least one of the model's {len(inputs)} columns ({shown}), got {got}")
    return pl.DataFrame({n: json_column(n, [row.get(n) for row in rows]) for n in inputs if n in met})


def _check(value: Any, place: str, limits: Limits, *, inside: bool = False) -> None:
    if isinstance(value, str):
        if len(value) > limits.text:
            raise TooLargeError(f"{place} may have at most {limits.text:,} characters, got {len(value):,}")
        if not value.isascii() and _SURROGATES.search(value):
            raise DataError(f"{place} must be text, but has a lone surrogate")
    elif isinstance(value, list):
        if inside:
            raise DataError(f"{place} must be a list of single values, got a list in it")
        if len(value) > limits.items:
            raise TooLargeError(f"{place} may have at most {limits.items:,} items, got {len(value):,}")
        for item in value:
            _check(item, place, limits, inside=True)
    elif isinstance(value, dict):
        raise DataError(f"{place} must be null, a truth value, a number, a text or a list of them, got an object")


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else _KINDS[type(value)]


def _short(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [k for k, _ in pairs]
        twice = next(n for i, n in enumerate(names) if n in names[:i])
        raise ValueError(f"the name {_short(twice)} stands twice in an object")
    return found


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON; a missing value is null")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=_number, parse_constant=_constant)
