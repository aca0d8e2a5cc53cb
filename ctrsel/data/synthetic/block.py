"""Block: a fixed run of rows of a planted table while it is drawn; every draw has a stream of its own.

A stream is named by the table's seed, the field and the block, so that no field disturbs another and no chunk size,
thread count or choice of columns changes a single cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ctrsel.core.seeds import generator

__all__ = ["BLOCK_ROWS", "Block", "Bools", "Codes", "Counts", "Floats"]

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BLOCK_ROWS = 65_536  # part of what a seed means: another number draws another table


@dataclass(kw_only=True)
class Block:
    """Rows `start` to `start + rows` of a table, filled field by field.

    Attributes:
        seed: The table's seed.
        index: Which block, from 0.
        start: First row.
        rows: Number of rows, B; at most `BLOCK_ROWS`.
        total: Rows of the whole table.
        session_rows: Mean length of a session in rows; None if rows do not depend on each other.
        cells: What was drawn so far, by field: codes `[B]` (-1 = missing), numbers `[B]` (NaN = missing) or lists of
            codes `[B, items]` (-1 = no item).
        logits: Log-odds `[B]` by label, without the base.
        labels: Outcomes `[B]` by label, once they are drawn.
        unseen: What no log shows `[B]`: log-odds, what sessions add, final conversions and their delays.
    """

    seed: int
    index: int
    start: int
    rows: int
    total: int
    session_rows: float | None = None
    cells: dict[str, np.ndarray] = field(default_factory=dict)
    logits: dict[str, Floats] = field(default_factory=dict)
    labels: dict[str, Bools] = field(default_factory=dict)
    unseen: dict[str, np.ndarray] = field(default_factory=dict)

    def rng(self, *names: str) -> np.random.Generator:
        """Return the stream of a field in this block."""
        return generator(self.seed, "synthetic", *names, "block", self.index)

    @cached_property
    def time(self) -> Floats:
        """Where each row lies between the first moment (0) and the last (1); rising, `[B]`."""
        return (self.start + np.arange(self.rows) + self.rng("time").random(self.rows)) / self.total

    @cached_property
    def session(self) -> npt.NDArray[np.int64]:
        """First row, in this block, of each row's session `[B]`; a block's first row begins one."""
        if self.session_rows is None:
            return np.arange(self.rows)
        begins = self.rng("session").random(self.rows) < 1.0 / self.session_rows
        begins[0] = True
        return np.maximum.accumulate(np.where(begins, np.arange(self.rows), 0))

    def stay(self, stick: float, rng: np.random.Generator) -> npt.NDArray[np.int64] | None:
        """Row that each row repeats `[B]`: the previous one of its session with probability `stick`; None for no row."""
        if stick <= 0.0 or self.session_rows is None:
            return None
        own = np.arange(self.rows)
        renewed = (self.session == own) | (rng.random(self.rows) >= stick)
        return np.maximum.accumulate(np.where(renewed, own, 0))

    def add(self, label: str, amount: Floats) -> None:
        """Add to a label's log-odds."""
        known = self.logits.get(label)
        self.logits[label] = amount if known is None else known + amount
