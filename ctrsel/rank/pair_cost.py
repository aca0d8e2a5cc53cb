"""What counting pairs of fields takes: seconds and bytes, told before it is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cost", "estimate", "workers"]

_ROW_NS = 10.0  # nanoseconds that a row of a pair takes, measured (benchmarks/pair_speed.py)
_FAR_NS = 80.0  # the same where a column is larger than the processor's cache
_CACHED_ROWS = 4_000_000
_PAIR_NS = 500_000.0  # a pair, whatever its rows
_ROW_BYTES = 10  # rows in the order of one field and their labels, of two fields at a time
_CODE_BYTES = 32  # rates of a field's codes, and where their rows begin
_CELL_BYTES = 32  # four numbers of a code that a thread counts in


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What counting pairs will take.

    Attributes:
        pairs: How many, or triples.
        seconds: On one machine like the one of benchmarks/pair_speed.py; good to a factor of two.
        bytes: Beside the columns.
    """

    pairs: int
    seconds: float
    bytes: int

    def __str__(self) -> str:
        return f"{self.pairs:,} pairs, about {self.seconds:,.0f} s and {self.bytes / 2**20:,.0f} MiB beside the columns"


def estimate(*, rows: int, sizes: Sequence[int], pairs: int | None = None, threads: int = 1) -> Cost:
    """Estimate what counting pairs takes.

    Args:
        rows: N.
        sizes: Codes of each field.
        pairs: How many; None for all of these fields.
        threads: Pairs counted at once.

    Examples:
        >>> print(estimate(rows=1_000_000, sizes=[100] * 40))
        780 pairs, about 8 s and 10 MiB beside the columns
    """
    many = len(sizes) * (len(sizes) - 1) // 2 if pairs is None else pairs
    near, far = min(rows, _CACHED_ROWS), max(rows - _CACHED_ROWS, 0)
    seconds = many * (near * _ROW_NS + far * _FAR_NS + _PAIR_NS) / threads / 1e9
    largest = sorted(sizes)[-2:]
    scratch = _CELL_BYTES * min(largest, default=0)
    return Cost(pairs=many, seconds=seconds, bytes=_ROW_BYTES * rows + _CODE_BYTES * sum(sizes) + threads * scratch)


def workers(threads: int | None) -> int:
    """Return how many pairs to count at once; None for all processors."""
    return threads if threads is not None else (os.cpu_count() or 1)
