"""Ranges of buckets: from the text of a bucket back to the numbers that it holds, exact to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.data.buckets import bucket_ids, bucket_texts

__all__ = ["bucket_ranges"]

_NEAR = 3  # buckets beside the one that a text's rounded number points at
_LOWEST, _HIGHEST = -1e15, 1e300  # beyond, the log-square form cuts off


def bucket_ranges(texts: Sequence[str], *, edges: np.ndarray | None) -> Mapping[str, tuple[float, float]]:
    """Return the first number of each bucket, and the first one above it.

    Args:
        texts: Names of buckets (`bucket_texts`).
        edges: Inner edges of quantile buckets; None for the log-square form.

    Raises:
        DataError: If a text names no bucket.

    Examples:
        >>> bucket_ranges(["under 5", "5 or more"], edges=np.array([5.0]))
        {'under 5': (-inf, 5.0), '5 or more': (5.0, inf)}
        >>> bucket_ranges(["-1", "2"], edges=None)
        {'-1': (-1.0, 0.0), '2': (2.0, 2.718281828459045)}
    """
    if edges is None:
        return {text: _log_square(text) for text in texts}
    ends = [-math.inf, *edges.tolist(), math.inf]
    known = {t: (ends[i], ends[i + 1]) for i, t in enumerate(bucket_texts(np.arange(len(edges) + 1), edges=edges))}
    for text in texts:
        if text not in known:
            raise DataError(f"{text!r} names none of these buckets: {list(known)[:5]}")
    return {text: known[text] for text in texts}


def _log_square(text: str) -> tuple[float, float]:
    bucket = _number(text)
    return _start(bucket), _start(bucket + 1)


def _number(text: str) -> int:
    low, _, high = text.partition(" to ")
    try:
        if not high:
            return int(low)
        near = round(math.log(float(low)) ** 2) + 2
    except ValueError as error:
        raise DataError(f"{text!r} names no log-square bucket") from error
    some = np.arange(max(near - _NEAR, 3), near + _NEAR + 1)
    for bucket, name in zip(some.tolist(), bucket_texts(some, edges=None), strict=True):
        if name == text:
            return int(bucket)
    raise DataError(f"{text!r} names no log-square bucket")


def _start(bucket: int) -> float:
    """Return the first number of a log-square bucket, as `bucket_ids` cuts."""
    if bucket <= _LOWEST:
        return -math.inf
    if bucket <= 2:
        return float(bucket)
    x = math.exp(math.sqrt(bucket - 2))
    if x > _HIGHEST:
        return math.inf
    while _bucket(x) >= bucket:
        x = math.nextafter(x, 0.0)
    while _bucket(x) < bucket:
        x = math.nextafter(x, math.inf)
    return x


def _bucket(x: float) -> int:
    return int(bucket_ids(np.array([x]), edges=None)[0])
